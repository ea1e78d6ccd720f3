module plumbline/artifacts/etcd

go 1.22.0

require (
	go.etcd.io/etcd/etcdctl/v3 v3.5.11
	go.etcd.io/etcd/etcdutl/v3 v3.5.11
	go.etcd.io/etcd/server/v3 v3.5.15
)
