module plumbline/artifacts/pause

go 1.22.0

require k8s.io/kubernetes v1.31.0
