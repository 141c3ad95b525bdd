#!/bin/sh
# etcd-node: what a Linux machine does to be a member of an etcd cluster.
# Sent by the Pulumi program; people may run it by hand (`etcd-node help`).
# Every subcommand may be run again after a half-done run.
set -eu
LC_ALL=C
export LC_ALL
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
me=etcd-node
readonly me

usage() {
  cat <<'END'
usage: etcd-node SUBCOMMAND [--cluster NAME] [options]

  status      what this member is, what runs, and what its peers say
  facts       what is on this machine, for programs (`make status` asks for it)
  preflight   is this machine fit to be a member? changes nothing
  claim       the same, and if it is fit, leave this program there and claim the
              machine for one instance (--name) of one stack (--owner)
  binary      put a version of etcd on the machine; the running one stays
  tls         put the CA bundle, certificate, key and CRL in place (stdin)
  config      write etcd's configuration and its unit (stdin)
  seat        take the seat in the cluster: found it, join it, or come back
  rollout     restart the member safely, if what it runs differs from the files
  access      root, its role, and `auth enable` (credentials on stdin)
  role        have a role with just the permissions that are given, such as
              --name app --readwrite prefix /app/ --read key /k --write range /a /b
  user        have a user with just the roles that are given (--name app --role app),
              its login on the last line of stdin
  dropuser, droprole   remove the one of that --name
  undeclared  tell users and roles besides the given --user and --role ones; with
              --remove take them away
  metrics     what etcd does not know of itself, for Prometheus; with --save into a
              file, which `answer` gives to whoever connects
  exporter    have it written and given to others by systemd (units on stdin);
              with --remove no more
  expel       remove a member whose machine is lost
  leave       give up the seat: hand over, be removed, stop
  erase       take what etcd-node put here off the machine

Who types `leave` or `erase` names the instance: --name NAME --yes. Without them
they tell what is here and what would be removed, and remove nothing.
`--cluster` defaults to etcd. Credentials of root come on standard input as one
line of JSON, {"name": "root", "password": "..."}, and never any other way. A second
line may have the password before it, which is tried when etcd refuses the first.
END
}

main() {
  command=${1:-help}
  readonly command
  case $command in
    help | -h | --help) usage && return ;;
    status | facts | stamp | preflight | claim | binary | tls | config | seat | rollout | access | role | user | droprole | dropuser | undeclared | metrics | exporter | answer | expel | leave | erase) ;;
    *) usage >&2 && die "there is no subcommand \`$command\`" ;;
  esac
  [ "$(id -u)" -eq 0 ] || [ "$command" = answer ] || die "only root can do this; run it with sudo"
  parse_options "$@"
  place_paths
  case $command in
    status | facts | stamp | metrics | answer) ;;
    preflight)
      # The machine may lack even the programs that the others run under.
      if command -v timeout >/dev/null 2>&1 && [ -z "${ETCD_NODE_LIMIT:-}" ]; then run_limited "$@"; fi
      ;;
    *) [ -n "${ETCD_NODE_LIMIT:-}" ] || run_limited "$@" ;;
  esac
  [ -z "${ETCD_NODE_LIMIT:-}" ] || trap timed_out TERM
  check_claim
  "do_$command"
  case $command in status | facts | stamp | metrics | answer) ;; *) prove ;; esac
}
