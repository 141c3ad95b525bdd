# ---- rollout: restart the member safely, if it runs something else than the files say

do_rollout() {
  load_instance
  require_seat
  read_credentials
  # Now all files are as the stack says.
  [ "$repair" -eq 0 ] || say "$repair" | put "$etc/repair" 644 root:root
  [ -n "$version" ] || version=$(basename "$(readlink "$running" || say none)")
  tell_changes_by_hand
  if [ "$(readlink "$running")" = "../versions/$version" ] && runs_what_the_files_say; then
    await_member 90
    use_new_peer_url
    remember_peers
    say "$name: runs what the files say; no restart"
    [ -z "$(version_kept)" ] || confirm_version
  else
    [ -x "$versions/$version/bin/etcd" ] || die "etcd $version is not on this machine; \`pulumi up\` puts it there"
    restart_safely
  fi
  rm -f "$etc/etcd.yaml.before"
}

restart_safely() {
  mine=$(own_version)
  handed_to='' heir='' gated=''
  if [ "$(unit_state)" = active ]; then
    gate
    prepare_version_change
  fi
  leave_old_entries_behind
  # One that was down came up meanwhile, perhaps: nobody has been asked about it.
  if [ -n "$gated" ] && [ "$(unit_state)" = active ]; then
    announce_peer_url
    hand_over_leadership
  fi
  if [ "$mine" = "$version" ]; then
    compose_configuration
    link_version "$version"
    restart_member
  else
    switch_version
  fi
  use_new_peer_url
  settle
  [ -s "$stamp" ] || die "$name was restarted, but what it was started with is not noted in $run, so every update would restart it again. Free space there and run \`pulumi up\` again"
  say "$name: restarted${handed_to:+ after $handed_to took over as leader}; $(role_among "$table"), in sync"
  confirm_version
}

tell_changes_by_hand() {
  ! changed_by_hand ||
    warn "$name: $etc/etcd.yaml, $unit_file or $pki/ca.crt was changed by hand; \`make status\` says what, and a raised etcd_repair puts it back"
}

changed_by_hand() {
  [ -n "$to" ] || return 1
  [ "$to" = "$(fingerprint)" ] || return 0
  [ "$(readlink "$running")" = "../versions/$version" ] && ! is_composed
}

# ---- another peer port

# The others must know the new peer URL before the member listens there. One that is down cannot be
# asked who it is, and is announced when it runs.
announce_peer_url() {
  [ -s "$etc/former-peer-url" ] || return 0
  doing="announcing the peer URL $new_peer_url"
  load_members
  own=$(own_line)
  [ "$(field 3 "$own")" != "$new_peer_url" ] || return 0
  change_members 30 update "{\"ID\":\"$(field 1 "$own")\",\"peerURLs\":[\"$new_peer_url\"]}" ||
    die "the cluster does not take $new_peer_url as the peer URL of $name: $(said "$answer"). It was not restarted; run \`pulumi up\` again"
  say "$name: the cluster knows it at $new_peer_url"
}

use_new_peer_url() { # once the process listens there
  [ -s "$etc/former-peer-url" ] || return 0
  peer_url=$new_peer_url
  log_in_near
  announce_peer_url
  rm -f "$etc/former-peer-url"
}

# ---- the gate: may this member be away for a moment?

# All other voters must be well, as one cluster, without an alarm. A cluster of one has nobody to ask.
# A learner counts for no quorum, so it holds up nothing: this restart may be what mends it.
gate() {
  gated=yes
  can_note_starts || die "$name is not restarted: nothing can be written in $run, where is noted what a member was started with. Free space there (\`df $run\`) and run \`pulumi up\` again"
  log_in_near
  give_up=$(($(date +%s) + 60))
  doing="looking at the other members before the restart"
  until examine_others; do
    # One that has gone down meanwhile has nothing to lose.
    [ "$(unit_state)" = active ] || return 0
    [ "$(date +%s)" -lt "$give_up" ] ||
      die "$name is not restarted, since the cluster could lose its quorum: $why_not. Mend that and run \`pulumi up\` again; a member that will not come back goes first with etcd_lost on its host"
    sleep 0.5
  done
  each_row remove_abandoned "$table"
  [ -z "$ailing" ] || warn "$name: restarted although the learner is not well, which counts for no quorum:$ailing"
}

