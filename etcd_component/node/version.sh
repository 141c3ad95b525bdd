# ---- version: what it takes to change the minor version ---------------------

minor_of() { # 3.6 of 3.6.16
  case $1 in [0-9]*.*.*) say "${1%.*}" ;; esac
}

older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

follows() { # is minor $2 the next one after minor $1?
  [ "${2%%.*}" = "${1%%.*}" ] && [ "${2#*.}" -eq $((${1#*.} + 1)) ]
}

# The oldest release that etcd's guides allow an upgrade to the minor $1 to start from.
floor_of() {
  case $1 in
    3.6) say 3.5.32 ;;
    3.7) say 3.6.11 ;;
  esac
}

# The version of this member: what runs, else what an unfinished change of version began with, else
# what was started, since somebody may have led the link astray, else what is linked.
own_version() {
  found=$(json etcdserver "$(request_time=3 request "$peer_url/version")")
  [ -n "$found" ] || found=$(version_kept)
  [ -n "$found" ] || [ "$(unit_state)" != active ] || found=$(started_version)
  say "${found:-$(basename "$(readlink "$running" || say none)")}"
}

# ---- the check, before anything is touched

# Asks the members on ports that want no login, so that every step of an update can do it.
check_version_change() {
  from='' wanted=''
  [ -n "$version" ] && seat_is_taken && [ -s "$etc/etcd.yaml" ] || return 0
  load_instance
  # One that has switched and does not run must be free to be mended.
  [ "$(readlink "$running")" != "../versions/$version" ] ||
    { [ -n "$(version_kept)" ] && [ "$(unit_state)" = active ]; } || return 0
  wanted=$(minor_of "$version")
  mine=$(own_version)
  from=$(minor_of "$mine")
  changes_minor || return 0
  doing="asking the members whether they can change to etcd $version"
  follows "$from" "$wanted" || follows "$wanted" "$from" || refuse_to_skip "$from"
  await_survey || refuse_version "$why_not. Mend that and run \`pulumi up\` again"
  check_minors
  check_learners_and_floor
}

# Does what was checked lead to another minor?
changes_minor() { [ -n "$from" ] && [ "$from" != "$(minor_of "$version")" ]; }

refuse_version() { die "$name does not change from etcd $mine to $version, and no member was touched: $*"; }

refuse_to_skip() { # from minor $1
  if older "$1" "$wanted"; then step=1; else step=-1; fi
  refuse_version "etcd goes from one minor version to the next, never over one. Set etcd_version to a release of ${1%%.*}.$((${1#*.} + step)) first"
}

await_survey() { # as survey_members, with some patience
  give_up=$(($(date +%s) + 10))
  until survey_members; do
    [ "$(date +%s)" -lt "$give_up" ] || return 1
    sleep 0.5
  done
}

# Sets $survey to a line `NAME VERSION CLUSTER-VERSION STORAGE-VERSION ROLE PEER-URL CLIENT-URL` for
# each member; fails with the reason in $why_not while one does not answer or is not well.
survey_members() {
  list=$(members_by_anyone)
  [ -n "$list" ] || fault "no member answers" || return
  survey=$(printf '%s\n' "$list" | while read -r id other peer url kind; do
    [ "$other" != - ] || other="member-$id"
    if seen=$(request_time=3 request "$peer/version") && [ -n "$(json etcdserver "$seen")" ]; then
      storage=$(json storage "$seen")
      say "$other $(json etcdserver "$seen") $(json etcdcluster "$seen") ${storage:--} $kind $peer $url"
    else
      say "$other does not answer at $peer"
    fi
  done)
  case $survey in *' does not answer at '*) fault "$(printf '%s\n' "$survey" | grep -m 1 ' does not answer at ')" || return ;; esac
  unhealthy=$(printf '%s\n' "$survey" | while read -r other _ _ _ _ _ url; do
    health=$(request_time=5 request "$url/health")
    case $health in
      *'"health":"true"'*) ;;
      *'ALARM'*) say "the alarm $(json reason "$health" | sed 's/ALARM //') is raised: \`etcdctl alarm list\` says where" ;;
      *) say "$other is not healthy: $(json reason "$health")" ;;
    esac
  done | head -n 1)
  [ -z "$unhealthy" ] || fault "$unhealthy"
}

members_by_anyone() { # the member lines, by whoever answers first
  for url in "$peer_url" $(known_peers | sed 's/^[^=]*=//'); do
    list=$(request_time=3 request "$url/members") || continue
    member_lines "$list"
    return
  done
}

# The members run the minor that is left and at most the wanted one, so that a change which was not
# finished may be finished or turned back, and nothing else begun.
check_minors() {
  minors=$(minors_that_run)
  for minor in $minors; do
    [ "$minor" = "$wanted" ] || [ "$minor" = "$from" ] ||
      refuse_version "the members run etcd $(printf '%s' "$minors" | tr '\n' ' ' | sed 's/ / and /g'), a change that was not finished. Set etcd_version to a release of one of these first"
  done
}

