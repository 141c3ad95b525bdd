# ---- messages, options, places, time limits --------------------------------

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*"; }
die() {
  printf 'etcd-node: %s\n' "$*" >&2
  exit 1
}

# The state that a timed-out subcommand names in its last line.
doing=starting

parse_options() {
  cluster=etcd founders='' token='' peers='' learner=false reseat=0
  version='' url='' archive='' sha256_amd64='' sha256_arm64='' method=archive
  name='' address='' client_port=2379 peer_port=2380 data='' clock=''
  to='' remove_data=false remove_software=false
  shift
  while [ "$#" -gt 0 ]; do
    case $1 in
      --learner) learner=true ;;
      --remove-data) remove_data=true ;;
      --remove-software) remove_software=true ;;
      --cluster | --founders | --token | --peers | --reseat | --version | --url | --archive | \
        --sha256-amd64 | --sha256-arm64 | --method | --name | --address | --client-port | \
        --peer-port | --data | --clock | --to)
        [ "$#" -ge 2 ] || die "the option $1 needs a value"
        option=$(printf '%s' "${1#--}" | tr - _)
        # The option's name comes from the list above, so eval sees no foreign text but "$2".
        eval "$option=\$2"
        shift
        ;;
      *) die "\`$command\` has no option \`$1\`" ;;
    esac
    shift
  done
}

place_paths() {
  case $cluster in
    '' | *[!a-z0-9.-]*) die "\`$cluster\` is not a cluster name" ;;
    etcd) unit=etcd.service ;;
    *) unit=etcd-$cluster.service ;;
  esac
  etc=/etc/etcd/$cluster
  pki=$etc/pki
  versions=/opt/etcd/versions
  unit_file=/etc/systemd/system/$unit
  stamp=/run/${unit%.service}/started
}

# Come back into this program under the subcommand's time limit and under the cluster's lock: the
# remote side of a killed `pulumi up` goes on for a while, and the next run must not work beside it.
run_limited() {
  case $1 in
    binary | seat) limit=600 ;;
    rollout | leave) limit=300 ;;
    *) limit=120 ;;
  esac
  exec 9>"/run/lock/etcd-node.$cluster"
  flock -w 60 9 ||
    die "another etcd-node has been at work on cluster $cluster for a minute; see \`fuser -v /run/lock/etcd-node.$cluster\`"
  ETCD_NODE_LIMIT=$limit
  export ETCD_NODE_LIMIT
  exec timeout -k 10 "$limit" sh "$0" "$@"
}

timed_out() {
  trap - TERM
  journal_tail >&2
  die "gave up after $ETCD_NODE_LIMIT s while $doing; it is safe to run this again"
}

journal_tail() {
  say "the end of \`journalctl -u $unit\`:"
  journalctl -u "$unit" -n 15 -o cat --no-pager 2>/dev/null | cut -c 1-400 | sed 's/^/  /'
}

config_value() { # the value of a top-level key of etcd's configuration
  awk -v key="$1:" '$1 == key { sub(/^[^:]*: */, ""); gsub(/"/, ""); print; exit }' "$etc/etcd.yaml"
}

load_instance() {
  [ -s "$etc/etcd.yaml" ] ||
    die "this machine has no instance of cluster $cluster ($etc/etcd.yaml is missing); \`pulumi up\` makes one"
  name=$(config_value name)
  data=$(config_value data-dir)
  peer_url=$(config_value initial-advertise-peer-urls)
  client_url=$(config_value advertise-client-urls)
}

holds_member() { [ -d "$data/member/wal" ] && [ -n "$(ls -A "$data/member/wal" 2>/dev/null)" ]; }

unit_state() { systemctl show -p ActiveState --value "$unit"; }

# A queued job has not begun to change the unit's state yet.
job_is_queued() { [ "$(systemctl show -p Job --value "$unit")" != '' ] && [ "$(systemctl show -p Job --value "$unit")" != 0 ]; }

architecture() {
  case $(uname -m) in
    x86_64) say amd64 ;;
    aarch64) say arm64 ;;
    *) uname -m ;;
  esac
}

# Replace file $1 by standard input, atomically; $2 is the mode, $3 the owner.
put() {
  cat >"$1.new"
  chown "$3" "$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
}

# Print section $1 of the text in $2: the lines between `--- $1` and the next `--- `.
section() {
  printf '%s\n' "$2" | awk -v wanted="--- $1" '/^--- / { on = ($0 == wanted); next } on'
}

fingerprint() { # of all that a restart would change: configuration, unit, CA bundle
  cat "$etc/etcd.yaml" "$unit_file" "$pki/ca.crt" 2>/dev/null | sha256sum | cut -c 1-64
}

# What the process that starts now is started with. Called by the unit.
do_stamp() {
  { fingerprint && readlink "/opt/etcd/clusters/$cluster"; } >"$stamp.new"
  mv -f "$stamp.new" "$stamp"
}
