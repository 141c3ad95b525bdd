#!/bin/sh
# etcd-monitor: what a Linux machine does to watch etcd clusters with VictoriaMetrics and vmalert.
# Sent by the Pulumi program; people may run it by hand (`etcd-monitor help`).
# Every subcommand may be run again after a half-done run.
set -eu
LC_ALL=C
export LC_ALL
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
me=etcd-monitor
readonly me

usage() {
  cat <<'END'
usage: etcd-monitor SUBCOMMAND [options]

  targets     every target, and whether it is scraped
  preflight   is this machine fit to be the monitor? changes nothing
  claim       the same, and if it is fit, leave this program there and claim the
              machine as the monitor of one stack (--owner)
  software    have VictoriaMetrics and vmalert, from the package
  files       have just these files of one kind (stdin): --kind config, dashboards or
              secrets
  serve       start or reload what runs with other files than are there, and say
              which targets are not scraped
  erase       take what etcd-monitor put here off the machine, the package excepted;
              who types it confirms with --yes
END
}

main() {
  command=${1:-help}
  readonly command
  case $command in
    help | -h | --help) usage && return ;;
    targets | preflight | claim | software | files | serve | erase) ;;
    *) usage >&2 && die "there is no subcommand \`$command\`" ;;
  esac
  [ "$(id -u)" -eq 0 ] || die "only root can do this; run it with sudo"
  parse_options "$@"
  case $command in
    targets) ;;
    preflight)
      # The machine may lack even the programs that the others run under.
      if command -v timeout >/dev/null 2>&1 && [ -z "${ETCD_MONITOR_LIMIT:-}" ]; then run_limited "$@"; fi
      ;;
    *) [ -n "${ETCD_MONITOR_LIMIT:-}" ] || run_limited "$@" ;;
  esac
  [ -z "${ETCD_MONITOR_LIMIT:-}" ] || trap timed_out TERM
  check_claim
  "do_$command"
  [ "$command" = targets ] || prove
}

itself=/usr/local/sbin/etcd-monitor
etc=/etc/etcd-monitor
units=/etc/systemd/system
# Root's alone: a file that root writes must not stand where another user can put a link.
run=/run/etcd-monitor
user=etcd-monitor
doing=starting

parse_options() {
  owner='' listen='' port=8428 alerts_port=8880 data='' kind='' remove_data=false yes=false
  shift
  while [ "$#" -gt 0 ]; do
    case $1 in
      --remove-data) remove_data=true ;;
      --yes) yes=true ;;
      --owner | --listen | --port | --alerts-port | --data | --kind)
        [ "$#" -ge 2 ] || die "the option $1 needs a value"
        option=$(printf '%s' "${1#--}" | tr - _)
        # The option's name comes from the list above, so eval sees no foreign text but "$2".
        eval "$option=\$2"
        shift
        ;;
      # For people to read: what it names is in the files.
      --of | --after)
        [ "$#" -ge 2 ] || die "the option $1 needs a value"
        shift
        ;;
      *) die "\`$command\` has no option \`$1\`" ;;
    esac
    shift
  done
}

# Come back into this program under a time limit and a lock: the remote side of a killed `pulumi up`
# goes on for a while, and the next run must not work beside it.
run_limited() {
  case $1 in
    software) limit=900 ;;
    *) limit=180 ;;
  esac
  case $1 in
    preflight) ;;
    software) lock software ;;
    *) lock monitor ;;
  esac
  ETCD_MONITOR_LIMIT=$limit
  export ETCD_MONITOR_LIMIT
  exec timeout -k 10 "$limit" sh "$0" "$@"
}

timed_out() {
  trap - TERM
  die "gave up after $ETCD_MONITOR_LIMIT s while $doing; it is safe to run this again"
}
