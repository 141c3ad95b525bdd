# ---- rollout: restart the member safely, if it runs something else than the files say

do_rollout() {
  load_instance
  read_credentials
  if [ -n "$version" ] && [ "$(readlink "/opt/etcd/clusters/$cluster")" = "../versions/$version" ] &&
    runs_what_the_files_say; then
    await_member
    say "$name: runs what the files say; no restart"
    return
  fi
  handed_to=''
  if [ "$(unit_state)" = active ]; then
    log_in_near
    gate
    hand_over_leadership
  fi
  link_version
  restart_member
  settle
  say "$name: restarted${handed_to:+ after $handed_to took over as leader}; $(role), in sync"
}

runs_what_the_files_say() {
  [ "$(unit_state)" = active ] &&
    [ "$({ fingerprint && readlink "/opt/etcd/clusters/$cluster"; } | sha256sum)" = "$(sha256sum <"$stamp" 2>/dev/null)" ]
}

# ---- the gate: may this member be away for a moment?

# All others must be well, as one cluster, without an alarm. A cluster of one has nobody to ask.
gate() {
  doing="looking at the other members before the restart"
  give_up=$(($(date +%s) + 60))
  while ! why_not=$(examine_others); do
    [ "$(date +%s)" -lt "$give_up" ] ||
      die "$name is not restarted, since the cluster could lose its quorum: $why_not. Mend that and run \`pulumi up\` again"
    sleep 0.5
  done
}

examine_others() { # prints why not, and fails; prints nothing when all is well
  list=$(etcd "$endpoint" cluster/member/list '{}') || { say "$name gives no member list: $list" && return 1; }
  member_lines "$list" >"/run/etcd-node.$cluster.members"
  alarms=$(etcd "$endpoint" maintenance/alarm '{"action":"GET"}') || { say "the alarms cannot be read: $alarms" && return 1; }
  case $alarms in *'"alarm":'*) say "an alarm is raised: $(json alarm "$alarms")" && return 1 ;; esac
  own=$(status_of "$client_url") || { say "$name gives no status: $own" && return 1; }
  one_cluster=$(json cluster_id "$own")
  one_leader=$(json leader "$own")
  case $one_leader in '' | 0 | '{'*) say "there is no leader" && return 1 ;; esac
  while read -r id other _ url kind; do
    [ "$other" != "$name" ] || continue
    [ "$url" != - ] || { say "member $id never started" && return 1; }
    theirs=$(status_of "$url") || { say "$other at $url does not answer: $(printf '%s' "$theirs" | cut -c 1-160)" && return 1; }
    [ "$(json cluster_id "$theirs")" = "$one_cluster" ] || { say "$other is in another cluster" && return 1; }
    [ "$(json leader "$theirs")" = "$one_leader" ] || { say "$other follows another leader" && return 1; }
    case $theirs in *'"errors":["'*) say "$other reports: $(json errors "$theirs")" && return 1 ;; esac
    [ "$kind" = learner ] || is_ready "$url" || { say "$other is not ready" && return 1; }
    lag=$(lag_between "$own" "$theirs")
    [ "$lag" -lt 1000 ] || { say "$other is $lag entries behind" && return 1; }
  done <"/run/etcd-node.$cluster.members"
}

is_ready() {
  case $(request "$1/readyz") in ok*) ;; *) return 1 ;; esac
}

lag_between() { # how many applied entries the second status is behind the first
  awk -v ahead="$(json raftAppliedIndex "$1")" -v behind="$(json raftAppliedIndex "$2")" \
    'BEGIN { lag = ahead - behind; print (lag > 0 ? lag : 0) }'
}

# ---- the leader hands over first, to the voter that is furthest

hand_over_leadership() {
  own=$(status_of "$client_url") || die "$name gives no status: $own"
  me=$(json member_id "$own")
  [ "$(json leader "$own")" = "$me" ] || return 0
  heir=$(choose_heir)
  [ -n "$heir" ] || return 0
  doing="handing the leadership over"
  answer=$(etcd "$client_url" maintenance/transfer-leadership "{\"targetID\":\"${heir%% *}\"}") ||
    die "$name is the leader and could not hand over to ${heir#* }: $answer"
  handed_to=${heir#* }
}

choose_heir() { # ID NAME of the voter with the highest raft index; nothing for a cluster of one
  while read -r id other _ url kind; do
    [ "$other" != "$name" ] && [ "$kind" = voter ] || continue
    theirs=$(status_of "$url") || continue
    say "$(json raftIndex "$theirs") $id $other"
  done <"/run/etcd-node.$cluster.members" | sort -rn | head -n 1 | cut -d ' ' -f 2-
}

# ---- the restart

restart_member() {
  doing="restarting etcd"
  systemctl enable -q "$unit"
  systemctl reset-failed "$unit" 2>/dev/null || :
  systemctl restart --no-block "$unit"
  await_member
}

# The next member may only go when this one serves again, has caught up, and is seen by the others.
settle() {
  give_up=$(($(date +%s) + 60))
  # The restarted member has forgotten all tokens.
  log_in_near
  doing="waiting until the restarted member is in sync"
  until why_not=$(examine_self); do
    [ "$(date +%s)" -lt "$give_up" ] || {
      journal_tail >&2
      die "$name was restarted, but $why_not; the others were left alone"
    }
    sleep 0.1
  done
}

examine_self() {
  [ "$(role)" = learner ] || is_ready "$client_url" || { say "it is not ready" && return 1; }
  own=$(status_of "$client_url") || { say "it gives no status" && return 1; }
  case $(json leader "$own") in '' | 0 | '{'*) say "it sees no leader" && return 1 ;; esac
  hex=$(printf '%x' "$(json member_id "$own")")
  list=$(etcd "$endpoint" cluster/member/list '{}') || { say "it gives no member list" && return 1; }
  member_lines "$list" | while read -r _ other _ url _; do
    [ "$other" != "$name" ] && [ "$url" != - ] || continue
    theirs=$(status_of "$url") || continue
    lag=$(lag_between "$theirs" "$own")
    [ "$lag" -lt 1000 ] || { say "it is $lag entries behind $other" && return 1; }
    sees_peer "$url" "$hex" || { say "$other has no connection to it" && return 1; }
  done
}

sees_peer() { # does the member at client URL $1 hold a stream to the peer with ID $2 (hexadecimal)?
  request "$1/metrics" | awk -v peer="Remote=\"$2\"" '
    index($0, "etcd_network_active_peers{") == 1 && index($0, peer) { seen = 1; active = $NF }
    END { exit !(seen && active > 0) }'
}
