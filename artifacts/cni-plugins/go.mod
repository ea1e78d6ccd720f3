module plumbline/artifacts/cni-plugins

go 1.23

require github.com/containernetworking/plugins v1.6.2
