# ---- status: what is here, for the person on the node and for `make status` --

do_status() {
  load_instance
  say "instance    $name of cluster $cluster, data in $data"
  say "unit        $(describe_unit)"
  say "version     $(describe_version)"
  say "files       $(describe_files)"
  say "certificate $(describe_certificate)"
  say "seat        $(describe_seat)"
  words=$(describe_crash)
  [ -z "$words" ] || say "crash       $words"
  describe_members
}

# The same for a program: one `name=value` a line, some names more than once. What the stack wanted
# is not known here, so the files are shown as they are. None of them is secret.
do_facts() {
  say "owner=$(claim_value owner)"
  say "program=$(sha256 "$itself")"
  [ -s "$etc/etcd.yaml" ] || { say 'seat=none' && say_data && return; }
  load_instance
  say_data
  look_at_unit
  say "unit=$ActiveState"
  say "starts_at_boot=$(yes_if systemctl is-enabled -q "$unit")"
  say "unit_is_loaded=$(yes_if unit_is_loaded)"
  systemctl show -p DropInPaths --value "$unit" | tr ' ' '\n' | sed -n 's/^./drop_in=&/p'
  say "version=$(linked_version)"
  say "reported=$(reported_version "$running/bin/etcd")"
  say "runs_the_files=$(yes_if runs_what_the_files_say)"
  say "etcd.yaml=$(settings_in_use | encoded)"
  say "settings.yaml=$(encoded <"$etc/settings.yaml")"
  say "composed=$(yes_if is_composed)"
  say "unit_file=$(encoded <"$unit_file")"
  say "ca.crt=$(sha256 "$pki/ca.crt")"
  say "server.crt=$(sha256 "$pki/server.crt")"
  say "revoked.crl=$(encoded <"$pki/revoked.crl")"
  say "exporter=$(exporter_units_in_use)"
  say "seat=$(seat_state)"
  say "reseat=$(cat "$etc/reseat" 2>/dev/null || say 0)"
  list=$(request_time=3 request "$peer_url/members") || return 0
  member_lines "$list" | sed 's/^/member=/'
}

# What is where the data should be; --data says where, on a machine that has no configuration.
say_data() {
  [ -n "$data" ] || return 0
  say "data=$(data_state)"
  say "missing_mount=$(missing_mount | head -n 1)"
  say "file_system=$(type_of_file_system)"
  [ -s "$etc/etcd.yaml" ] || return 0
  look_at_crash
  say "crash=$crash"
  say "crash_kind=$crash_kind"
}

data_state() {
  if holds_member; then
    say whole
  elif [ -n "$(find "$data/member" -type f 2>/dev/null | head -n 1)" ]; then
    say part
  else
    say none
  fi
}

# What etcd reads, less how the seat was taken.
settings_in_use() { grep -Ev '^(# |initial-cluster(-state|-token)?: )' "$etc/etcd.yaml"; }

yes_if() { if "$@" 2>/dev/null; then say yes; else say no; fi; }

encoded() { base64 | tr -d '\n'; } 2>/dev/null

unit_is_loaded() { [ "$(systemctl show -p NeedDaemonReload --value "$unit")" = no ]; }

linked_version() {
  linked=$(readlink "$running" || say none)
  say "${linked##*/}"
}

describe_unit() {
  look_at_unit
  text="$unit is $ActiveState ($SubState)"
  if [ "$ActiveState" = active ]; then
    text="$text since $(systemctl show -p ActiveEnterTimestamp --value "$unit")"
  fi
  [ "$NRestarts" -eq 0 ] || text="$text, restarted $NRestarts times by systemd"
  systemctl is-enabled -q "$unit" 2>/dev/null || text="$text; does not start at boot"
  say "$text"
}

describe_version() {
  say "$(linked_version)$(answer=$(request "$client_url/version") && say ", serving $(json etcdserver "$answer"), cluster at $(json etcdcluster "$answer")")"
}

describe_files() {
  if ! is_composed; then
    say "differ from what was put here: etcd.yaml was changed by hand, or a change of version is under way"
  elif [ "$(unit_state)" != active ]; then
    say 'will be used at the next start'
  elif runs_what_the_files_say; then
    say 'are what the running process was started with'
  else
    say "differ from what runs; \`pulumi up\` rolls them out"
  fi
}

describe_certificate() {
  end=$(certificate_ends "$pki/server.crt" | sed -n 's/^1 //p')
  if ! [ -s "$pki/server.crt" ]; then
    say 'none'
  elif [ -z "$end" ]; then
    say "cannot be read; \`pulumi up\` with a raised etcd_repair puts it back"
  elif [ "$end" -gt "$(date +%s)" ]; then
    say "valid until $(date -u -d "@$end" '+%Y-%m-%d %H:%M:%S UTC')"
  else
    say "EXPIRED at $(date -u -d "@$end" '+%Y-%m-%d %H:%M:%S UTC'); \`pulumi up\` renews it"
  fi
}

seat_state() {
  if ! [ -s "$etc/seat.yaml" ]; then
    say 'not-taken'
  elif holds_member; then
    say 'taken'
  elif seat_is_taken; then
    say 'lost'
  else
    say 'being-taken'
  fi
}

describe_seat() {
  case $(seat_in_cluster) in
    not-taken) say "not taken; \`pulumi up\` takes it" ;;
    lost) say "LOST: $data holds no $([ "$(data_state)" = none ] || say 'whole ')member any more$(missing=$(missing_mount | head -n 1) && [ -n "$missing" ] && say ", and $missing is not mounted"); \`make status\` says what to do" ;;
    being-taken) say 'being taken' ;;
    gone) say "GONE: $name was removed from its cluster, which goes on without it; it stays down" ;;
    taken) say 'taken' ;;
  esac
}

# The same, and whether its cluster knows it still.
seat_in_cluster() {
  state=$(seat_state)
  if [ "$state" = taken ] && [ "$(unit_state)" != active ] && is_unknown_to_peers; then state=gone; fi
  say "$state"
}

describe_members() {
  if ! list=$(request "$peer_url/members"); then
    say "members     this one does not answer: $(said "$list")"
    describe_peers
    return
  fi
  say "members   ID               role    state"
  member_lines "$list" | while read -r id other peer url kind; do
    state=$(probe "$peer")
    # `formed` is the word of those who look for a cluster; a person wants to know if it runs.
    [ "$state" != formed ] || state=runs
    ! leads "$url" || kind=leader
    [ "$peer" != "$peer_url" ] || state="$state, this one"
    printf '  %-7s %016x %-7s %s at %s\n' "$other" "$id" "$kind" "$state" "$peer"
  done
}

leads() { # is the member at client URL $1 the leader, in its own opinion?
  [ "$1" != - ] && request_time=2 request "$1/metrics" | grep -qx 'etcd_server_is_leader 1'
}
