# ---- preflight: is this machine fit to be a member? -------------------------

do_preflight() { look_at_machine; }

look_at_machine() {
  real=$(readlink -m "$data")
  check_programs
  check_held
  check_neighbours
  check_address
  check_port "$client_port" client
  check_port "$peer_port" peer
  check_data_directory
  check_disk
  check_upload
  check_clock
  [ -z "$findings" ] || {
    [ "$command" != claim ] || [ -n "$(ls -A /etc/etcd 2>/dev/null)" ] || forget_locks machine "$cluster"
    die "this machine cannot be $name yet; nothing was changed:$findings"
  }
  say "$name: the machine is fit ($(architecture), $(free_mib "$(existing_parent "$real")") MiB free)"
}

check_programs() {
  require_systemd
  needed='systemctl curl awk sed grep sha256sum flock setpriv timeout readlink useradd ss ip'
  case $method in archive | upload) needed="$needed tar gzip" ;; esac
  # shellcheck disable=SC2086  # several
  missing=$(missing_of $needed)
  [ -z "$missing" ] ||
    find_fault "these programs are missing:$missing" "install the packages that hold them (curl, gawk or mawk, tar, gzip, coreutils, util-linux, passwd, iproute2)"
  case $(architecture) in
    amd64 | arm64) ;;
    *) find_fault "etcd is not provided for the architecture $(uname -m)" "use an x86_64 or aarch64 machine" ;;
  esac
  if [ "$method" = preinstalled ]; then
    for program in etcd etcdctl; do
      [ -n "$(program_of_machine "$program")" ] ||
        find_fault "etcd_install is preinstalled, but \`$program\` is not on root's PATH" "install it in /usr/local/bin, or choose another etcd_install"
    done
  fi
}

check_address() {
  case $address in
    *:*) resolved=$address ;;
    *[!0-9.]*)
      resolved=$(getent ahosts "$address" | awk '{ print $1 }' | sort -u)
      if [ -z "$resolved" ]; then
        find_fault "the name $address cannot be resolved here" "put it in the DNS or in /etc/hosts of every node"
        return
      fi
      ;;
    *) resolved=$address ;;
  esac
  own=$(own_addresses)
  for one in $resolved; do
    ! printf '%s\n' "$own" | grep -qxF "$one" || return 0
  done
  find_fault "the address $address is not on this machine (it has: $(printf '%s\n' "$own" | grep -v '^fe80' | tr '\n' ' '))" \
    "correct the host's key in the inventory (ansible_host may name another way in for SSH)"
}

check_port() {
  # Our own etcd of an earlier run, perhaps of one that was interrupted, may hold its port.
  holder=$(holder_of_port "$1" "$unit") || return 0
  [ -z "$holder" ] && is_ours && return 0
  find_fault "the $2 port $1 is held by ${holder:-"the unit $unit, which is not this instance"}" \
    "stop it, or choose another port in the inventory"
}

# The data directory and the unit are ours when the claim, or our own configuration, names them.
is_ours() {
  if [ -s "$etc/claim" ]; then
    [ "$(claim_value data)" = "$data" ] && { [ "$held_name" = "$name" ] || [ -n "$former" ]; } &&
      [ "${owner:-$held_owner}" = "$held_owner" ]
  else
    [ -s "$etc/etcd.yaml" ] && [ "$(config_value data-dir)" = "$data" ]
  fi
}

check_data_directory() {
  refuse_system_directory "$data" "another etcd_data"
  if [ -e "$real" ] && [ ! -d "$real" ]; then
    find_fault "$real is not a directory" "choose another etcd_data"
  elif [ -n "$(find "$real" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name .etcd-node ! -name 'member.before-reseat-*' ! -name 'member.left-*' ! -name 'member.removed-*' 2>/dev/null | head -n 1)" ] &&
    ! is_ours; then
    check_data_of_another
  fi
  if [ -e "$unit_file" ] && [ ! -L "$unit_file" ] && ! grep -q '^# Written by etcd-node' "$unit_file"; then
    find_fault "$unit_file is somebody else's" "remove that etcd first, or give this cluster another name"
  fi
}

# The system's disk may be new, and the data those that this very instance left on theirs.
check_data_of_another() {
  if [ -d "$real/member" ] && [ -n "$(mark_value name)" ]; then
    ! marked_as_mine || return 0
    whose="$(mark_value name) of cluster $(mark_value cluster)"
    [ -z "$owner" ] || [ "$(mark_value owner)" = "$owner" ] || whose="$whose of another stack (or one that was destroyed)"
    [ -z "$(mark_value left)" ] || whose="$whose, which has left it"
    find_fault "$real holds the data of $whose" "move them away, or choose another etcd_data"
  else
    find_fault "$real is not empty and not this instance's" \
      "look at what it holds; move it away, or choose another etcd_data"
  fi
}

check_disk() {
  place=$(existing_parent "$real")
  free=$(free_mib "$place")
  if [ "${free:-0}" -lt 512 ]; then
    # One that ran full is mended by a change, such as another number of etcd_repair.
    if [ -s "$etc/seat.yaml" ] && is_ours && holds_member; then
      warn "$name: only ${free:-0} MiB are free for $data"
      return
    fi
    find_fault "only ${free:-0} MiB are free for $data" "free at least 512 MiB (the quota and as much again is a good size)"
    return
  fi
  probe_directory=$(mktemp -d "$place/.etcd-node.XXXXXX" 2>/dev/null) || {
    find_fault "nothing can be written under $place" "mount it writable, or choose another etcd_data"
    return
  }
  # etcd writes small records and waits for the disk after each; this does the same. In a directory of
  # root's alone, because the one above may be another user's, who could put a link there.
  seconds=$(
    trap 'rm -rf "$probe_directory"' EXIT
    cd "$probe_directory" && [ "$(stat -c '%u %a' .)" = '0 700' ] &&
      timeout 20 dd if=/dev/zero of=probe bs=2300 count=20 oflag=dsync 2>&1 |
      sed -n 's/.*copied, \([0-9.e-]*\) s,.*/\1/p'
  )
  milliseconds=$(awk -v s="${seconds:-20}" 'BEGIN { printf "%.1f", s / 20 * 1000 }')
  if awk -v ms="$milliseconds" 'BEGIN { exit !(ms > 10) }'; then
    warn "$name: the disk under $place needs $milliseconds ms for a synchronous write; etcd wants less than 10 ms. Use an SSD, or expect elections"
  fi
}

# Pulumi uploads into the directory where this runs: the login's home.
check_upload() {
  [ "$method" = upload ] || return 0
  home=$(pwd -P)
  case $(stat -c %A . 2>/dev/null) in
    *w?) find_fault "everybody can write in $home, where the login's uploads go" "chmod o-w $home, or use another login" ;;
  esac
}

# `clock` is the time of the machine that runs Pulumi when this run began. All nodes are held
# against it, so they are held against each other; certificates are dated by it.
check_clock() {
  [ -n "$clock" ] || return 0
  behind=$((clock - $(date +%s)))
  if [ "$behind" -gt 5 ]; then
    find_fault "the clock is $behind s behind the machine that runs Pulumi, so new certificates are not valid here yet" \
      "let chrony or systemd-timesyncd set it"
  elif [ "$behind" -lt -900 ]; then
    find_fault "the clock is $((-behind)) s ahead of the machine that runs Pulumi" \
      "let chrony or systemd-timesyncd set it, on both"
  elif [ "$behind" -lt -120 ]; then
    warn "$name: the clock is $((-behind)) s ahead of the start of this run; a run that waited long explains it, else see chrony"
  fi
}
