# ---- seat: found the cluster, join it, or come back -------------------------

do_seat() {
  load_instance
  read_credentials
  if holds_member; then
    come_back
    return
  fi
  look_at_peers
  if [ -z "$formed" ] && ! is_founder; then
    await_formed_peer
  fi
  if [ -n "$formed" ]; then
    join_cluster
  else
    found_cluster
  fi
}

is_founder() {
  case ",$founders," in *",$name=$peer_url,"*) ;; *) return 1 ;; esac
}

# One that joins may have been declared together with the founders, which are at work now.
await_formed_peer() {
  give_up=$(($(date +%s) + 60))
  while [ -z "$formed" ] && [ "$(date +%s)" -lt "$give_up" ]; do
    sleep 0.5
    look_at_peers
  done
}

# The data directory holds this member already: it only has to run, and to vote if it should.
come_back() {
  [ -s "$etc/seat.yaml" ] ||
    die "$data holds a member that did not take its seat through etcd-node; move the data away, or choose another etcd_data"
  [ -e "/opt/etcd/clusters/$cluster" ] || link_version
  start_member
  promote_if_learner
  say "$name: runs, $(role)"
}

# Ask every peer on its peer port. Fills
#   formed      peer URLs of a formed cluster
#   hindrances  lines about peers that forbid founding
look_at_peers() {
  formed='' hindrances=''
  for peer in $(printf '%s' "$peers" | tr ',' ' '); do
    url=${peer#*=}
    [ "$url" != "$peer_url" ] || continue
    doing="asking ${peer%%=*} at $url"
    state=$(probe "$url")
    case $state in
      formed) formed="$formed $url" ;;
      forming | not-running) ;;
      *)
        hindrances="$hindrances
  - ${peer%%=*} at $url: $state"
        ;;
    esac
  done
}

