# ---- snapshot: what is saved before an upgrade ------------------------------

# Every member looks who leads, and the leader takes the snapshot. What was seen is noted, since the
# leadership may move on before the first restart; see ensure_snapshot.
snapshot_before_upgrade() {
  [ -n "$from" ] && older "$from" "$wanted" && nobody_has_begun || return 0
  read_credentials
  choose_endpoint "$client_url"
  look_at_leader "$client_url"
  [ "$leader" != "$(json member_id "$status")" ] || take_snapshot "$client_url"
  say "$version $leader $term $(date +%s)" | put "$leader_seen" 600 root:root
}

nobody_has_begun() { # does no member run the wanted minor yet?
  case $(minors_that_run) in *"$wanted"*) return 1 ;; esac
}

minors_that_run() { # by line, as the survey says
  printf '%s\n' "$survey" | awk 'NF { sub(/\.[0-9]+$/, "", $2); print $2 }' | sort -uV
}

look_at_leader() { # sets $status, $leader and $term, by client URL $1
  status=$(status_of "$1") || die "$1 gives no status: $(said "$status")"
  leader=$(json leader "$status") term=$(json raftTerm "$status")
}

# At the first restart: the leader has not changed since each member looked, so its node has the
# snapshot; or it is taken now, from the leader of now.
ensure_snapshot() {
  look_at_leader "$endpoint"
  seen=$(cat "$leader_seen" 2>/dev/null || say "none 0")
  [ "${seen% *}" != "$version $leader $term" ] || [ $(($(date +%s) - ${seen##* })) -ge 900 ] || return 0
  load_members
  go_to_leader
  choose_endpoint "$endpoint"
  take_snapshot "$endpoint"
  gate
}

# etcdctl would want the password in its environment or arguments; so it is the gateway's stream,
# which is JSON, one record a line. The last 32 bytes of the file are the SHA-256 of all others.
take_snapshot() { # from the member at client URL $1, which $status is of
  doing="taking a snapshot before the upgrade"
  file=$snapshots/before-$version-from-$mine.db
  (umask 077 && mkdir -p "$snapshots")
  needed=$(($(json dbSize "$status") / 1048576 + 64))
  free=$(free_mib "$snapshots")
  [ "$free" -ge "$needed" ] ||
    die "a snapshot is taken before an upgrade, and needs $needed MiB in $snapshots, where $free are free; nothing was changed. Free that much"
  (umask 077 && request_time=500 request "$1/v3/maintenance/snapshot" '{}' "$etcd_token" |
    sed -n "s/.*\"blob\":\"\([^\"]*\)\".*/\1/p;t;w $file.said" | base64 -d >"$file.part") || :
  [ "$(head -c -32 "$file.part" | sha256sum | cut -c 1-64)" = "$(tail -c 32 "$file.part" | od -An -v -tx1 | tr -d ' \n')" ] || {
    answer=$(cat "$file.said")
    rm -f "$file.part" "$file.said"
    die "the snapshot that is taken before an upgrade did not come whole from $1: $(said "$answer"). Nothing was changed; it is safe to run this again"
  }
  rm -f "$file.said"
  # It is what an upgrade is turned back with, so it is read before anything is changed.
  snapshot_contents "$file.part"
  mv -f "$file.part" "$file"
  # The last three upgrades' are enough, and a disk that fills is a danger of its own.
  find "$snapshots" -name 'before-*.db' -printf '%T@ %p\n' | sort -rn | sed -n '4,$s/^[^ ]* //p' |
    while read -r old; do rm -f "$old"; done
  say "$name: snapshot before the upgrade in $file ($contents)"
}

snapshot_contents() { # sets $contents, of the snapshot in file $1
  utility=$running/bin/etcdutl
  if [ -x "$utility" ]; then
    snapshot_status=$("$utility" snapshot status "$1" -w json) && [ -n "$(json revision "$snapshot_status")" ] || {
      rm -f "$1"
      die "etcdutl cannot read the snapshot that is taken before an upgrade ($1); no member was touched. Look at what it says above, and run \`pulumi up\` again"
    }
    contents="revision $(json revision "$snapshot_status"), $(json totalKey "$snapshot_status") keys, $(json totalSize "$snapshot_status") bytes"
  else
    contents="$(stat -c %s "$1") bytes"
  fi
}

# ---- entries that 3.7 cannot read

# 3.7 panics at entries that 3.5 wrote about its members, when it meets them behind its newest raft
# snapshot; 3.6 writes those snapshots rarely. So 3.6 is made to write one first.
leave_old_entries_behind() {
  [ "$(minor_of "$mine")" = 3.6 ] && [ "$(minor_of "$version")" = 3.7 ] && log_has_old_entries || return 0
  hand_over_leadership
  keep_configuration
  sed 's/^snapshot-count:.*/snapshot-count: 1/' "$etc/etcd.yaml.before" | put "$etc/etcd.yaml" 644 root:root
  link_version "$mine"
  restart_member
  doing="waiting for a raft snapshot"
  applied=$(metric etcd_server_proposals_applied_total)
  [ -n "$applied" ] || die "$name: etcd $mine does not say how many entries it has applied, without which 3.7 is not started here. Run \`pulumi up\` again"
  give_up=$(($(date +%s) + 60))
  until [ $((0x$(newest_raft_snapshot))) -ge $((applied - 1)) ]; do
    [ "$(date +%s)" -lt "$give_up" ] || die "$name: etcd $mine writes no raft snapshot, without which 3.7 cannot start here"
    sleep 0.1
  done
  settle
  say "$name: restarted with $mine once more, to leave entries of etcd 3.5 behind"
  gate
}

newest_raft_snapshot() { # its index in hexadecimal
  newest=0
  for file in "$data"/member/snap/*.snap; do
    [ ! -e "$file" ] || newest=${file##*-}
  done
  say "${newest%.snap}"
}

# Files of the log whose successor begins before the newest raft snapshot are not read any more.
log_has_old_entries() {
  covered=$((0x$(newest_raft_snapshot)))
  read_from=''
  for file in "$data"/member/wal/*.wal; do
    first=${file##*-}
    [ -n "$read_from" ] && [ $((0x${first%.wal})) -gt "$covered" ] || read_from=''
    read_from="$read_from $file"
  done
  # shellcheck disable=SC2086 # a list of files, whose names etcd makes
  grep -aqE '/0/(members/[0-9a-f]+/attributes|version)' $read_from
}
