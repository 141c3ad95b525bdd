# ---- expel: remove a member whose machine is lost ---------------------------

# Runs on any machine of the cluster, even on one that is about to join: the lost member must be
# out before, since etcd takes nobody in while a voter is down.
do_expel() {
  load_instance
  read_credentials
  [ -n "$lost" ] || die "\`expel\` needs --lost NAME=PEER-URL"
  lost_name=${lost%%=*} lost_url=${lost#*=}
  find_survivors
  choose_endpoint "$survivors"
  load_members
  theirs=$(printf '%s\n' "$members" | awk -v url="$lost_url" '$3 == url')
  if [ -z "$theirs" ]; then
    say "$lost_name: the cluster does not know this member any more"
    return
  fi
  case $(probe "$lost_url") in
    formed | forming)
      die "$lost_name answers at $lost_url, so it is not lost. Take etcd_lost off its host; to have it leave, delete its line. Nothing was removed"
      ;;
  esac
  check_quorum_with_lost
  doing="removing the lost member"
  change_members 120 remove "{\"ID\":\"$(field 1 "$theirs")\"}" ||
    case $answer in
      *'member not found'*) ;;
      *) die "the cluster does not let go of $lost_name: $(said "$answer")" ;;
    esac
  say "$lost_name: the lost member is removed from the cluster"
}

# Sets $survivors to the client URLs of the started voters besides the lost one.
find_survivors() {
  survivors=''
  for url in "$peer_url" $(known_peers | sed 's/^[^=]*=//'); do
    [ "$url" != "$lost_url" ] || continue
    doing="asking the member at $url"
    list=$(request_time=3 request "$url/members") || continue
    survivors=$(member_lines "$list" |
      awk -v lost="$lost_url" '$3 != lost && $4 != "-" && $5 == "voter" { print $4 }')
    [ -z "$survivors" ] || return 0
  done
  die "no member of cluster $cluster answers, so $lost_name cannot be removed:
$(describe_peers)"
}

count_voter() { # a member line
  [ "$5" = voter ] || return 0
  voters=$((voters + 1))
  [ "$4" = - ] || ! is_ready "$4" '?exclude=data_corruption' || well=$((well + 1))
}

# The removal is a decision of the members as they are counted now, the lost one included.
check_quorum_with_lost() {
  doing="counting the members that are left"
  voters=0 well=0
  each_row count_voter "$members"
  [ "$well" -ge $((voters / 2 + 1)) ] ||
    die "$lost_name cannot be removed: of $voters voters $((voters / 2 + 1)) must be well, and $well are. Bring one of the others back; if none will come back, restore a snapshot into a new cluster. Nothing was removed"
}
