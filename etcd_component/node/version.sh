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
  survey='' broken_learners=''
  list=$(members_by_anyone) || fault "no member answers" || return
  read_members "$list" || return
  each_row survey_member "$table" || return
  each_row survey_health "$survey" || return
  [ "$examined" -gt 0 ] || fault "no member tells its version"
}

survey_member() { # a member line
  case $2 in -) surveyed="member-$1" ;; *) surveyed=$2 ;; esac
  if their_versions=$(request_time=3 request "$3/version") && [ -n "$(json etcdserver "$their_versions")" ]; then
    storage=$(json storage "$their_versions")
    survey="${survey:+$survey
}$surveyed $(json etcdserver "$their_versions") $(json etcdcluster "$their_versions") ${storage:--} $5 $3 $4"
  elif [ "$5" = learner ]; then
    # It counts for no quorum, and a change of version may be what it waits for.
    broken_learners="$broken_learners $surveyed at $3"
  else
    fault "$surveyed does not answer at $3"
  fi
}

survey_health() { # a line of $survey
  health=$(request_time=5 request "$7/health")
  case $health in
    *'"health":"true"'*) ;;
    *'ALARM'*) fault "the alarm $(json reason "$health" | sed 's/ALARM //') is raised: \`etcdctl alarm list\` says where" ;;
    *) [ "$5" = learner ] || fault "$1 is not healthy: $(json reason "$health")" ;;
  esac
}

members_by_anyone() { # the member list, by whoever answers first
  for url in "$peer_url" $(known_peers | sed 's/^[^=]*=//'); do
    ! request_time=3 request "$url/members" || return 0
  done
  return 1
}

# The members run the minor that is left and at most the wanted one, so that a change which was not
# finished may be finished or turned back, and nothing else begun.
check_minors() {
  minors=$(minors_that_run)
  [ -n "$minors" ] || refuse_version "the versions of the members cannot be read"
  for minor in $minors; do
    [ "$minor" = "$wanted" ] || [ "$minor" = "$from" ] ||
      refuse_version "the members run etcd $(printf '%s' "$minors" | tr '\n' ' ' | sed 's/ / and /g'), a change that was not finished. Set etcd_version to a release of one of these first"
  done
}

check_learners_and_floor() {
  floor=''
  ! older "$from" "$wanted" || floor=$(floor_of "$wanted")
  # What was begun must be finished or turned back, whatever a learner lacks.
  begun_already=''
  nobody_has_begun || begun_already=yes
  [ -z "$broken_learners" ] || [ -n "$begun_already" ] ||
    refuse_version "a learner does not run:$broken_learners. Take its line away first"
  each_row check_learner_and_floor "$survey"
  [ -z "$broken_learners" ] || warn "$name: the change of version goes on without a learner that does not run:$broken_learners"
}

check_learner_and_floor() { # a line of $survey
  [ "$5" = voter ] || [ -n "$begun_already" ] ||
    refuse_version "$1 is a learner. Take its etcd_learner or its line away first"
  [ "$(minor_of "$2")" = "$wanted" ] || [ -z "$floor" ] || ! older "$2" "$floor" ||
    refuse_version "$1 runs etcd $2, and $wanted may only follow $floor or later. Set etcd_version to such a release of $from first"
}

# A member that joins is sent what the others wrote, and etcd allows it only what they run. So all
# voters are asked, as the member list $1 has them: in a change of version that was not finished some
# run what this one would run, and the leader does not, and then it never starts.
refuse_to_join_another_minor() {
  [ -n "$version" ] || return 0
  read_members "$1" || die "$name was not added: $why_not"
  versions_there='' silent_there=''
  each_row note_version_there "$table"
  [ -n "$versions_there" ] || die "$name was not added: no voter tells which version it runs:$silent_there. Bring them back and run \`pulumi up\` again"
  apart='' apart_version='' together=''
  each_row note_other_minor "$versions_there"
  if [ -n "$apart" ] && [ -n "$together" ]; then
    die "$name would join with etcd $version, but the members run different minor versions:$together,$apart; it was not added. A change of version was not finished: take this instance's line out, run \`pulumi up\` until all members run one version, and then add it again"
  elif [ -n "$apart" ]; then
    die "$name would join with etcd $version, but the cluster runs $apart_version; it was not added. Let the members change their version and others join in two steps: set etcd_version to $apart_version, or take this instance's line out until the others run $version"
  fi
  [ -z "$silent_there" ] || warn "$name: these voters do not tell their version:$silent_there"
}

note_version_there() { # a member line
  [ "$5" = voter ] && [ "$3" != "$peer_url" ] || return 0
  runs_there=$(json etcdserver "$(request_time=3 request "$3/version")")
  if [ -n "$runs_there" ]; then
    versions_there="${versions_there:+$versions_there
}$2 $runs_there"
  else
    silent_there="$silent_there $2 at $3"
  fi
}

note_other_minor() { # name and version of a voter
  if [ "$(minor_of "$2")" = "$(minor_of "$version")" ]; then
    together="${together:+$together,} $1 $2"
  else
    [ "$(minor_of "${apart_version:-$2}")" = "$(minor_of "$2")" ] || together=' '
    apart="${apart:+$apart,} $1 $2" apart_version=$2
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