found_cluster() {
  is_founder ||
    die "$name is not one of the founders of cluster $cluster, and no peer of a formed cluster answers:${hindrances:- they do not run}
  It never founds a second cluster. Bring the cluster back and run \`pulumi up\` again"
  [ -z "$hindrances" ] ||
    die "$name can found the cluster only when every other member can be asked, so that none is ever founded twice:$hindrances
  Bring these machines back or open their peer port, and run \`pulumi up\` again"
  put_seat new "$founders"
  start_member
  say "$name: founded the cluster with $(printf '%s' "$founders" | tr ',' '\n' | grep -vc "^$name=") other members; runs, $(role)"
}

put_seat() { # put_seat new|existing INITIAL-CLUSTER
  put "$etc/seat.yaml" 644 root:root <<END
# Read by etcd only when its data directory is empty.
initial-cluster-state: $1
initial-cluster: $2
initial-cluster-token: ${token:-$cluster}
END
  compose_configuration
  own_data_directory
  link_version
}

# ---- joining a formed cluster

join_cluster() {
  first=${formed# }
  first=${first%% *}
  list=$(request "$first/members") || die "the peer at $first does not give its member list: $list"
  choose_endpoint "$(member_lines "$list" | awk -v me="$peer_url" '$3 != me && $4 != "-" && $5 == "voter" { print $4 }')"
  load_members
  mine=$(own_line)
  if [ -n "$mine" ] && [ "$(field 4 "$mine")" != - ]; then
    [ "$reseat" -gt 0 ] ||
      die "$name is a member that has lost its data: $data is empty, but the cluster knows it as $(field 1 "$mine"). A member is never removed unasked: raise etcd_reseat on this host and run \`pulumi up\` to have it removed and joined again with the data of the others"
    remove_own_member "$(field 1 "$mine")"
    mine=''
  fi
  [ -n "$mine" ] || add_learner
  # etcd compares this list with the live one, so it is made from the live one.
  load_members
  put_seat existing "$(printf '%s\n' "$members" | awk -v me="$peer_url" -v name="$name" '{
    label = $3 == me ? name : ($2 == "-" ? "unstarted-" $1 : $2)
    printf "%s%s=%s", separator, label, $3
    separator = ","
  }')"
  start_member
  promote_if_learner
  say "$name: joined the cluster; runs, $(role)"
}

# Changes of membership are refused for some seconds after another change or a restart, and while
# another learner is being added: wait for them, say so, and give up with the reason.
change_members() { # change_members PATH BODY
  give_up=$(($(date +%s) + 120))
  told=''
  while ! answer=$(etcd "$endpoint" "cluster/member/$1" "$2"); do
    case $answer in
      *'unhealthy cluster'* | *'too many learner'* | *'not enough started members'* | \
        *'in sync with leader'* | *'timed out'* | *'leader changed'* | *'no leader'* | *'curl: '*) ;;
      *) return 1 ;;
    esac
    [ "$(date +%s)" -lt "$give_up" ] || return 1
    [ "$told" = "$answer" ] || say "$name: waiting, etcd says: $(json message "$answer")"
    told=$answer
    sleep 0.5
  done
}

add_learner() {
  doing="being added as a learner through $endpoint"
  change_members add "{\"peerURLs\":[\"$peer_url\"],\"isLearner\":true}" ||
    die "the cluster does not take $name as a learner: $answer"
  say "$name: added as a learner"
}

remove_own_member() {
  doing="removing the member that lost its data"
  change_members remove "{\"ID\":\"$1\"}" || die "the cluster does not let go of member $1: $answer"
  say "$name: the member $1 that lost its data is removed"
}

# A learner becomes a voter when it has caught up; only the leader can do it.
promote_if_learner() {
  [ "$learner" = false ] && [ "$(role)" = learner ] || return 0
  choose_endpoint "$(other_voters)"
  load_members
  mine=$(own_line)
  go_to_leader
  doing="waiting to be promoted to a voter by $endpoint"
  change_members promote "{\"ID\":\"$(field 1 "$mine")\"}" ||
    case $answer in
      *'can only promote a learner member"'*) ;;
      *) die "$name joined as a learner, but is not promoted: $answer" ;;
    esac
}

go_to_leader() { # sets $endpoint to the leader's client URL
  status=$(status_of "$endpoint") || die "$endpoint does not give its status: $status"
  leader_url=$(printf '%s\n' "$members" | awk -v id="$(json leader "$status")" '$1 == id { print $4 }')
  [ -n "$leader_url" ] || die "the cluster has no leader now; look at \`etcd-node status\` on its nodes and run \`pulumi up\` again"
  endpoint=$leader_url
}

# ---- starting

# `systemctl start` would wait for the first of three founders, which cannot be ready alone.
start_member() {
  systemctl enable -q "$unit"
  [ "$(unit_state)" = active ] || systemctl start --no-block "$unit"
  await_member
}

await_member() {
  doing="waiting for etcd to be ready"
  give_up=$(($(date +%s) + 90))
  restarts=$(systemctl show -p NRestarts --value "$unit")
  until [ "$(unit_state)" = active ] && ! job_is_queued; do
    if ! job_is_queued; then
      case $(unit_state) in
        inactive) break_off 'it stopped by itself: a member that was removed from its cluster does that' ;;
        failed) break_off 'it failed' ;;
      esac
    fi
    [ "$(systemctl show -p NRestarts --value "$unit")" -lt $((restarts + 3)) ] ||
      break_off 'it fails and is started again and again'
    [ "$(date +%s)" -lt "$give_up" ] || break_off 'it has been waiting for a quorum for 90 s'
    sleep 0.1
  done
}

break_off() {
  {
    for peer in $(printf '%s' "$peers" | tr ',' ' '); do
      [ "${peer#*=}" = "$peer_url" ] || say "${peer%%=*} at ${peer#*=} is $(probe "${peer#*=}")"
    done
    journal_tail
  } >&2
  die "$name does not become ready: $1. Mend what the lines above show and run \`pulumi up\` again"
}
