# ---- seat: found the cluster, join it, or come back -------------------------

do_seat() {
  load_instance
  read_credentials
  if [ -e "$etc/left" ]; then
    rejoin
    return
  fi
  if holds_member; then
    if must_set_data_aside; then
      put_own_data_aside
    else
      come_back
      note_reseat
      return
    fi
  fi
  look_at_peers
  if [ -z "$formed" ] && { ! is_founder || seat_is_taken; }; then
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
  [ -s "$etc/seat.yaml" ] || take_seat_back
  [ -e "$running" ] || link_version "$version"
  # It may have been on its way in when the last run was interrupted.
  seat_is_taken || newcomer=yes
  start_member 90
  [ "$learner" = false ] || [ "$(role)" = learner ] ||
    die "$name votes, and etcd makes no learner of a voter; nothing was changed. Take etcd_learner off its host. A learner on this machine: delete its line, run \`pulumi up\`, then add it with a new etcd_seq"
  promote_if_learner
  say "$name: runs, $(role)"
}

# The files are gone, the data are this instance's own: who it is stands in them.
take_seat_back() {
  marked_as_mine ||
    die "$data holds a member that did not take its seat through etcd-node; move the data away, or choose another etcd_data"
  link_version "$version"
  put_taken_seat
  own_data_directory
  systemctl daemon-reload
  say "$name: finds its own data in $data, and comes back with them"
}

