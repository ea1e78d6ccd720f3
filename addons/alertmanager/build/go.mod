module plumbline/artifacts/alertmanager

go 1.26.0

require github.com/prometheus/alertmanager v0.34.1

replace github.com/prometheus/alertmanager => ./edited/alertmanager
