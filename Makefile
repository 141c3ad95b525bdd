# Everything a person repeats. Logic is in toolchain/, one script per concern.

STACK ?= three
export MONITOR SECRETS LAB JSON NO_SSH NAME DIR AT CLUSTER PORT FLEET

.DEFAULT_GOAL := help
.PHONY: help up preview destroy down outputs client etcdctl monitoring dashboards status preflight relogin env setup test lint bench

help: ## this list
	@toolchain/help $(MAKEFILE_LIST)

up: ## a running cluster: starts the lab's nodes if STACK is one, three or five, then `pulumi up`; MONITOR=1 with a monitor
	@toolchain/stack up '$(STACK)'

preview: ## what `up` would change
	@toolchain/stack preview '$(STACK)'

outputs: ## what the cluster offers, as JSON; SECRETS=1 shows secrets too
	@toolchain/stack outputs '$(STACK)'

client: ## files for a client, as NAME=pg-main DIR=./pg-main; AT=/etc/patroni/etcd is where they will lie, CLUSTER=etcd whose
	@toolchain/stack client '$(STACK)'

etcdctl: ## what makes `etcdctl` work, to be used as: eval "$$(make -s etcdctl)"; CLUSTER=etcd which, where there are several
	@toolchain/stack etcdctl '$(STACK)'

monitoring: ## what Prometheus or VictoriaMetrics reads, as DIR=./monitoring; AT=/etc/etcd-monitoring is where it will lie
	@toolchain/stack monitoring '$(STACK)'

dashboards: ## the monitor's dashboards in a browser, at http://127.0.0.1:8427/ or another PORT=
	@toolchain/stack dashboards '$(STACK)'

status: ## the members as they are, and what differs from the stack; JSON=1 for programs, NO_SSH=1 without the nodes
	@toolchain/stack status '$(STACK)'

preflight: ## can the machines of the stack be its members? asks all of them before `up`, and changes nothing
	@toolchain/stack preflight '$(STACK)'

relogin: ## write today's login into the state, as before a key is revoked; touches no machine
	@toolchain/stack relogin '$(STACK)'

destroy: ## take the cluster off its machines
	@toolchain/stack destroy '$(STACK)'

down: ## remove the lab: its nodes, their disks and the state of what ran there
	@toolchain/stack down '$(STACK)'

env: ## print what `pulumi` needs, to be used as: eval "$$(make -s env)"
	@toolchain/env '$(STACK)'

setup: ## engine, Python environment and plugins, as every other target does when it must
	@toolchain/env '$(STACK)' >/dev/null

test: ## every test; unit, monitoring, toolchain, provider, lab, node, live each alone as test-unit ...
	@toolchain/test

test-%:
	@toolchain/test $*

lint: ## ruff, mypy, shellcheck
	@toolchain/lint

bench: ## how long things take; FLEET=30: of clusters of three in one stack, up to so many nodes
	@toolchain/bench
