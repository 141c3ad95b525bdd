# ---- options, places, time limits -------------------------------------------

# Not yet as it should be: fail, and leave the reason in $why_not for who gives up waiting.
fault() { why_not=$* && return 1; }

# The state that a timed-out subcommand names in its last line.
doing=starting
# Set while a member joins that never had data.
newcomer=""

parse_options() {
  cluster=etcd founders='' token='' peers='' learner=false reseat=0 repair=0
  version='' url='' archive='' sha256_amd64='' sha256_arm64='' method=archive
  name='' instance='' yes=false address='' client_port=2379 peer_port=2380 data='' clock=''
  to='' owner='' lost='' remove_data=false remove_software=false revoked=''
  textfile='' save=false
  grants='' roles='' users='' remove=false
  shift
  while [ "$#" -gt 0 ]; do
    case $1 in
      --learner) learner=true ;;
      --remove-data) remove_data=true ;;
      --remove-software) remove_software=true ;;
      --remove) remove=true ;;
      --save) save=true ;;
      --yes) yes=true ;;
      --read | --write | --readwrite)
        { [ "$#" -ge 3 ] && [ "$2" != range ]; } || [ "$#" -ge 4 ] ||
          die "the option $1 needs key KEY, prefix PREFIX or range FIRST END"
        grant=$(permission_line "${1#--}" "$2" "$3" "${4:-}")
        grants=$(lines "$grants" "$grant")
        [ "$2" != range ] || shift
        shift 2
        ;;
      --role | --user)
        [ "$#" -ge 2 ] || die "the option $1 needs a value"
        check_name "${1#--}" "$2"
        case $1 in
          --role) roles=$(lines "$roles" "$2") ;;
          --user) users=$(lines "$users" "$2") ;;
        esac
        shift
        ;;
      --cluster | --founders | --token | --peers | --reseat | --repair | --version | --url | --archive | \
        --sha256-amd64 | --sha256-arm64 | --method | --name | --instance | --address | --client-port | \
        --peer-port | --textfile | --data | --clock | --to | --owner | --lost)
        [ "$#" -ge 2 ] || die "the option $1 needs a value"
        option=$(printf '%s' "${1#--}" | tr - _)
        # The option's name comes from the list above, so eval sees no foreign text but "$2".
        eval "$option=\$2"
        shift
        ;;
      --revoked)
        # For people to read: what is refused stands in the list on standard input.
        [ "$#" -ge 2 ] || die "the option $1 needs a value"
        revoked="${revoked:+$revoked, }$2"
        shift
        ;;
      *) die "\`$command\` has no option \`$1\`" ;;
    esac
    shift
  done
  for number in "$reseat" "$repair"; do
    case $number in '' | *[!0-9]*) die "--reseat and --repair need a number, not \`$number\`" ;; esac
  done
}

place_paths() {
  case $cluster in
    '' | .* | *[!a-z0-9.-]*) die "\`$cluster\` is not a cluster name" ;;
    etcd) unit=etcd.service ;;
    *) unit=etcd-$cluster.service ;;
  esac
  etc=/etc/etcd/$cluster
  pki=$etc/pki
  versions=/opt/etcd/versions
  running=/opt/etcd/clusters/$cluster
  units=/etc/systemd/system
  unit_file=$units/$unit
  # No cluster's name has an underscore, so no cluster's unit is called like another's exporter.
  exporter=${unit%.service}_exporter
  exporter_units="$exporter.service $exporter.timer $exporter.socket $exporter@.service"
  itself=/usr/local/sbin/etcd-node
  etcdctl=/usr/local/sbin/etcdctl
  # Root's alone: a file that root writes must not stand where etcd's user can put a link.
  run=/run/etcd-node
  stamp=$run/$cluster.started
  founding=$run/$cluster.founding
  leader_seen=$run/$cluster.leader
  metrics_file=$run/$cluster.prom
  clock_seen=$run/$cluster.clock
  snapshots=/var/lib/etcd-node/$cluster
}

# Come back into this program under the subcommand's time limit and under a lock: the remote side
# of a killed `pulumi up` goes on for a while, and the next run must not work beside it. The
# programs serve all clusters of a machine and are put there beside the other files.
run_limited() {
  case $1 in
    binary | seat | rollout) limit=600 ;;
    leave) limit=300 ;;
    *) limit=120 ;;
  esac
  case $1 in
    preflight) ;;
    binary) lock programs ;;
    claim | erase)
      # Other clusters on this machine are looked at, and what serves them all.
      lock machine
      exec 8>&9
      lock "$cluster"
      ;;
    *) lock "$cluster" ;;
  esac
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
  awk -v key="$1:" '$1 == key { sub(/^[^:]*: */, ""); gsub(/["'\'']/, ""); print; exit }' "$etc/etcd.yaml"
}

