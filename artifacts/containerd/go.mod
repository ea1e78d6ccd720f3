module plumbline/artifacts/containerd

go 1.23.0

require github.com/containerd/containerd v1.7.28