check_learners_and_floor() {
  floor=''
  ! older "$from" "$wanted" || floor=$(floor_of "$wanted")
  while read -r other runs _ _ kind _; do
    [ "$kind" = voter ] ||
      refuse_version "$other is a learner. Take its etcd_learner or its line away first"
    [ "$(minor_of "$runs")" = "$wanted" ] || [ -z "$floor" ] || ! older "$runs" "$floor" ||
      refuse_version "$other runs etcd $runs, and $wanted may only follow $floor or later. Set etcd_version to such a release of $from first"
  done <<END
$survey
END
}

# A member that joins is sent what the others wrote, and etcd allows it only what they run.
refuse_to_join_another_minor() { # $1: the peer URL of a member
  theirs=$(json etcdserver "$(request "$1/version")")
  [ -z "$version" ] || [ -z "$theirs" ] || [ "$(minor_of "$theirs")" = "$(minor_of "$version")" ] ||
    die "$name would join with etcd $version, but the cluster runs $theirs; it was not added. Let the members change their version and others join in two steps: set etcd_version to $theirs, or take this instance's line out until the others run $version"
}

# ---- the snapshot before an upgrade

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
  mv -f "$file.part" "$file"
  # The last three upgrades' are enough, and a disk that fills is a danger of its own.
  find "$snapshots" -name 'before-*.db' -printf '%T@ %p\n' | sort -rn | sed -n '4,$s/^[^ ]* //p' |
    while read -r old; do rm -f "$old"; done
  say "$name: snapshot before the upgrade in $file ($(snapshot_contents "$file"))"
}

snapshot_contents() {
  utility=$running/bin/etcdutl
  if [ -x "$utility" ]; then
    shown=$("$utility" snapshot status "$1" -w json) ||
      die "etcdutl cannot read the snapshot $1; nothing was changed"
    say "revision $(json revision "$shown"), $(json totalKey "$shown") keys, $(json totalSize "$shown") bytes"
  else
    say "$(stat -c %s "$1") bytes"
  fi
}

# ---- before the restart of one member

# Called behind the gate, with a login: all that must be so before this member changes its minor.
prepare_version_change() {
  wanted=$(minor_of "$version")
  from=$(minor_of "$mine")
  changes_minor || return 0
  await_survey || die "$name is not restarted: $why_not. Mend that and run \`pulumi up\` again"
  if older "$from" "$wanted"; then
    call_off_downgrade
    ! nobody_has_begun || ensure_snapshot
  else
    begin_downgrade
  fi
}

downgrade_enabled() { # may this cluster be downgraded just now? asks without a login
  [ "$(request "$peer_url/downgrade/enabled")" = true ]
}

cluster_minor() { minor_of "$(json etcdcluster "$(request "$peer_url/version")")"; }

# etcd's own procedure: it is told where to go, writes its data as the older minor would, and only
# then the members are restarted with it. A cluster that never finished its upgrade needs none of it.
begin_downgrade() {
  doing="preparing the data for etcd $wanted"
  if nobody_has_begun && ! downgrade_enabled; then
    await_cluster_minor "$from" ||
      die "$name is not restarted: the members run etcd $from, but the cluster is still at $(cluster_minor). It is safe to run this again"
  fi
  if [ "$(cluster_minor)" != "$wanted" ] && ! heads_for "$wanted"; then
    call_off_downgrade
    for action in VALIDATE ENABLE; do
      answer=$(etcd "$endpoint" maintenance/downgrade "{\"action\":\"$action\",\"version\":\"$wanted\"}") ||
        refuse_version "etcd does not go back to $wanted: $(said "$answer")"
    done
    say "$name: the cluster prepares its data for etcd $wanted"
  fi
  prepared=''
  give_up=$(($(date +%s) + 60))
  until data_are_ready; do
    prepared=yes
    [ "$(date +%s)" -lt "$give_up" ] || {
      call_off_downgrade
      journal_tail >&2
      refuse_version "$why_not after a minute, so something is in use that $wanted does not know; the lines above may name it"
    }
    sleep 0.3
  done
  # That took a while.
  [ -z "$prepared" ] || gate
}

heads_for() { # is a downgrade to minor $1 on its way?
  downgrade_enabled || return 1
  case $(status_of "$endpoint") in *'"downgradeInfo":'*"\"targetVersion\":\"$1."*) ;; *) return 1 ;; esac
}

data_are_ready() {
  survey_members || return
  while read -r other runs reached storage _; do
    [ "$(minor_of "$reached")" = "$wanted" ] || fault "the cluster is at $reached for $other" || return
    # 3.5 says nothing of its storage, and 3.6 does not name that of 3.5.
    case $storage in "$wanted".* | -) ;; *) fault "the data of $other are those of etcd $storage" || return ;; esac
  done <<END
$survey
END
}