load_instance() {
  [ -s "$etc/etcd.yaml" ] ||
    die "this machine has no instance of cluster $cluster ($etc/etcd.yaml is missing); \`pulumi up\` makes one"
  name=$(config_value name)
  data=$(config_value data-dir)
  real=$(readlink -m "$data")
  new_peer_url=$(config_value initial-advertise-peer-urls)
  # Until the rollout has announced another peer port, the cluster knows the former one.
  former_peer_url=$(cat "$etc/former-peer-url" 2>/dev/null || say "$new_peer_url")
  peer_url=$former_peer_url
  client_url=$(config_value advertise-client-urls)
}

holds_member() { [ -d "$data/member/wal" ] && [ -n "$(ls -A "$data/member/wal" 2>/dev/null)" ]; }

# The seat is taken when the member has been part of the cluster once, see seal_seat.
seat_is_taken() { grep -qs '^# The seat is taken' "$etc/seat.yaml"; }

unit_state() { systemctl show -p ActiveState --value "$unit"; }

architecture() {
  case $(uname -m) in
    x86_64) say amd64 ;;
    aarch64) say arm64 ;;
    *) uname -m ;;
  esac
}

# So that it shows when somebody else changes a file: note_as_put WHICH FILES...
note_as_put() {
  note=$etc/as-put.$1
  shift
  sha256sum "$@" | put "$note" 644 root:root
}

# ---- what the files say, and what the process was started with

# Of all that a restart would change beside the version: settings, unit, CA bundle, and the keys that
# sign tokens, if there are some.
fingerprint() {
  cat "$etc/settings.yaml" "$unit_file" "$pki/ca.crt" "$pki/token.pub" 2>/dev/null | sha256sum | cut -c 1-12
}

what_the_files_say() { say "$(fingerprint) $(readlink "$running")"; }

# Called by the unit before each start.
do_stamp() {
  # Of the last start, which would be taken for this one's when this one's cannot be written.
  rm -f "$stamp"
  data=$(config_value data-dir)
  # First, since the unit takes no notice of how this ends, and what follows ends where a disk is full.
  withdraw_founding
  if seat_is_taken && ! holds_member; then
    say "$data holds no member any more. It does not start without its data, which could cost the cluster data; \`pulumi up\` says what to do"
  elif holds_data_of_another; then
    say "the data in $data/member are those of another member of this cluster, so etcd is not started with them"
    systemctl stop --no-block "$unit"
  fi
  mkdir -p "$run"
  { what_the_files_say && { is_composed || say 'with another etcd.yaml'; }; } |
    put "$stamp" 644 root:root
}

# Only the seat step may have a cluster founded, and only while it is at work: whoever starts the unit
# later, a person or a boot, gets a configuration with which etcd refuses to begin.
withdraw_founding() {
  [ "$(config_value initial-cluster-state)" = new ] && ! holds_member && ! founding_is_permitted || return 0
  rm -f "$etc/seat.yaml"
  # On a full disk the configuration that founds would stay.
  (compose_configuration) || systemctl stop --no-block "$unit"
  say "$(config_value name) has no data and was to found cluster $cluster, but the step that may do that is over. It does not start; \`pulumi up\` takes its seat"
}

permit_founding() {
  mkdir -p "$run"
  say "$$" | put "$founding" 600 root:root
}

founding_is_permitted() {
  [ -n "$(find "$founding" -mmin -11 2>/dev/null)" ] && kill -0 "$(cat "$founding")" 2>/dev/null
}

# What starts a member asks for its seat: one that has left, or never joined, would be somebody new.
require_seat() {
  # Also where its leaving was cut off between the two.
  [ ! -e "$etc/left" ] ||
    die "$name has left its cluster, and nothing was started. To have it join again, raise etcd_reseat on its host and run \`pulumi up\`; to be rid of it, delete its line"
  ! seat_is_taken || return 0
  die "$name has not taken its seat in cluster $cluster, and nothing was started; raise etcd_repair on its host and run \`pulumi up\`"
}

started_version() { sed -n '1s|.*/||p' "$stamp" 2>/dev/null || :; }

runs_what_the_files_say() {
  [ "$(unit_state)" = active ] && [ "$(what_the_files_say)" = "$(cat "$stamp" 2>/dev/null)" ] && runs_the_program
}

# A program that was put in the place of another is not what runs.
runs_the_program() {
  process=$(systemctl show -p MainPID --value "$unit")
  [ "$(file_id "/proc/$process/exe")" = "$(file_id "$running/bin/etcd")" ] ||
    [ "$(sha256 "/proc/$process/exe")" = "$(sha256 "$running/bin/etcd")" ]
}

