module plumbline/artifacts/prometheus

go 1.26.0

require github.com/prometheus/prometheus v0.313.4

// The other replacement and the exclusions as in Prometheus' own go.mod, where they would not count here.
replace (
	cloud.google.com/go => cloud.google.com/go v0.123.0
	github.com/prometheus/prometheus => ./edited/prometheus
)

exclude (
	github.com/grpc-ecosystem/grpc-gateway v1.14.7
	github.com/linode/linodego v1.0.0
	google.golang.org/api v0.30.0
)
