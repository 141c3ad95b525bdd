# ---- status: for the person on the node -------------------------------------

do_status() {
  load_instance
  say "instance    $name of cluster $cluster"
  say "unit        $unit is $(unit_state)$(systemctl is-enabled -q "$unit" 2>/dev/null || say ', not enabled')"
  say "programs    $(readlink -f "/opt/etcd/clusters/$cluster" | sed 's/.*\///')"
  if runs_what_the_files_say; then
    say "files       are what the running process was started with"
  else
    say "files       differ from what runs; \`pulumi up\` rolls them out"
  fi
  if list=$(request "$peer_url/members"); then
    member_lines "$list" | while read -r id other peer _ kind; do
      say "member      $other $(printf '%x' "$id") $kind at $peer: $(probe "$peer")"
    done
  else
    say "member      no answer on $peer_url: $list"
  fi
}
