# ---- leave: give up the seat; erase: leave no trace -------------------------

do_leave() {
  if [ ! -s "$etc/etcd.yaml" ] || [ ! -s "$etc/seat.yaml" ]; then
    say "$cluster has no seat on this machine"
    return
  fi
  load_instance
  read_credentials
  others=$(contacts)
  if [ -n "$others" ]; then
    choose_endpoint "$others"
    load_members
    mine=$(own_line)
    if [ -n "$mine" ]; then
      check_quorum_without_me
      give_leadership_away
      doing="being removed from the cluster"
      change_members remove "{\"ID\":\"$(field 1 "$mine")\"}" ||
        die "the cluster does not let $name go: $answer. Nothing was removed here"
      say "$name: removed from the cluster"
    else
      say "$name: the cluster does not know this member any more"
    fi
  else
    say "$name: the last member"
  fi
  systemctl disable -q --now "$unit"
  rm -f "$etc/seat.yaml"
}

# Client URLs of the other members: from the running member itself, else from the peers that the
# last rollout saw.
contacts() {
  if [ "$(unit_state)" = active ]; then
    other_voters
  elif [ -s "$etc/seat.yaml" ]; then
    for url in $(sed -n 's/^initial-cluster: //p' "$etc/seat.yaml" | tr ',' '\n' | sed 's/^[^=]*=//'); do
      [ "$url" != "$peer_url" ] || continue
      member_lines "$(request "$url/members")" |
        awk -v me="$peer_url" '$3 != me && $4 != "-" && $5 == "voter" { print $4 }'
    done | sort -u
  fi
}

check_quorum_without_me() {
  doing="counting the members that stay"
  [ "$(field 5 "$mine")" = voter ] || return 0
  printf '%s\n' "$members" | awk -v me="$peer_url" '$3 != me && $5 == "voter"' >"/run/etcd-node.$cluster.members"
  stay=0 well=0 ill=''
  while read -r _ other _ url _; do
    stay=$((stay + 1))
    if [ "$url" != - ] && is_ready "$url"; then well=$((well + 1)); else ill="$ill $other"; fi
  done <"/run/etcd-node.$cluster.members"
  quorum=$((stay / 2 + 1))
  [ "$well" -ge "$quorum" ] ||
    die "$name cannot leave: of the $stay voters that stay, $quorum must be well, and $well are (not well:$ill). Nothing was removed. Bring them back and run it again"
}

give_leadership_away() {
  [ "$(unit_state)" = active ] || return 0
  status=$(status_of "$endpoint") || die "$endpoint does not give its status: $status"
  [ "$(json leader "$status")" = "$(field 1 "$mine")" ] || return 0
  doing="handing the leadership over"
  target=$endpoint
  log_in "$client_url" || die "$name is the leader and does not answer: $answer"
  answer=$(etcd "$client_url" maintenance/transfer-leadership "{\"targetID\":\"$(json member_id "$status")\"}") ||
    die "$name is the leader and could not hand over: $answer. Nothing was removed"
  endpoint=$target
}

do_erase() {
  data=''
  [ ! -s "$etc/etcd.yaml" ] || load_instance
  doing="stopping etcd"
  if [ -e "$unit_file" ]; then
    systemctl disable -q --now "$unit"
    rm -f "$unit_file"
    systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null || :
  fi
  doing="removing files"
  kept=''
  if [ -n "$data" ] && [ -d "$data" ]; then
    if [ "$remove_data" = true ]; then
      rm -rf "${data:?}"
    else
      kept=" The data stay in $data."
    fi
  fi
  rm -rf "${etc:?}" "/opt/etcd/clusters/$cluster"
  erase_what_is_shared
  say "${name:-$cluster} is off this machine.$kept"
}

# The program, the user and the versions serve every cluster on the machine.
erase_what_is_shared() {
  rmdir /etc/etcd /opt/etcd/clusters 2>/dev/null || :
  [ ! -e /etc/etcd ] || return 0
  if [ "$remove_software" = true ]; then
    if [ -d "$versions/package" ] && command -v apt-get >/dev/null 2>&1; then
      DEBIAN_FRONTEND=noninteractive apt-get -q -y --allow-change-held-packages purge etcd-server etcd-client >&2
    fi
    rm -rf "$versions"
    rmdir /opt/etcd 2>/dev/null || :
  else
    [ ! -d "$versions" ] || kept="$kept etcd's programs stay in $versions."
  fi
  ! grep -qs 'Written by etcd-node' /usr/local/bin/etcdctl || rm -f /usr/local/bin/etcdctl
  [ -n "$kept" ] && [ "$remove_data" != true ] || ! getent passwd etcd >/dev/null || userdel etcd 2>/dev/null || :
  rm -f /run/etcd-node.* /usr/local/sbin/etcd-node
}