call_off_downgrade() {
  downgrade_enabled || return 0
  answer=$(etcd "$endpoint" maintenance/downgrade '{"action":"CANCEL"}') ||
    case $answer in
      *'no inflight downgrade'*) return 0 ;;
      *) die "the downgrade that was begun cannot be called off: $(said "$answer")" ;;
    esac
  say "$name: the downgrade that was begun is called off"
}

# ---- entries that 3.7 cannot read

# 3.7 panics at entries that 3.5 wrote about its members, when it meets them behind its newest raft
# snapshot; 3.6 writes those snapshots rarely. So 3.6 is made to write one first.
leave_old_entries_behind() {
  [ "$(minor_of "$mine")" = 3.6 ] && [ "$(minor_of "$version")" = 3.7 ] && log_has_old_entries || return 0
  if [ "$(unit_state)" = active ]; then hand_over_leadership; fi
  keep_configuration
  sed 's/^snapshot-count:.*/snapshot-count: 1/' "$etc/etcd.yaml.before" | put "$etc/etcd.yaml" 644 root:root
  link_version "$mine"
  restart_member
  doing="waiting for a raft snapshot"
  applied=$(metric etcd_server_proposals_applied_total)
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

metric() { request "$client_url/metrics" | awk -v name="$1" '$1 == name { printf "%.0f", $2 }'; }

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

# ---- the switch, and the way back

# What etcd read before the switch stands beside the new, headed by the version that read it.
keep_configuration() {
  [ "$(version_kept)" != "$mine" ] || return 0
  { say "# Of etcd $mine" && cat "$etc/etcd.yaml"; } | put "$etc/etcd.yaml.before" 644 root:root
}

version_kept() { sed -n '1s/^# Of etcd //p' "$etc/etcd.yaml.before" 2>/dev/null || :; }

switch_version() {
  keep_configuration
  link_version "$version"
  compose_configuration
  # Not as a condition, which would let the shell go on after an error.
  set +e
  (set -e; restart_member)
  broken=$?
  set -e
  [ "$broken" -eq 0 ] || put_back
}

# The new version does not run here. The old one can, as long as the cluster has not gone on.
put_back() {
  doing="putting etcd $mine back"
  stays="$name does not become ready with etcd $version (see above); the others were left alone"
  others_at=$(for peer in $(known_peers | sed 's/^[^=]*=//'); do
    minor_of "$(json etcdcluster "$(request_time=3 request "$peer/version")")"
  done | sort -V | tail -n 1)
  [ -z "$others_at" ] || ! older "$(minor_of "$mine")" "$others_at" ||
    die "$stays. etcd $mine cannot be put back, because the cluster is at $others_at already. Mend what the lines above show and run \`pulumi up\` again"
  [ "$(reported_version "$versions/$mine/bin/etcd")" = "$mine" ] ||
    die "$stays. etcd $mine cannot be put back, because it is not on this machine any more. Mend what the lines above show and run \`pulumi up\` again"
  link_version "$mine"
  sed 1d "$etc/etcd.yaml.before" | put "$etc/etcd.yaml" 644 root:root
  set +e
  (set -e; restart_member)
  broken=$?
  set -e
  [ "$broken" -eq 0 ] ||
    die "$stays. etcd $mine was put back and does not become ready either. Mend what the lines above show and run \`pulumi up\` again"
  rm -f "$etc/etcd.yaml.before"
  die "$stays. etcd $mine was put back and runs again. Mend what the lines above show, or set etcd_version back, and run \`pulumi up\` again"
}

# ---- after the last member

# Quick where nothing is to be told: no change of version, or none of the minor.
confirm_version() {
  wanted=$(minor_of "$version")
  reached=$(cluster_minor)
  if [ "$reached" = "$wanted" ]; then
    was=$(minor_of "$(version_kept)")
    [ -n "$was" ] && [ "$was" != "$wanted" ] || return 0
  else
    [ -n "$reached" ] && follows "$reached" "$wanted" || return 0
  fi
  await_survey || {
    warn "whether the cluster is at etcd $wanted is not known yet: $why_not"
    return 0
  }
  [ "$(minors_that_run)" = "$wanted" ] || return 0
  doing="waiting until the cluster is at etcd $wanted"
  if older "$reached" "$wanted" && downgrade_enabled; then
    log_in_near
    call_off_downgrade
  fi
  await_cluster_minor "$wanted" ||
    die "all members run etcd $wanted, but the cluster is still at $(cluster_minor). It is safe to run this again"
  say "$name: all members run $version, the cluster is at $wanted"
}

# etcd looks at its members' versions every four seconds, and ends a downgrade when it looks, too.
await_cluster_minor() {
  give_up=$(($(date +%s) + 30))
  until [ "$(cluster_minor)" = "$1" ] && ! downgrade_enabled; do
    [ "$(date +%s)" -lt "$give_up" ] || return 1
    sleep 0.2
  done
}