# All declared members have their seats before the first rollout begins, so a learner that never
# started belongs to a join that failed and was given up. Nobody else would remove it, and etcd takes
# no other learner while it is there.
remove_abandoned() { # a member line
  [ "$5" = learner ] && [ "$4" = - ] || return 0
  ailing=''
  if answer=$(etcd "$endpoint" cluster/member/remove "{\"ID\":\"$1\"}"); then
    say "$name: the member $1 at $3, a learner that never started, is removed from the cluster"
  else
    warn "$name: the member $1 at $3, a learner that never started, cannot be removed: $(said "$answer")"
  fi
}

can_note_starts() {
  noted=no
  if mkdir -p "$run" && what_the_files_say >"$stamp.try"; then noted=yes; fi 2>/dev/null
  rm -f "$stamp.try"
  [ "$noted" = yes ]
}

# Sets $why_not when it fails, else $my_id and $leader to IDs, and $heir to ID and name of the voter
# with the lowest number; none in a cluster of one. Members are rolled out by their numbers, so that
# one has been restarted already and need not hand over again.
examine_others() {
  my_id='' heir='' lowest='' ailing=''
  list=$(etcd "$endpoint" cluster/member/list '{}') || fault "$endpoint gives no member list: $(said "$list")" || return
  read_members "$list" || return
  examine_alarms || return
  reference=$(status_of "$endpoint") || fault "$endpoint gives no status: $(said "$reference")" || return
  leader=$(json leader "$reference")
  case $leader in '' | 0) fault "there is no leader" || return ;; esac
  { [ -n "$(json cluster_id "$reference")" ] && [ -n "$(json raftAppliedIndex "$reference")" ]; } ||
    fault "the status of $endpoint cannot be read" || return
  each_row examine_row "$table" || return
  [ -n "$my_id" ] || fault "$endpoint does not list $name as a member"
}

examine_row() { # a member line
  id=$1 other=$2 peer=$3 their_url=$4 kind=$5
  case $peer in "$peer_url" | "$new_peer_url") my_id=$id served=$their_url && return ;; esac
  if [ "$kind" = learner ]; then
    examine_member || ailing="$ailing $why_not."
  else
    examine_member
  fi
}

examine_alarms() {
  alarms=$(etcd "$endpoint" maintenance/alarm '{"action":"GET"}') || fault "the alarms cannot be read: $(said "$alarms")" || return
  case $alarms in
    *NOSPACE*) raises_quota || fault "the alarm NOSPACE is raised: compact and defragment, then \`etcdctl alarm disarm\`; or raise etcd_quota" ;;
    *'"alarm":'*) fault "the alarm $(json alarm "$alarms") is raised: \`etcdctl alarm list\` says where" ;;
  esac
}

# Is a larger quota what this restart brings? It is a cure, and the alarm stands until it is disarmed.
raises_quota() {
  awk -v now="$(metric etcd_server_quota_backend_bytes)" -v wanted="$(config_value quota-backend-bytes)" \
    'BEGIN { exit !(now + 0 > 0 && wanted + 0 > now + 0) }'
}