file_id() { stat -L -c %d:%i "$1" 2>/dev/null || say none; }

sha256() { # of a file; nothing when there is none
  sha256sum <"$1" 2>/dev/null | cut -c 1-64
} 2>/dev/null

# Was the number raised by which a stack asks that changes made by hand be undone?
repair_is_asked() { [ "$repair" -gt "$(cat "$etc/repair" 2>/dev/null || say 0)" ]; }

# ---- starting

# A member that does not serve loses nothing by taking its new files at once, and may need them to
# come back; one that serves waits for its rollout. Were it not so, a broken member would keep the
# others from being restarted, and, coming after them, itself from being mended.
restart_if_down() {
  [ "$(unit_state)" != active ] || return 0
  systemctl restart --no-block "$unit"
  say "$name: was down, and is started with its new files"
}

# `systemctl enable` makes systemd read all units again, also when there is nothing to do.
enable_unit() { systemctl is-enabled -q "$unit" 2>/dev/null || systemctl enable -q "$unit"; }

look_at_unit() { # sets $ActiveState, $SubState, $NRestarts and $Job, which is empty without one
  ActiveState='' SubState='' NRestarts=0 Job=''
  eval "$(systemctl show -p ActiveState -p SubState -p NRestarts -p Job "$unit" |
    grep -E '^[A-Za-z]+=[a-z0-9-]+$')"
  [ "$Job" != 0 ] || Job=''
}

# Does this member take part: is it in a quorum, and has it applied what the leader has? Asks
# without a login. That a learner is one is no fault of it, and the alarm CORRUPT stands for all members
# until the one that is corrupt has been replaced.
takes_part() { is_ready "$client_url" '?exclude=non_learner&exclude=data_corruption'; }

# Wait until the member takes part. $1: how many seconds it may take.
await_member() {
  doing="waiting for etcd to be ready"
  begun=$(date +%s)
  told='' waited=0 overlooked=0 shown=0
  look_at_unit
  failures=$NRestarts
  while :; do
    look_at_unit
    # Its start goes on as a job until it is ready.
    [ -z "$newcomer" ] || [ "$ActiveState-$SubState" != activating-start ] || attend_newcomer
    # A queued job has not begun to change the unit's state yet.
    if [ -z "$Job" ]; then
      case $ActiveState in
        active) ! takes_part || return 0 ;;
        inactive) break_off 'it stopped by itself' ;;
        failed) break_off 'it failed' ;;
      esac
    fi
    [ "$NRestarts" -lt $((failures + 3)) ] || break_off 'it fails and is started again and again'
    waited=$(($(date +%s) - begun))
    [ "$waited" -lt "$1" ] || break_off "it has been waiting for a quorum for $1 s"
    [ "$waited" -lt 5 ] || [ -n "$told" ] || [ "$shown" -gt 0 ] || tell_whom_it_waits_for
    sleep 0.05
  done
}

tell_whom_it_waits_for() {
  told=yes
  absent=$(describe_peers | grep -v ': formed$') || return 0
  say "$name: waiting for the others; these are not there:"
  say "$absent"
}

describe_peers() {
  for peer in $(known_peers); do
    say "  - ${peer%%=*} at ${peer#*=}: $(probe "${peer#*=}")"
  done
}

break_off() {
  {
    describe_peers
    journal_tail
  } >&2
  ! is_unknown_to_peers ||
    die "$name was removed from its cluster, which does not know it any more; so it cannot come back with its data. Raise etcd_reseat on this host to have it join again; a copy of its data is kept"
  die "$name does not become ready: $1. Mend what the lines above show and run \`pulumi up\` again"
}

# A member that was removed stops by itself or fails, as far as it had heard of its removal.
is_unknown_to_peers() {
  for peer in $(known_peers); do
    list=$(request "${peer#*=}/members") || continue
    case $list in *"\"$peer_url\""* | *"\"$new_peer_url\""*) return 1 ;; *'"peerURLs"'*) return 0 ;; esac
  done
  return 1
}

# ---- the other members

# `name=peer-url` of all other members, by line: those of the command line and those that this
# member knew when it last took part.
known_peers() {
  { printf '%s\n' "$peers" | tr ',' '\n' && cat "$etc/peers" 2>/dev/null; } |
    awk -F = -v me="$peer_url" 'NF > 1 && $2 != me && !seen[$2]++'
}

remember_peers() {
  list=$(request "$peer_url/members") || return 0
  # Nobody in it would mean that this is the last member.
  read_members "$list" || return 0
  printf '%s\n' "$table" | awk -v me="$peer_url" '$3 != me { print ($2 == "-" ? "member-" $1 : $2) "=" $3 }' |
    put "$etc/peers" 644 root:root
}
