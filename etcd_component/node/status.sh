# ---- status: for the person on the node -------------------------------------

do_status() {
  load_instance
  say "instance    $name of cluster $cluster, data in $data"
  say "unit        $(describe_unit)"
  say "version     $(describe_version)"
  say "files       $(describe_files)"
  say "certificate $(describe_certificate)"
  say "seat        $(describe_seat)"
  describe_members
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
  linked=$(readlink "$running" || say none)
  say "${linked##*/}$(answer=$(request "$client_url/version") && say ", serving $(json etcdserver "$answer"), cluster at $(json etcdcluster "$answer")")"
}

describe_files() {
  if [ "$(unit_state)" != active ]; then
    say 'will be used at the next start'
  elif runs_what_the_files_say; then
    say 'are what the running process was started with'
  else
    say "differ from what runs; \`pulumi up\` rolls them out"
  fi
}

describe_certificate() {
  if ! [ -s "$pki/server.crt" ]; then
    say 'none'
  elif command -v openssl >/dev/null 2>&1; then
    end=$(openssl x509 -noout -enddate -in "$pki/server.crt" 2>/dev/null | sed 's/notAfter=//')
    if openssl x509 -noout -checkend 0 -in "$pki/server.crt" >/dev/null 2>&1; then
      say "valid until $end"
    else
      say "EXPIRED at ${end:-a time that cannot be read}; \`pulumi up\` renews it"
    fi
  else
    say "$pki/server.crt; without openssl its end is not known"
  fi
}

describe_seat() {
  if ! [ -s "$etc/seat.yaml" ]; then
    say "not taken; \`pulumi up\` takes it"
  elif holds_member; then
    say 'taken'
  elif seat_is_taken; then
    say "LOST: $data holds no member any more; \`pulumi up\` says what to do"
  else
    say 'being taken'
  fi
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
