# ---- erase: take what etcd-monitor put here off the machine -----------------

do_erase() {
  data=$(cat "$etc/data" 2>/dev/null || :)
  real=$(cat "$etc/real-data" 2>/dev/null || :)
  for unit in "$alerts" "$store"; do
    doing="stopping $unit"
    grep -qs '^# Written by etcd-monitor' "$units/$unit" || continue
    systemctl disable -q --now "$unit"
    rm -f "$units/$unit"
  done
  systemctl daemon-reload
  systemctl reset-failed "$alerts" "$store" 2>/dev/null || :
  doing="removing files"
  kept=''
  [ -z "$real" ] || ! [ -d "$real" ] || erase_data
  # The claim goes last, so that one that is cut off here can be run again.
  [ ! -d "$etc" ] || find "$etc" -mindepth 1 ! -path "$etc/owner" -delete
  rm -rf "${etc:?}"
  # What stays belongs to it.
  [ -n "$kept" ] || ! getent passwd "$user" >/dev/null || userdel "$user" ||
    warn "the user $user cannot be removed"
  rm -f "$itself"
  # One that waits for this one's lock may have its program beside it.
  rm -rf "$run/locks" "$run"/*.started
  rmdir "$run" 2>/dev/null || :
  say "the monitor is off this machine.$kept"
}

erase_data() {
  if [ "$remove_data" != true ]; then
    kept=" What it collected stays in $data."
    return
  fi
  below=$(mounts_below "$real")
  if [ "$(readlink -m "$data")" != "$real" ]; then
    kept=" $data leads to $(readlink -m "$data"), and not to $real, where it had its data: none were removed."
  elif [ -n "$below" ]; then
    kept=" What it collected stays in $real, because $below is mounted there: unmount it and remove it."
  else
    remove_data_directory
  fi
}
