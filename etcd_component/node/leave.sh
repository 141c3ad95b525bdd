# ---- leave: give up the seat; erase: leave no trace -------------------------

do_leave() {
  if [ ! -s "$etc/etcd.yaml" ] || [ ! -s "$etc/seat.yaml" ]; then
    say "$cluster has no seat on this machine"
    return
  fi
  load_instance
  read_credentials
  doing="looking for the other members"
  ask_for_members
  if [ -n "$others" ]; then
    choose_endpoint "$others"
    load_members
    mine=$(own_line)
    if [ -n "$mine" ]; then
      await_quorum_without_me
      give_leadership_away
      doing="being removed from the cluster"
      change_members 120 remove "{\"ID\":\"$(field 1 "$mine")\"}" ||
        case $answer in
          # A removal whose answer was lost.
          *'member not found'*) ;;
          *) die "the cluster does not let $name go: $(said "$answer"). Nothing was removed here" ;;
        esac
      say "$name: removed from the cluster"
    else
      say "$name: the cluster does not know this member any more"
    fi
  elif [ -n "$(known_peers)" ]; then
    die "$name cannot leave: no other member answers, and they would keep counting on it. Nothing was removed:
$(describe_peers)
  Bring them back and run it again. A cluster that is to end as a whole is taken down with \`pulumi destroy\`"
  elif seat_is_taken && ! [ -e "$etc/peers" ]; then
    die "$name cannot leave: it does not answer, and $etc/peers, where the other members are noted, is missing, so nobody can be asked. Nothing was removed. Have it run (\`systemctl restart $unit\`) and run this again"
  else
    say "$name: the last member"
  fi
  doing="stopping etcd"
  systemctl disable -q --now "$unit"
  # It is known to have left until it is erased, or joins again by way of those that it knew.
  cat "$etc/peers" 2>/dev/null | put "$etc/left" 644 root:root
  rm -f "$etc/seat.yaml" "$etc/peers" "$etc/reseat" "$founding"
  compose_configuration
  [ ! -d "$real" ] || write_mark "left=$(date +%Y-%m-%d)"
}

# Sets $others to the client URLs of the other started voters: as this member's own peer port knows
# them, else as those tell that it knew when it last took part. Keeps what is known up to date, so
# that nobody else in it means that there is nobody else.
ask_for_members() {
  if list=$(request "$peer_url/members"); then
    read_members "$list" || die "$name cannot leave: $why_not. Nothing was removed"
    others=$(printf '%s\n' "$table" | voters_among)
    remember_peers
    return
  fi
  others=$(for peer in $(known_peers); do
    member_lines "$(request "${peer#*=}/members")" | voters_among
  done | sort -u)
}

# Another that leaves at the same time may just have handed the leadership over, and for a moment
# nobody is well.
await_quorum_without_me() {
  [ "$(field 5 "$mine")" = voter ] || return 0
  doing="counting the members that stay"
  wait_until=$(($(date +%s) + 15))
  until quorum_stays_without_me; do
    [ "$(date +%s)" -lt "$wait_until" ] ||
      die "$name cannot leave: $why_not. Nothing was removed. Bring them back and run it again"
    sleep 0.3
    choose_again
    load_members
  done
}

quorum_stays_without_me() {
  own_id=$(field 1 "$mine") stay=0 well=0 ill=''
  [ -n "$own_id" ] || fault "it is not in the member list" || return
  each_row count_who_stays "$members" || return
  [ "$stay" -gt 0 ] || die "$name cannot leave: it is the only voter. Nothing was removed"
  quorum=$((stay / 2 + 1))
  [ "$well" -ge "$quorum" ] ||
    fault "of the $stay voters that stay, $quorum must be well, and $well are (not well:$ill)"
}

count_who_stays() { # a member line
  { [ "$1" != "$own_id" ] && [ "$5" = voter ]; } || return 0
  stay=$((stay + 1))
  if [ "$4" = - ]; then
    ill="$ill $1 (never started)"
  # The corrupt member may be the one that leaves, and the alarm stands for all.
  elif is_ready "$4" '?exclude=data_corruption'; then
    well=$((well + 1))
  else
    ill="$ill $2"
  fi
}

give_leadership_away() {
  [ "$(unit_state)" = active ] || return 0
  doing="handing the leadership over"
  give_up=$(($(date +%s) + 15))
  while i_am_leader; do
    # $endpoint belongs to another voter, which has just shown that it is well.
    if answer=$(etcd "$(field 4 "$mine")" maintenance/transfer-leadership "{\"targetID\":\"$(json member_id "$status")\"}"); then
      say "$name: handed the leadership over"
      return
    fi
    [ "$(date +%s)" -lt "$give_up" ] ||
      die "$name is the leader and could not hand over: $(said "$answer"). Nothing was removed"
    sleep 0.3
  done
}

i_am_leader() {
  until status=$(status_of "$endpoint"); do choose_again; done
  [ "$(json leader "$status")" = "$(field 1 "$mine")" ]
}

do_erase() {
  name='' data='' real=''
  if [ -s "$etc/claim" ]; then
    name=$held_name data=$(claim_value data) real=$(claim_value real-data)
  elif [ -s "$etc/etcd.yaml" ]; then
    load_instance
  elif [ -n "$owner" ]; then
    # Nothing here is known to be this instance's, snapshots that an erasure left no more than a unit.
    unit_file='' exporter_units='' snapshots=''
  fi
  doing="stopping etcd"
  if [ -n "$unit_file" ] && [ -e "$unit_file" ]; then
    # A leader that stops cleanly looks for an heir for seconds, in vain when all members stop.
    [ "$remove_data" != true ] || systemctl kill -s KILL "$unit" 2>/dev/null || :
    systemctl disable -q --now "$unit"
    rm -f "$unit_file"
    systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null || :
  fi
  take_exporter_away
  doing="removing files"
  kept='' data_stay=false
  [ -z "$real" ] || ! [ -d "$real" ] || erase_data
  [ -z "$name" ] || erase_uploads
  [ ! -d "$snapshots" ] || erase_snapshots
  # The claim goes last, so that one that is cut off here can be run again.
  [ ! -d "$etc" ] || find "$etc" -mindepth 1 ! -path "$etc/claim" -delete
  rm -rf "$running" "$stamp" "$leader_seen" "$clock_seen" "$founding"
  erase_what_is_shared
  forget_locks "$cluster" machine
  say "${name:-$cluster} is off this machine.$kept"
}

erase_data() {
  if [ "$remove_data" != true ]; then
    data_stay=true
    kept=" Its data stay in $data."
    return
  fi
  below=$(mounts_below "$real")
  if [ "$(readlink -m "$data")" != "$real" ]; then
    data_stay=true
    kept=" $data leads to $(readlink -m "$data"), and not to $real, where ${name:-it} had its data: none were removed."
  elif [ -n "$below" ]; then
    data_stay=true
    kept=" Its data stay in $real, because $below is mounted there: unmount it and remove them."
  else
    remove_data_directory
    kept=" Its data in $real are deleted."
  fi
}

# What an upload has left that was never installed, in the home directory of who logs in here.
erase_uploads() {
  home=$(getent passwd "${SUDO_UID:-0}" | cut -d : -f 6)
  # Root is nobody in a home on another machine's disk, and that must not keep the rest here.
  [ ! -d "$home" ] || (cd "$home" && rm -f etcd-*-"$name"-*.tar.gz) || :
}

erase_snapshots() {
  if [ "$remove_data" = true ]; then
    rm -rf "${snapshots:?}"
    rmdir "${snapshots%/*}" 2>/dev/null || :
  else
    kept="$kept Its snapshots stay in $snapshots."
  fi
}

# The program, the user and the versions serve every cluster on the machine.
erase_what_is_shared() {
  if [ -n "$(find /etc/etcd -mindepth 1 -maxdepth 1 ! -name "$cluster" 2>/dev/null)" ]; then
    rm -rf "${etc:?}"
    return
  fi
  rmdir "${running%/*}" 2>/dev/null || :
  if [ "$remove_software" = true ]; then
    erase_software
  elif [ -d "$versions" ]; then
    kept="$kept The programs stay in $versions."
  fi
  ! grep -qs 'Written by etcd-node' "$etcdctl" || rm -f "$etcdctl"
  # Data that stay keep their owner.
  if [ "$data_stay" = false ] && getent passwd etcd | grep -q 'etcd (etcd-node)'; then
    userdel etcd || :
  fi
  rm -rf "${etc:?}"
  rmdir /etc/etcd 2>/dev/null || :
  rm -f "$itself"
  # Without waiting: who holds it may itself wait for what this one holds, and finds it as it was.
  flock -n "$run/locks/programs.lock" rm -f "$run/locks/programs.lock" 2>/dev/null || :
}

erase_software() {
  if [ -d "$versions/package" ]; then
    if command -v apt-get >/dev/null 2>&1; then
      DEBIAN_FRONTEND=noninteractive apt-get -q -y --allow-change-held-packages purge etcd-server etcd-client >&2 ||
        warn "apt-get could not remove etcd-server and etcd-client"
    elif command -v dnf >/dev/null 2>&1; then
      dnf -y -q remove etcd >&2 || warn "dnf could not remove etcd"
    fi
  fi
  rm -rf "${versions:?}"
  rmdir "${versions%/*}" 2>/dev/null || :
}
