# ---- reseat: a member whose data are there, and which cannot run with them ----

# Was the number raised by which a stack asks that this member be removed and joined again?
reseat_is_asked() { [ "$reseat" -gt "$(cat "$etc/reseat" 2>/dev/null || say 0)" ]; }

# What was begun for this number stands in a file, until all of it is done: `NUMBER KEPT-COPY`.
reseat_begun() { [ "$(cut -d ' ' -f 1 "$etc/reseat-begun" 2>/dev/null)" = "$reseat" ]; }
kept_copy() { sed 's/^[0-9]* *//' "$etc/reseat-begun" 2>/dev/null || :; }

# Is what the data directory holds what it held when the number was raised?
holds_former_data() {
  kept=$(kept_copy)
  ! reseat_begun || [ -z "$kept" ] || ! [ -e "$kept" ]
}

note_reseat() {
  reseat_is_asked || return 0
  say "$reseat" | put "$etc/reseat" 644 root:root
  kept=$(kept_copy)
  if reseat_begun && [ -n "$kept" ] && [ -e "$kept" ]; then
    say "$name: its former data are kept in $kept; delete them when nobody needs them"
  fi
  rm -f "$etc/reseat-begun"
}

# The number was raised and the data are here: is there reason to set them aside?
must_set_data_aside() {
  reseat_is_asked && holds_former_data && { [ -s "$etc/seat.yaml" ] || marked_as_mine; } || return 1
  ! is_corrupt || return 0
  refuse_without_the_disk
  [ -e "$running" ] || link_version "$version"
  enable_unit
  look_at_unit
  case $ActiveState-$SubState in
    active-* | activating-start*) ;;
    *) systemctl restart --no-block "$unit" ;;
  esac
  why_not=''
  if takes_part_within 60; then
    say "$name: runs and takes part; its data stay, etcd_reseat was not needed"
    return 1
  fi
}

# Sets $why_not when it fails.
takes_part_within() { # $1: seconds
  doing="looking whether $name can run with its data"
  begun=$(date +%s)
  look_at_unit
  failures=$NRestarts
  while :; do
    look_at_unit
    if [ -z "$Job" ]; then
      case $ActiveState in
        active) ! takes_part || return 0 ;;
        inactive) fault 'it stopped by itself' || return ;;
        failed) fault 'it failed' || return ;;
      esac
    fi
    [ "$NRestarts" -lt $((failures + 2)) ] || fault 'it fails and is started again and again' || return
    [ $(($(date +%s) - begun)) -lt "$1" ] || fault "it was not ready within $1 s" || return
    sleep 0.2
  done
}

# Does the cluster say that this member's data are corrupt?
is_corrupt() {
  list=$(request "$peer_url/members") || look_for_list || return 1
  log_in_quietly "$(member_lines "$list" | voters_among)" || return 1
  load_members
  mine=$(own_line)
  alarms=$(etcd "$endpoint" maintenance/alarm '{"action":"GET"}') ||
    die "$name: the alarms cannot be read: $(said "$alarms"). Nothing was changed"
  [ -n "$mine" ] && corrupt_members "$alarms" | grep -qxF "$(field 1 "$mine")" || return 1
  why_not='the alarm CORRUPT is raised for its data'
}

corrupt_members() { # IDs, by line, of those for which the alarms in $1 have CORRUPT
  printf '%s' "$1" | awk '{
    count = split($0, parts, /\{/)
    for (i = 1; i <= count; i++)
      if (parts[i] ~ /"alarm": *"CORRUPT"/ && match(parts[i], /"memberID": *"[0-9]+"/)) {
        id = substr(parts[i], RSTART, RLENGTH)
        gsub(/[^0-9]/, "", id)
        print id
      }
  }'
}

look_for_list() { # sets $list to what some peer says on its peer port
  for peer in $(known_peers); do
    list=$(request_time=3 request "${peer#*=}/members") || continue
    case $list in *'"peerURLs"'*) return 0 ;; esac
  done
  return 1
}

log_in_quietly() { # at one of the client URLs $1, without patience
  for endpoint in $1; do
    doing="logging in at $endpoint"
    ! log_in "$endpoint" || return 0
  done
  return 1
}

refuse_without_the_disk() {
  missing=$(missing_mount)
  [ -z "$missing" ] ||
    die "$name: /etc/fstab has a disk for $missing, and it is not mounted, so what $data shows is not the member's data. Mount it (\`mount $missing\`) and run \`pulumi up\` again; if that disk is gone, take its line out of /etc/fstab first. Nothing was changed"
}

