# ---- erase: take what etcd-monitor put here off the machine -----------------

do_erase() {
  if owned_by_another; then
    say "the monitor on this machine belongs to another stack; nothing was removed"
    return
  fi
  data=$(cat "$etc/data" 2>/dev/null || :)
  for unit in "$alerts" "$store"; do
    doing="stopping $unit"
    [ -e "$units/$unit" ] || continue
    systemctl disable -q --now "$unit"
    rm -f "$units/$unit"
  done
  systemctl daemon-reload
  systemctl reset-failed "$alerts" "$store" 2>/dev/null || :
  doing="removing files"
  kept=''
  [ -z "$data" ] || ! [ -d "$data" ] || erase_data
  rm -rf "${etc:?}"
  # What stays belongs to it.
  [ -n "$kept" ] || ! getent passwd "$user" >/dev/null || userdel "$user"
  rm -f "$itself" "$run"/*
  rmdir "$run" 2>/dev/null || :
  say "the monitor is off this machine.$kept"
}

erase_data() {
  if [ "$remove_data" != true ]; then
    kept=" What it collected stays in $data."
    return
  fi
  remove_data_directory
}
