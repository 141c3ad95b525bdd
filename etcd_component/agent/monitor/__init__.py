"""`etcd-monitor`: what a machine does to watch etcd clusters with VictoriaMetrics and vmalert."""
