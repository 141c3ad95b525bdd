# ---- claim: which instance of which stack this machine holds -----------------

claim_value() { # claim_value KEY [FILE]
  sed -n "s/^$1=//p" "${2:-$etc/claim}" 2>/dev/null || :
}

# What is here of the cluster. Where the claim was lost, the configuration tells the name.
load_claim() {
  held_owner=$(claim_value owner) held_name=$(claim_value name)
  [ -n "$held_name" ] || [ ! -s "$etc/etcd.yaml" ] || held_name=$(config_value name)
}

holds() {
  if [ -z "$held_name" ]; then
    say "holds no instance of cluster $cluster"
  elif [ -z "$held_owner" ]; then
    say "holds $held_name of cluster $cluster, which no stack has claimed"
  elif [ -n "$owner" ] && [ "$held_owner" != "$owner" ]; then
    say "holds $held_name of another stack's cluster $cluster"
  else
    say "holds $held_name of cluster $cluster"
  fi
}

# Every command means an instance, never only a place: before anything else it is held against the
# claim. What removes leaves alone what it does not mean, and is done.
check_claim() {
  removes=false
  case $command in
    status | facts | stamp | preflight | claim | metrics | answer) return ;;
    role | user | undeclared) ;;
    droprole | dropuser) removes=true ;;
    leave | erase) removes=true instance=${instance:-$name} ;;
    exporter) removes=$remove instance=${instance:-$name} ;;
    *) instance=${instance:-$name} ;;
  esac
  load_claim
  if [ -z "$owner" ]; then
    case $command in leave | erase) confirm_removal ;; esac
    [ -z "$instance" ] || [ "$instance" = "$held_name" ] || refuse_other_instance
    return 0
  fi
  [ "$owner" != "$held_owner" ] || [ "${instance:-$held_name}" != "$held_name" ] || return 0
  if [ "$removes" = false ]; then refuse_other_instance; fi
  # What serves all clusters may be left of an erasure that was cut off.
  if [ "$command" = erase ] && [ -z "$held_name" ] && [ -z "$(ls -A /etc/etcd 2>/dev/null)" ]; then return 0; fi
  say "${instance:-$cluster} is not on this machine, which $(holds). Nothing was removed"
  prove
  exit 0
}

refuse_other_instance() {
  if [ -z "$held_name" ] || [ -z "$held_owner" ]; then
    cure="raise etcd_repair on the host of $instance, and \`pulumi up\` puts it there again"
  elif [ -n "$owner" ] && [ "$held_owner" != "$owner" ]; then
    cure="use the stack that put it there, with its state"
  else
    cure="put etcd_seq of its host back, or correct the host's address"
  fi
  die "this machine $(holds), not ${instance:-one of this stack}; no changes were made. Cure: $cure"
}

# A person who types it sees first what would go.
confirm_removal() {
  more=''
  [ "$remove_data" != true ] || more="$more --remove-data"
  [ "$remove_software" != true ] || more="$more --remove-software"
  if [ -z "$held_name" ]; then
    unclaimed=''
    [ ! -e "$unit_file" ] || unclaimed=", but the unit $unit"
    [ "$command$remove_data" != erasetrue ] || ! [ -d "$snapshots" ] ||
      unclaimed="$unclaimed, but snapshots in $snapshots, which would be DELETED"
    [ -n "$unclaimed" ] && [ "$yes" != true ] || return 0
    die "this machine holds no claim of cluster $cluster$unclaimed. Nothing was removed. To have it removed: etcd-node $command --cluster $cluster$more --yes"
  fi
  [ "$yes" != true ] || [ -z "$instance" ] || return 0
  data=$(claim_value data)
  {
    say "\`$command\` means this instance:"
    say "  instance  $held_name of cluster $cluster"
    say "  owner     ${held_owner:-no stack}"
    say "  etcd      $unit is $(unit_state)"
    case $command$remove_data in
      leave*) say "  data      in ${data:-a directory that is not known}; they stay" ;;
      erasetrue) say "  data      in ${data:-a directory that is not known}, and would be DELETED" ;;
      *) say "  data      in ${data:-a directory that is not known}; they stay without --remove-data" ;;
    esac
    [ "$command" = leave ] || ! [ -s "$etc/seat.yaml" ] ||
      say "  seat      taken; the others go on counting it, unless it leaves before"
  } >&2
  die "nothing was removed. To confirm: etcd-node $command --cluster $cluster --name $held_name$more --yes"
}

