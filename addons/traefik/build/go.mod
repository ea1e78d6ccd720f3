module plumbline/artifacts/traefik

go 1.26.0

require github.com/traefik/traefik/v3 v3.7.13

replace (
	github.com/abbot/go-http-auth => ./edited/http-auth
	github.com/go-acme/lego/v5 => ./edited/lego
	github.com/gorilla/mux => github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59
	github.com/traefik/traefik/dynamic/ext => ./ext
)

// The two hold the same packages under different module paths.
exclude github.com/tencentcloud/tencentcloud-sdk-go v3.0.83+incompatible