# It has left, but its deletion was cut off, and now it is wanted again: as somebody new.
rejoin() {
  # Not among those of the command line, who are all that are declared.
  [ ! -s "$etc/left" ] || put "$etc/peers" 644 root:root <"$etc/left"
  look_at_peers
  [ -n "$formed" ] || await_formed_peer
  [ -n "$formed" ] ||
    die "$name has left cluster $cluster, and no member of it answers:${hindrances}${idle:-"
  - it was the last"}
  It never founds a cluster again. Bring the others back and run \`pulumi up\` again; where there are none, delete its line, run \`pulumi up\`, and add it again"
  set_data_aside left
  join_cluster
}

# Ask every peer on its peer port. Fills
#   formed      peer URLs of a formed cluster
#   hindrances  lines about peers that forbid founding
#   idle        lines about peers that do not
look_at_peers() {
  formed='' hindrances='' idle='' looked_at=' '
  for peer in $(known_peers); do
    looked_at="$looked_at${peer#*=} "
    doing="asking ${peer%%=*} at ${peer#*=}"
    state=$(probe "${peer#*=}")
    line="
  - ${peer%%=*} at ${peer#*=}: $state"
    case $state in
      formed) formed="$formed ${peer#*=}" ;;
      forming | not-running) idle="$idle$line" ;;
      *) hindrances="$hindrances$line" ;;
    esac
  done
}

found_cluster() {
  seen="$hindrances$idle"
  ! seat_is_taken ||
    die "$name has lost its data: $data is empty, but it has been a member before. It never founds a cluster again, and no other member is there to join:${seen:-"
  - it was the only one; restore a snapshot"}
  Bring the others back and run \`pulumi up\` again"
  [ -n "$founders$peers" ] || [ -n "$(known_peers)" ] ||
    die "$name has no data in $data, and nothing on this machine says who the other members are: it was wiped, or is another machine, and never founds a second cluster. If a disk is only not mounted, mount it. Otherwise set etcd_reseat on this host to $((reseat + 1)) and run \`pulumi up\` to have the former member removed and this one join with the data of the others; \`make status\` gives the line"
  is_founder ||
    die "$name is not one of the founders of cluster $cluster, and no peer of a formed cluster answers:${seen:-"
  - no peer is known"}
  It never founds a second cluster. Bring the cluster back and run \`pulumi up\` again"
  [ -z "$hindrances" ] ||
    die "$name can found the cluster only when every other member can be asked, so that none is ever founded twice:$hindrances
  Bring these machines back or open their peer port, and run \`pulumi up\` again"
  each_row refuse_unless_looked_at "$(printf '%s\n' "$founders" | tr ',' '\n')"
  [ "$examined" -gt 0 ] || die "the list of founders cannot be read; nothing was changed. Run \`pulumi up\` again"
  permit_founding
  put_seat new "$founders"
  start_member 90
  say "$name: founded the cluster with $(printf '%s' "$founders" | tr ',' '\n' | grep -vc "^$name=") other members; runs, $(role)"
  note_reseat
}

refuse_unless_looked_at() { # a founder
  case $looked_at$peer_url' ' in
    *" ${1#*=} "*) ;;
    *) die "$name founds no cluster: ${1%%=*} at ${1#*=} is a founder too, and was not asked; nothing was changed. Run \`pulumi up\` again" ;;
  esac
}

put_seat() { # put_seat new|existing INITIAL-CLUSTER
  rm -f "$etc/identity"
  link_version "$version"
  put "$etc/seat.yaml" 644 root:root <<END
# Read by etcd only when its data directory is empty.
initial-cluster-state: $1
initial-cluster: $2
initial-cluster-token: ${token:-$cluster}
END
  rm -f "$etc/left"
  compose_configuration
  own_data_directory
}

# Once the member has taken part, its configuration no longer tells etcd how to begin. A machine
# that boots without its data disk would found its cluster again, or come back as a member that has
# forgotten its votes: both can cost the cluster data. With nobody else in the list etcd does neither.
seal_seat() {
  note_identity
  remember_peers
  rm -f "$founding"
  ! seat_is_taken || ! grep -qxF "initial-cluster: $name=$new_peer_url" "$etc/seat.yaml" || return 0
  put_taken_seat
}

put_taken_seat() {
  put "$etc/seat.yaml" 644 root:root <<END
# The seat is taken. Without the member's data etcd refuses to start with this.
initial-cluster-state: existing
initial-cluster: $name=$new_peer_url
END
  compose_configuration
}

# ---- joining a formed cluster

join_cluster() {
  first=${formed# }
  first=${first%% *}
  list=$(request "$first/members") || die "the peer at $first does not give its member list: $(said "$list")"
  refuse_to_join_another_minor "$list"
  choose_endpoint "$(member_lines "$list" | voters_among)"
  load_members
  mine=$(own_line)
  if [ -n "$mine" ] && [ "$(field 4 "$mine")" != - ]; then
    used=$(cat "$etc/reseat" 2>/dev/null || say 0)
    reseat_is_asked ||
      die "$name is a member that has lost its data: $data holds none, but the cluster knows it as $(field 1 "$mine"). etcd_repair cannot bring them back. If a disk is only not mounted, mount it. A member is never removed unasked: set etcd_reseat on this host to $((used + 1)) and run \`pulumi up\` to have it removed and joined again with the data of the others"
    refuse_without_the_disk
    check_quorum_of_others
    remove_own_member "$(field 1 "$mine")"
    mine=''
    load_members
  fi
  # A repair puts files back and has nobody join; one that has left is wanted again.
  [ "$repair" -eq 0 ] || [ -n "$mine$founders" ] || [ "$reseat" -gt 0 ] || [ -e "$etc/left" ] ||
    die "$name is no member of cluster $cluster (any more), and $data holds none. etcd_repair has nobody join: set etcd_reseat on this host to 1 and run \`pulumi up\` again. Nothing was changed"
  disarm_alarms_of_the_gone
  set_leftovers_aside
  [ -n "$mine" ] || {
    each_row remove_undeclared_learner "$members"
    add_learner
  }
  # etcd compares this list with the live one, so it is made from the live one.
  load_members
  put_seat existing "$(printf '%s\n' "$members" | awk -v me="$peer_url" -v name="$name" '{
    label = $3 == me ? name : ($2 == "-" ? "unstarted-" $1 : $2)
    printf "%s%s=%s", separator, label, $3
    separator = ","
  }')"
  # The others send it all their data first.
  newcomer=yes
  start_member 480
  newcomer=''
  promote_if_learner
  note_reseat
  say "$name: joined the cluster; runs, $(role)"
}

# Changes of membership are refused for some seconds after another change or a restart, and while
# another learner is being added: wait for them, say so, and give up with the reason.
change_members() { # change_members SECONDS PATH BODY
  asked=$(date +%s)
  told=''
  while ! answer=$(etcd "$endpoint" "cluster/member/$2" "$3"); do
    now=$(date +%s)
    [ "$now" -lt $((asked + $1)) ] || return 1
    case $answer in
      *'unhealthy cluster'* | *'not enough started members'*)
        # Five seconds of distrust follow every new connection; more have another reason.
        [ "$now" -lt $((asked + 12)) ] || refuse_without_the_absent
        ;;
      *'too many learner'* | *'in sync with leader'*) ;;
      # The member that is asked may itself be leaving.
      *'timed out'* | *'leader changed'* | *'no leader'* | *stopped* | *'invalid auth token'* | 'curl: '*)
        choose_again
        continue
        ;;
      *) return 1 ;;
    esac
    [ "$told" = "$answer" ] || say "$name: waiting, etcd says: $(said "$answer")"
    told=$answer
    sleep 0.2
  done
}

# Stops with the names of the voters that do not answer on their peer ports. Returns when all do.
refuse_without_the_absent() {
  absent='' refusal=$(said "$answer")
  load_members
  answer=$refusal
  each_row note_if_absent "$members"
  [ -z "$absent" ] ||
    die "$name: etcd changes no members now and says: $refusal. These voters do not answer:$absent. Bring them back, or declare them lost with etcd_lost, and run \`pulumi up\` again. Nothing was changed"
}

note_if_absent() { # a member line
  [ "$5" != voter ] || [ "$(probe "$3")" = formed ] || absent="$absent $2 at $3"
}

# A learner that never started and that nobody declares is left from a join that was given up. etcd
# takes no other while it is there.
remove_undeclared_learner() { # a member line
  [ "$5" = learner ] && [ "$4" = - ] && [ -n "$peers" ] || return 0
  case ",$peers," in *"=$3,"*) return 0 ;; esac
  change_members 60 remove "{\"ID\":\"$1\"}" ||
    case $answer in *'member not found'*) ;; *) die "the cluster does not let go of the learner $1 at $3, which never started: $(said "$answer")" ;; esac
  say "$name: the member $1 at $3, a learner that never started and that nobody declares, is removed from the cluster"
}

add_learner() {
  doing="being added as a learner through $endpoint"
  change_members 300 add "{\"peerURLs\":[\"$peer_url\"],\"isLearner\":true}" ||
    case $answer in
      # An addition whose answer was lost.
      *'Peer URLs already exists'*) ;;
      *) die "the cluster does not take $name as a learner: $(said "$answer")" ;;
    esac
  say "$name: added as a learner"
}

remove_own_member() {
  doing="removing the former member"
  change_members 120 remove "{\"ID\":\"$1\"}" ||
    case $answer in
      *'member not found'*) ;;
      *) die "the cluster does not let go of member $1: $(said "$answer")" ;;
    esac
  say "$name: the former member $1 is removed"
}

# A learner becomes a voter when it has caught up; only the leader can do it.
promote_if_learner() {
  [ "$learner" = false ] && [ "$(role)" != voter ] || return 0
  choose_endpoint "$(other_voters)"
  load_members
  mine=$(own_line)
  go_to_leader
  doing="waiting to be promoted to a voter by $endpoint"
  change_members 480 promote "{\"ID\":\"$(field 1 "$mine")\"}" ||
    case $answer in
      *'can only promote a learner member"'*) ;;
      *) die "$name joined as a learner, but is not promoted: $(said "$answer")" ;;
    esac
}

go_to_leader() { # sets $endpoint to the leader's client URL
  status=$(status_of "$endpoint") || die "$endpoint does not give its status: $(said "$status")"
  # IDs are longer than the numbers that awk can tell apart.
  leader_url=$(printf '%s\n' "$members" | awk -v id="$(json leader "$status")" '$1 "" == id "" { print $4 }')
  [ -n "$leader_url" ] || die "the cluster has no leader now; look at \`etcd-node status\` on its nodes and run \`pulumi up\` again"
  endpoint=$leader_url
}

# Says how much of the cluster's data has come, and wakes a member that waits in vain. One that gets
# its first data as a snapshot has announced itself before, and never hears the answer: it asks again
# after seven seconds. In a cluster with more than 5000 entries in which nobody writes it goes on for
# ever, because it takes what it has for being far behind. Started again, it is ready at once.
attend_newcomer() {
  [ "$waited" -lt $((shown + 3)) ] || tell_how_much_has_come
  [ "$newcomer" = yes ] && ls "$data"/member/snap/*.snap >/dev/null 2>&1 || return 0
  overlooked=$((overlooked + 1))
  [ "$overlooked" -ge 8 ] || return 0
  newcomer=woken
  systemctl restart --no-block "$unit"
}

tell_how_much_has_come() {
  # One that was interrupted, and comes back, has not logged in anywhere.
  [ -n "${endpoint:-}" ] || return 0
  shown=$waited
  all=$(json dbSize "$(status_of "$endpoint")")
  here=$(du -sb "$data/member/snap" 2>/dev/null | cut -f 1)
  say "$name: has $((${here:-0} / 1048576)) of $((${all:-0} / 1048576)) MiB of the cluster's data"
}

# ---- starting

# `systemctl start` would wait for the first of three founders, which cannot be ready alone.
start_member() { # $1: how many seconds it may take
  enable_unit
  look_at_unit
  case $ActiveState-$SubState in
    active-* | activating-start*) ;;
    # One that is between two attempts starts now.
    *) systemctl restart --no-block "$unit" ;;
  esac
  await_member "$1"
  seal_seat
}