# ---- to claim a machine is one step with finding it fit, under one lock

do_claim() {
  [ -n "$owner" ] && [ -n "$name" ] && [ -n "$address" ] && [ -n "$data" ] ||
    die "\`claim\` needs --owner, --name, --address and --data"
  look_at_machine
  # In one step: the instance of another cluster may be running it just now.
  mkdir -p "${itself%/*}"
  put "$itself" 755 root:root <"$0"
  mkdir -p "$etc"
  [ -z "$former" ] || clear_former
  put "$etc/claim" 644 root:root <<END
owner=$owner
name=$name
address=$address
client-port=$client_port
peer-port=$peer_port
data=$data
real-data=$real
END
  say "$name: this machine is claimed"
}

# Another stack's instance of the same name looks like ours in everything else; and another number
# on a machine that holds a member would end that member.
check_held() {
  former=''
  load_claim
  [ -n "$held_name" ] || return 0
  if [ -n "$owner" ] && [ -n "$held_owner" ] && [ "$held_owner" != "$owner" ]; then
    find_fault "$held_name was put here by another stack (or its state was lost)" \
      "use that stack and its state; to end that instance for good, run \`etcd-node erase --cluster $cluster --name $held_name --remove-data --yes\` here"
  elif [ "$held_name" = "$name" ]; then
    check_place
  elif [ -n "$owner" ] && never_joined; then
    former=claimed
  elif [ -n "$owner" ] && (is_forgotten); then
    former=removed
  else
    cure="put etcd_seq of its host back; to replace $held_name, delete its line, run \`pulumi up\`, and give this machine its new etcd_seq then"
    (load_instance && takes_part) 2>/dev/null ||
      cure="$cure. If the cluster has removed it for good, run \`etcd-node erase --cluster $cluster --name $held_name --remove-data --yes\` here, and \`pulumi up\` again"
    find_fault "this machine holds $held_name of cluster $cluster, not $name" "$cure"
  fi
}

check_place() {
  place=$(claim_value data)
  [ -s "$etc/seat.yaml" ] && [ -n "$place" ] || return 0
  if [ "$place" != "$data" ]; then
    find_fault "$name has its data in $place" "put etcd_data back; it cannot move them to $data"
  elif [ "$(claim_value real-data)" != "$real" ]; then
    find_fault "$data leads to $real now, but $name has its data in $(claim_value real-data)" "put the link or the mount back"
  fi
}

# A first run with a wrong number has put nothing there that anybody could miss.
never_joined() {
  place=$(claim_value data)
  [ -n "$place" ] && [ ! -s "$etc/seat.yaml" ] && [ ! -e "$etc/left" ] && [ ! -e "$place/member" ] &&
    [ "$(unit_state)" != active ]
}

# Has the cluster removed the member of another name that is here? All peers that answer must say so,
# and one at least.
is_forgotten() {
  [ -s "$etc/etcd.yaml" ] && [ -s "$pki/server.key" ] || return 1
  load_instance
  ! takes_part || return 1
  asked=''
  for peer in $(known_peers); do
    [ "$(probe "${peer#*=}")" = formed ] || continue
    list=$(request_time=3 request "${peer#*=}/members") || continue
    case $list in *'"peerURLs"'*) ;; *) continue ;; esac
    ! member_lines "$list" | awk -v name="$name" -v me="$peer_url" -v new="$new_peer_url" \
      '$2 == name || $3 == me || $3 == new { found = 1 } END { exit !found }' || return 1
    asked=yes
  done
  [ -n "$asked" ]
}

