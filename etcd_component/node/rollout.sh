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
  say "$name: restarted${handed_to:+ after $handed_to took over as leader}; $(role_among "$(cat "$member_table")"), in sync"
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

# All others must be well, as one cluster, without an alarm. A cluster of one has nobody to ask.
gate() {
  give_up=$(($(date +%s) + 60))
  log_in_near
  gated=yes
  doing="looking at the other members before the restart"
  until examine_others; do
    # One that has gone down meanwhile has nothing to lose.
    [ "$(unit_state)" = active ] || return 0
    [ "$(date +%s)" -lt "$give_up" ] ||
      die "$name is not restarted, since the cluster could lose its quorum: $why_not. Mend that and run \`pulumi up\` again"
    sleep 0.5
  done
}

# Sets $why_not when it fails, else $me and $leader to IDs, and $heir to ID and name of the voter
# with the lowest number; none in a cluster of one. Members are rolled out by their numbers, so that
# one has been restarted already and need not hand over again.
examine_others() {
  me='' heir='' lowest=''
  list=$(etcd "$endpoint" cluster/member/list '{}') || fault "$endpoint gives no member list: $(said "$list")" || return
  member_lines "$list" >"$member_table"
  examine_alarms || return
  reference=$(status_of "$endpoint") || fault "$endpoint gives no status: $(said "$reference")" || return
  leader=$(json leader "$reference")
  case $leader in '' | 0) fault "there is no leader" || return ;; esac
  while read -r id other peer url kind; do
    case $peer in
      "$peer_url" | "$new_peer_url") me=$id served=$url ;;
      *) examine_member || return ;;
    esac
  done <"$member_table"
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

examine_member() { # $id, $other, $peer, $url, $kind: of a member besides this one
  [ "$url" != - ] || fault "member $id at $peer never started" || return
  theirs=$(status_of "$url") || {
    # A learner serves no login, so it cannot be asked while other tokens than its own are rolled out.
    case $kind:$theirs in learner:*'invalid auth token'*) ! is_ready "$url" '?exclude=non_learner' || return 0 ;; esac
    fault "$other at $url does not answer: $(said "$theirs")" || return
  }
  [ "$(json cluster_id "$theirs")" = "$(json cluster_id "$reference")" ] || fault "$other is in another cluster" || return
  [ "$(json leader "$theirs")" = "$leader" ] || fault "$other follows another leader" || return
  # That alarm has been looked at before.
  case $(printf '%s' "$theirs" | sed 's/"memberID:[0-9]* alarm:NOSPACE *",*//g') in *'"errors":["'*) fault "$other reports: $(json errors "$theirs")" || return ;; esac
  lag=$(lag_between "$reference" "$theirs")
  [ "$lag" -lt 1000 ] || fault "$other is $lag entries behind" || return
  [ "$kind" = voter ] || return 0
  is_ready "$url" || fault "$other is not ready" || return
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
  [ -n "$heir" ] && [ "$leader" = "$me" ] || return 0
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
  member_lines "$list" >"$member_table"
  hex=$(printf '%x' "$(awk -v me="$peer_url" '$3 == me { print $1 }' "$member_table")")
  until others_see_it; do
    [ "$(date +%s)" -lt "$give_up" ] || {
      journal_tail >&2
      die "$name was restarted, but $why_not; the others were left alone"
    }
    sleep 0.05
  done
}

others_see_it() {
  while read -r _ other peer url _; do
    [ "$peer" != "$peer_url" ] && [ "$url" != - ] || continue
    case $(streams_from "$url") in
      # One that is down is the gate's business, and not this member's fault.
      '' | *[1-9]*) ;;
      *) fault "$other has no connection to it" || return ;;
    esac
  done <"$member_table"
}

# The count of streams that the member at client URL $1 holds to the peer with ID $hex. Nothing when
# it does not answer.
streams_from() {
  request "$1/metrics" | awk -v peer="Remote=\"$hex\"" '
    /^etcd_server_has_leader/ { answers = 1 }
    index($0, "etcd_network_active_peers{") == 1 && index($0, peer) { count = $NF }
    END { if (answers) print count + 0 }'
}