examine_member() { # $id, $other, $peer, $their_url, $kind: of a member besides this one
  [ "$their_url" != - ] || fault "member $id at $peer never started" || return
  theirs=$(status_of "$their_url") || {
    # A learner serves no login, so it cannot be asked while other tokens than its own are rolled out.
    case $kind:$theirs in learner:*'invalid auth token'*) ! is_ready "$their_url" '?exclude=non_learner' || return 0 ;; esac
    fault "$other at $their_url does not answer: $(said "$theirs")" || return
  }
  [ -n "$(json raftAppliedIndex "$theirs")" ] || fault "the status of $other cannot be read" || return
  [ "$(json cluster_id "$theirs")" = "$(json cluster_id "$reference")" ] || fault "$other is in another cluster" || return
  [ "$(json leader "$theirs")" = "$leader" ] || fault "$other follows another leader" || return
  # That alarm has been looked at before.
  case $(printf '%s' "$theirs" | sed 's/"memberID:[0-9]* alarm:NOSPACE *",*//g') in *'"errors":["'*) fault "$other reports: $(json errors "$theirs")" || return ;; esac
  lag=$(lag_between "$reference" "$theirs")
  [ "$lag" -lt 1000 ] || fault "$other is $lag entries behind" || return
  [ "$kind" = voter ] || return 0
  is_ready "$their_url" || fault "$other is not ready" || return
  number=${other##*-}
  case $number in '' | *[!0-9]*) number=999999999 ;; esac
  [ -n "$lowest" ] && [ "$number" -gt "$lowest" ] || { lowest=$number && heir="$id $other"; }
}

lag_between() { # how many applied entries the second status is behind the first
  awk -v ahead="$(json raftAppliedIndex "$1")" -v behind="$(json raftAppliedIndex "$2")" \
    'BEGIN { lag = ahead - behind; print (lag > 0 ? lag : 0) }'
}

# ---- the leader hands over first

hand_over_leadership() {
  [ -n "$heir" ] && [ "$leader" = "$my_id" ] || return 0
  doing="handing the leadership over"
  answer=$(etcd "$served" maintenance/transfer-leadership "{\"targetID\":\"${heir%% *}\"}") ||
    die "$name is the leader and could not hand over to ${heir#* }: $(said "$answer")"
  handed_to=${heir#* }
}

# ---- the restart

restart_member() {
  doing="restarting etcd"
  enable_unit
  systemctl restart --no-block "$unit"
  await_member 90
  seal_seat
}

# The next member may only go when this one takes part again, which it does now, and the others see
# it. This is asked without a login, which the restarted member would need anew.
settle() {
  give_up=$(($(date +%s) + 60))
  doing="waiting until the others see the restarted member"
  list=$(request "$peer_url/members") || die "$name was restarted, but gives no member list: $(said "$list")"
  read_members "$list" || die "$name was restarted, but $why_not"
  own=$(own_among "$table")
  [ -n "$own" ] || die "$name was restarted, but is not in its own member list"
  hex=$(printf '%x' "$(field 1 "$own")")
  until others_see_it; do
    [ "$(date +%s)" -lt "$give_up" ] || {
      journal_tail >&2
      die "$name was restarted, but $why_not; the others were left alone"
    }
    sleep 0.05
  done
}

others_see_it() {
  voters_asked=0 voters_that_see=0
  each_row sees_it "$table" || return
  # It is ready, so a quorum has it in sight.
  [ "$voters_asked" -eq 0 ] || [ "$voters_that_see" -gt 0 ] || fault "no other voter says whether it has a connection to it"
}

sees_it() { # a member line
  { [ "$1" != "$(field 1 "$own")" ] && [ "$4" != - ] && [ "$5" = voter ]; } || return 0
  voters_asked=$((voters_asked + 1))
  case $(streams_from "$4") in
    # One that is down is the gate's business, and not this member's fault.
    '') ;;
    *[1-9]*) voters_that_see=$((voters_that_see + 1)) ;;
    *) fault "$2 has no connection to it" || return ;;
  esac
}

# The count of streams that the member at client URL $1 holds to the peer with ID $hex. Nothing when
# it does not answer.
streams_from() {
  request "$1/metrics" | awk -v peer="Remote=\"$hex\"" '
    /^etcd_server_has_leader/ { answers = 1 }
    index($0, "etcd_network_active_peers{") == 1 && index($0, peer) { count = $NF }
    END { if (answers) print count + 0 }'
}