# Make room for another number: nothing of the one before is read again.
clear_former() {
  doing="clearing what is left of $held_name"
  if [ "$former" = removed ]; then
    (
      load_instance
      set_data_aside removed
    )
    systemctl disable -q --now "$unit"
    systemctl reset-failed "$unit" 2>/dev/null || :
    say "$held_name: its cluster has removed it, so this machine is free for $name"
  else
    say "$held_name was claimed here and never joined; this machine is free for $name"
  fi
  take_exporter_away
  rm -f "$etc/seat.yaml" "$etc/peers" "$etc/left" "$etc/reseat" "$etc/repair" "$etc/former-peer-url" \
    "$etc/declared" "$etc/settings.yaml" "$etc/etcd.yaml" "$etc/etcd.yaml.before" "$etc"/as-put.* "$etc/identity" "$etc/reseat-begun"
}

# set_data_aside removed|left: keep a copy of data that no cluster wants any more.
set_data_aside() {
  [ -e "$data/member" ] || return 0
  [ ! -e "$unit_file" ] || systemctl stop "$unit"
  aside=$data/member.$1-$(date +%Y%m%d-%H%M%S)
  mv -T "$data/member" "$aside"
  say "$name: its former data are kept in $aside"
}

# The claims of other clusters count, also where nothing runs yet.
check_neighbours() {
  for other in /etc/etcd/*/claim; do
    place=${other%/claim}
    their_cluster=${place##*/}
    [ -e "$other" ] && [ "$their_cluster" != "$cluster" ] || continue
    who="$(claim_value name "$other") of cluster $their_cluster"
    for taken in "$(claim_value client-port "$other")" "$(claim_value peer-port "$other")"; do
      case $taken in
        "$client_port" | "$peer_port")
          find_fault "the port $taken is claimed by $who on this machine" "choose another port in the inventory"
          ;;
      esac
    done
    their_data=$(claim_value real-data "$other")
    # A claim that does not say it says nothing of this directory.
    [ -n "$their_data" ] || continue
    case $real/ in
      "$their_data"/*) ;;
      *) case $their_data/ in "$real"/*) ;; *) continue ;; esac ;;
    esac
    find_fault "the data directory of $who is $their_data, which cannot be shared with $data" "choose another etcd_data"
  done
}

# ---- the mark in the data directory, which outlives the system's disk

mark_value() { # mark_value KEY
  [ ! -f "$real/.etcd-node" ] || claim_value "$1" "$real/.etcd-node"
}

# The data directory is the etcd user's, so that user writes there: root could be led astray by a link.
write_mark() {
  [ -s "$etc/claim" ] || return 0
  mark=$({ say "cluster=$cluster" && say "name=$(claim_value name)" && say "owner=$(claim_value owner)" && say "$@"; } | sed '/^$/d')
  # A disk that is full must not hold up the change that mends it.
  ! [ -f "$real/.etcd-node" ] || [ "$mark" != "$(cat "$real/.etcd-node")" ] || return 0
  # shellcheck disable=SC2016  # the inner shell expands it
  into='umask 077 && cat >"$1/.etcd-node.new" && mv -f "$1/.etcd-node.new" "$1/.etcd-node"'
  printf '%s\n' "$mark" | setpriv --reuid etcd --regid etcd --clear-groups sh -c "$into" sh "$real" ||
    warn "$name: $real/.etcd-node, which says whose data these are, cannot be written"
}

# Does the mark in the data directory name this instance, and has it not left its cluster?
marked_as_mine() {
  [ "$(mark_value cluster)" = "$cluster" ] && [ "$(mark_value name)" = "$name" ] && [ -z "$(mark_value left)" ] &&
    [ "$(mark_value owner)" = "${owner:-$(claim_value owner)}" ]
}
