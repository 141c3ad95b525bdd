# ---- rollout: restart the member safely, if it runs something else than the files say

do_rollout() {
  load_instance
  read_credentials
  [ -n "$version" ] || version=$(basename "$(readlink "$running" || say none)")
  tell_changes_by_hand
  if [ "$(readlink "$running")" = "../versions/$version" ] && runs_what_the_files_say; then
    await_member 90
    remember_peers
    say "$name: runs what the files say; no restart"
    return
  fi
  [ -x "$versions/$version/bin/etcd" ] || die "etcd $version is not on this machine; \`pulumi up\` puts it there"
  handed_to=''
  if [ "$(unit_state)" = active ]; then
    gate
    hand_over_leadership
  fi
  link_version
  restart_member
  settle
  say "$name: restarted${handed_to:+ after $handed_to took over as leader}; $(role), in sync"
}

tell_changes_by_hand() {
  [ -z "$to" ] || [ "$to" = "$(fingerprint)" ] ||
    warn "$name: $etc/settings.yaml, $unit_file or $pki/ca.crt was changed by hand; the member runs with it until the next change of its configuration writes it anew"
}

# ---- the gate: may this member be away for a moment?

# All others must be well, as one cluster, without an alarm. A cluster of one has nobody to ask.
gate() {
  doing="looking at the other members before the restart"
  give_up=$(($(date +%s) + 60))
  log_in_near
  while ! why_not=$(examine_others); do
    # One that has gone down meanwhile has nothing to lose.
    [ "$(unit_state)" = active ] || return 0
    [ "$(date +%s)" -lt "$give_up" ] ||
      die "$name is not restarted, since the cluster could lose its quorum: $why_not. Mend that and run \`pulumi up\` again"
    sleep 0.5
  done
}

examine_others() { # prints why not, and fails; prints nothing when all is well
  list=$(etcd "$endpoint" cluster/member/list '{}') || fault "$endpoint gives no member list: $(said "$list")" || return
  member_lines "$list" >"$member_table"
  examine_alarms || return
  reference=$(status_of "$endpoint") || fault "$endpoint gives no status: $(said "$reference")" || return
  one_cluster=$(json cluster_id "$reference")
  one_leader=$(json leader "$reference")
  case $one_leader in '' | 0) fault "there is no leader" || return ;; esac
  while read -r id other peer url kind; do
    [ "$peer" != "$peer_url" ] || continue
    examine_member || return
  done <"$member_table"
}

fault() { say "$*" && return 1; }

examine_alarms() {
  alarms=$(etcd "$endpoint" maintenance/alarm '{"action":"GET"}') || fault "the alarms cannot be read: $(said "$alarms")" || return
  case $alarms in
    *NOSPACE*) fault "the alarm NOSPACE is raised: compact and defragment, then \`etcdctl alarm disarm\`" ;;
    *'"alarm":'*) fault "the alarm $(json alarm "$alarms") is raised: \`etcdctl alarm list\` says where" ;;
  esac
}

examine_member() { # $id, $other, $url, $kind: of a member besides this one
  [ "$url" != - ] || fault "member $id at $peer never started" || return
  theirs=$(status_of "$url") || fault "$other at $url does not answer: $(said "$theirs")" || return
  [ "$(json cluster_id "$theirs")" = "$one_cluster" ] || fault "$other is in another cluster" || return
  [ "$(json leader "$theirs")" = "$one_leader" ] || fault "$other follows another leader" || return
  case $theirs in *'"errors":["'*) fault "$other reports: $(json errors "$theirs")" || return ;; esac
  [ "$kind" = learner ] || is_ready "$url" || fault "$other is not ready" || return
  lag=$(lag_between "$reference" "$theirs")
  [ "$lag" -lt 1000 ] || fault "$other is $lag entries behind"
}

lag_between() { # how many applied entries the second status is behind the first
  awk -v ahead="$(json raftAppliedIndex "$1")" -v behind="$(json raftAppliedIndex "$2")" \
    'BEGIN { lag = ahead - behind; print (lag > 0 ? lag : 0) }'
}

# ---- the leader hands over first, to the voter that is furthest

hand_over_leadership() {
  me=$(awk -v me="$peer_url" '$3 == me { print $1 }' "$member_table")
  [ "$(json leader "$(status_of "$endpoint")")" = "$me" ] || return 0
  heir=$(choose_heir)
  [ -n "$heir" ] || return 0
  doing="handing the leadership over"
  answer=$(etcd "$client_url" maintenance/transfer-leadership "{\"targetID\":\"${heir%% *}\"}") ||
    die "$name is the leader and could not hand over to ${heir#* }: $(said "$answer")"
  handed_to=${heir#* }
}

choose_heir() { # ID NAME of the voter with the highest raft index; nothing for a cluster of one
  while read -r id other peer url kind; do
    [ "$peer" != "$peer_url" ] && [ "$kind" = voter ] || continue
    theirs=$(status_of "$url") || continue
    say "$(json raftIndex "$theirs") $id $other"
  done <"$member_table" | sort -rn | head -n 1 | cut -d ' ' -f 2-
}

# ---- the restart

restart_member() {
  doing="restarting etcd"
  systemctl enable -q "$unit"
  systemctl reset-failed "$unit" 2>/dev/null || :
  systemctl restart --no-block "$unit"
  await_member 90
  seal_seat
}

# The next member may only go when this one serves again, has caught up, and is seen by the others.
# All of this is asked without a login, which the restarted member would need anew.
settle() {
  give_up=$(($(date +%s) + 60))
  doing="waiting until the restarted member is in sync"
  until why_not=$(examine_self); do
    [ "$(date +%s)" -lt "$give_up" ] || {
      journal_tail >&2
      die "$name was restarted, but $why_not; the others were left alone"
    }
    sleep 0.05
  done
}

examine_self() {
  takes_part || fault "it is not ready" || return
  member_lines "$(request "$peer_url/members")" >"$member_table"
  hex=$(printf '%x' "$(awk -v me="$peer_url" '$3 == me { print $1 }' "$member_table")")
  while read -r _ other peer url _; do
    [ "$peer" != "$peer_url" ] && [ "$url" != - ] || continue
    # One that is down is the gate's business, and not this member's fault.
    counters=$(request "$url/metrics") || continue
    sees_peer "$counters" "$hex" || fault "$other has no connection to it" || return
  done <"$member_table"
}

sees_peer() { # do the metrics $1 of a member tell of a stream to the peer with ID $2 (hexadecimal)?
  printf '%s\n' "$1" | awk -v peer="Remote=\"$2\"" '
    index($0, "etcd_network_active_peers{") == 1 && index($0, peer) { seen = 1; active = $NF }
    END { exit !(seen && active > 0) }'
}
