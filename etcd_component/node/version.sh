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