# All that could refuse is asked before anything is changed.
put_own_data_aside() {
  look_at_crash
  cause=$why_not${crash:+ ($crash)}
  [ "$crash_kind" != machine ] ||
    die "$name does not run, but other data would not mend that: $crash. Mend it and run \`pulumi up\` again; its data were not touched"
  look_at_peers
  [ -n "$formed" ] ||
    die "$name cannot run with its data ($cause), and no other member answers, so it keeps them:${hindrances:-}${idle:-}
  Bring the others back and run \`pulumi up\` again; a cluster of one is brought back by restoring a snapshot. Nothing was changed"
  first=${formed# }
  first=${first%% *}
  list=$(request "$first/members") || die "the peer at $first does not give its member list: $(said "$list")"
  refuse_to_join_another_minor "$list"
  members=$(member_lines "$list")
  mine=$(own_line)
  # Without a quorum nobody serves a login.
  check_quorum_of_others
  choose_endpoint "$(printf '%s\n' "$members" | voters_among)"
  reference=$(status_of "$endpoint") || die "$endpoint gives no status: $(said "$reference"). Nothing was changed"
  check_room_for_copy
  warn_of_writes_only_here
  copy=$data/member.before-reseat-$(date -u +%Y%m%d-%H%M%S)
  [ ! -e "$copy" ] || copy=$copy-$$
  say "$reseat $copy" | put "$etc/reseat-begun" 644 root:root
  doing="stopping etcd"
  systemctl stop "$unit"
  # It has been a member, also where the run that founded was cut off before it was written down.
  seat_is_taken || put_taken_seat
  doing="setting the data aside"
  mv "$data/member" "$copy"
  sync "$data" 2>/dev/null || sync
  say "$name: $cause; its data are set aside in $copy, and it joins again with those of the others"
}

# Removing a member is a decision of all voters as they are counted now, and what is left must be
# able to go on without it. Needs $members and $mine.
check_quorum_of_others() {
  doing="counting the members that do not lack anything"
  voters=0 healthy=0 absent=''
  # IDs are longer than the numbers that awk can tell apart.
  for id in $(printf '%s\n' "$members" | awk '$5 == "voter" { print $1 }'); do
    line=$(printf '%s\n' "$members" | awk -v id="$id" '$1 "" == id ""')
    url=$(field 4 "$line")
    voters=$((voters + 1))
    [ "$id" != "$(field 1 "$mine")" ] || continue
    if [ "$url" != - ] && has_leader "$url"; then
      healthy=$((healthy + 1))
    else
      absent="$absent $(field 2 "$line")"
    fi
  done
  [ "$voters" -gt 0 ] || die "the member list of the others cannot be read; nothing was changed"
  [ "$healthy" -ge $((voters / 2 + 1)) ] ||
    die "$name is not removed to join again: of $voters voters $((voters / 2 + 1)) must be healthy without it, and $healthy are${absent:+ (not healthy:$absent)}. $(
      if [ "$voters" -le 2 ]; then
        say "A cluster of $voters can spare nobody: restore a snapshot into a new cluster"
      else
        say "Bring the others back and run \`pulumi up\` again; if none will come back, restore a snapshot into a new cluster"
      fi
    ). Nothing was changed"
}

# An alarm CORRUPT stops the reads by which etcd shows that it is ready, so the leader is what counts.
has_leader() { request_time=3 request "$1/metrics" | grep -qx 'etcd_server_has_leader 1'; }

# The copy stays where it is, so the disk must hold the others' data beside it.
check_room_for_copy() {
  needed=$(awk -v size="$(json dbSize "$reference")" 'BEGIN { printf "%d", size / 1048576 + 192 }')
  free=$(free_mib "$data")
  [ "${free:-0}" -ge "$needed" ] ||
    die "$name: a copy of its data is kept, and beside it ${free:-0} MiB are free under $data; $needed MiB are needed for the data of the others. Make room and run \`pulumi up\` again. Nothing was changed"
}

# The highest entry that the data here are known to hold: by the names of their files, and in the last
# piece of the log.
warn_of_writes_only_here() {
  last=$(find "$data/member" -type f 2>/dev/null | sed -n 's/.*\/[0-9a-f]*-\([0-9a-f]\{16\}\)\.\(snap\|wal\)$/\1/p' | sort | tail -n 1)
  highest=$(printf '%d' "0x${last:-0}")
  piece=$(find "$data/member/wal" -name '*.wal' 2>/dev/null | sort | tail -n 1)
  in_log=$([ -z "$piece" ] || last_entry_in "$piece")
  [ "${in_log:-0}" -le "$highest" ] || highest=$in_log
  read_at_start=$(journalctl -u "$unit" -n 3000 -o cat -a --no-pager 2>/dev/null)
  theirs=$(json raftIndex "$reference")
  own_cluster=$(printf '%s\n' "$read_at_start" | sed -n 's/.*"cluster-id":"\([0-9a-f]*\)".*/\1/p' | tail -n 1)
  their_cluster=$(printf '%x' "$(json cluster_id "$reference")")
  reason=''
  if [ -n "$own_cluster" ] && [ "$own_cluster" != "$their_cluster" ]; then
    reason="they are those of another cluster ($own_cluster; the others are $their_cluster)"
  elif [ "$highest" -gt "${theirs:-0}" ]; then
    reason="they reach entry $highest, the others only ${theirs:-0}"
  else
    case $crash in *'conflict with committed'*) reason='they have other entries than the others, who may have been set back' ;; esac
  fi
  [ -z "$reason" ] ||
    warn "$name: its data may hold writes that the others lack: $reason. Look at the kept copy before you delete it"
}

# The index of the last entry in a file of etcd's log: frames of a length (8 bytes, the highest of them
# padding), and a record of type, checksum and data, of which type 2 is an entry of raft.
last_entry_in() {
  od -An -v -tu1 -w4096 "$1" 2>/dev/null | awk '
    function varint(   value, factor) {
      value = 0
      factor = 1
      while (at < kept) {
        value += (bytes[at] % 128) * factor
        factor *= 128
        if (bytes[at++] < 128) break
      }
      return value
    }
    function read_record(   tag, type) {
      at = 0
      type = 0
      while (at < kept) {
        tag = varint()
        if (tag == 8) type = varint()
        else if (tag == 16) varint()
        else { if (tag == 26) varint(); break }
      }
      while (type == 2 && at < kept) {
        tag = varint()
        if (tag == 8 || tag == 16) varint()
        else { if (tag == 24) last = varint(); break }
      }
    }
    {
      for (i = 1; i <= NF; ) {
        if (left == 0) {
          if (head == 7) {
            left = size + ($i >= 128 ? $i % 8 : 0)
            if (size == 0) exit
            head = size = kept = 0
          } else size += $i * 256 ^ head++
          i++
        } else if (kept < 64) {
          bytes[kept++] = $i
          i++
          if (--left == 0) read_record()
        } else {
          step = NF - i + 1
          if (left < step) step = left
          i += step
          left -= step
          if (left == 0) read_record()
        }
      }
    }
    END { printf "%d", last }'
}

# What was raised for a member that is gone bars every new one from becoming ready.
disarm_alarms_of_the_gone() {
  alarms=$(etcd "$endpoint" maintenance/alarm '{"action":"GET"}') ||
    die "the alarms cannot be read: $(said "$alarms")"
  for id in $(corrupt_members "$alarms"); do
    ! printf '%s\n' "$members" | grep -q "^$id " || continue
    answer=$(etcd "$endpoint" maintenance/alarm "{\"action\":\"DEACTIVATE\",\"memberID\":\"$id\",\"alarm\":\"CORRUPT\"}") ||
      die "the alarm CORRUPT of the removed member $id is not disarmed: $(said "$answer")"
    say "$name: the alarm CORRUPT of the removed member $(printf '%x' "$id") is disarmed"
  done
}

# A database without its log is taken up again by an etcd that joins, with entries it never had.
set_leftovers_aside() {
  [ -e "$data/member" ] || return 0
  [ -n "$(find "$data/member" -type f 2>/dev/null | head -n 1)" ] || return 0
  [ "$(unit_state)" != active ] || die "$name runs; its data are not touched"
  systemctl stop "$unit" 2>/dev/null || :
  copy=$data/member.before-reseat-$(date -u +%Y%m%d-%H%M%S)
  [ ! -e "$copy" ] || copy=$copy-$$
  mv "$data/member" "$copy"
  say "$name: $data/member held no whole member; it is set aside in $copy"
}
