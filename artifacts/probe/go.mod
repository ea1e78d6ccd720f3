module plumbline/artifacts/probe

go 1.26.0
