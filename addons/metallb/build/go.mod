module plumbline/artifacts/metallb

go 1.24.0

require go.universe.tf/metallb v0.15.2

replace go.universe.tf/metallb => ./edited/metallb
