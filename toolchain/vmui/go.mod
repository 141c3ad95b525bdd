module pulumi-etcd/toolchain/vmui

go 1.25.0

// Of the release that Debian 13 has, whose package comes without vmui.
require github.com/VictoriaMetrics/VictoriaMetrics v1.112.0
