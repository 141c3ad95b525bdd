# ---- preflight: is this machine fit to be the monitor? ----------------------

# The first version that was tried. Those of Debian 12 take passwords in command lines only, and have
# no dashboards of one's own.
oldest=1.112

do_preflight() { look_at_machine; }

look_at_machine() {
  real=$(readlink -m "$data")
  check_programs
  check_owner
  check_addresses
  check_port "$port" "$listen" etcd-monitor.service
  check_port "$alerts_port" 127.0.0.1 etcd-monitor-alerts.service
  check_data_directory
  check_units
  check_disk
  [ -n "$findings" ] || check_software
  [ -z "$findings" ] || {
    [ "$command" != claim ] || [ -d "$etc" ] || forget_locks monitor
    die "this machine cannot be the monitor yet; nothing was changed:$findings"
  }
  say "the machine is fit (VictoriaMetrics $found, $(free_mib "$(existing_parent "$real")") MiB free)"
}

check_programs() {
  require_systemd
  missing=$(missing_of systemctl curl awk sed grep sha256sum flock timeout readlink useradd ss ip apt-get dpkg-query)
  case $missing in
    '') ;;
    *apt-get* | *dpkg*)
      find_fault "VictoriaMetrics comes from a package of Debian, and apt-get is not here" \
        "use a machine with Debian 13 or newer as the monitor; others can use the files of \`make monitoring\` with their own"
      ;;
    *)
      find_fault "these programs are missing:$missing" \
        "install the packages that hold them (curl, gawk or mawk, coreutils, util-linux, passwd, iproute2)"
      ;;
  esac
}

check_owner() {
  owned_by_another && find_fault "another stack's monitor is here (or this stack's state was lost)" \
    "use another machine; to end that monitor for good, run \`etcd-monitor erase --yes\` here"
  return 0
}

owned_by_another() { [ -n "$owner" ] && [ -s "$etc/owner" ] && [ "$(cat "$etc/owner")" != "$owner" ]; }

is_ours() { [ -s "$etc/owner" ] && [ "$(cat "$etc/owner")" = "$owner" ]; }

check_addresses() {
  case $listen in
    127.* | ::1 | 0.0.0.0 | ::) return 0 ;;
  esac
  own_addresses | grep -qxF "$listen" ||
    find_fault "the address $listen, on which it is to listen, is not on this machine (it has: $(own_addresses | grep -v '^fe80' | tr '\n' ' '))" \
      "correct listen in etcd_monitor"
}

check_port() { # port, address, our unit
  holder=$(holder_of_port "$1" "$3") || return 0
  [ -z "$holder" ] && is_ours && return 0
  find_fault "port $1 is held by ${holder:-"the unit $3, which is not this stack's"}" \
    "stop it, or have the monitor elsewhere: what is there is not taken over"
}

check_data_directory() {
  last=$(cat "$etc/data" 2>/dev/null || :)
  if [ -n "$last" ] && is_ours && [ "$last" != "$data" ]; then
    find_fault "the monitor has its data in $last and cannot be moved to $data" \
      "put data back; or take etcd_monitor out, run \`pulumi up\`, move the directory and put etcd_monitor in again"
  fi
  refuse_system_directory "$data" "another data in etcd_monitor"
  if [ -e "$real" ] && [ ! -d "$real" ]; then
    find_fault "$real is not a directory" "choose another data in etcd_monitor"
  elif [ -n "$(find "$real" -mindepth 1 -maxdepth 1 ! -name lost+found 2>/dev/null | head -n 1)" ] && ! holds_our_data; then
    find_fault "$real is not empty and was not made by etcd-monitor" \
      "look at what it holds; move it away, or choose another data in etcd_monitor"
  fi
}

# What a monitor that was taken away had collected is found again by the next.
holds_our_data() { [ -e "$real/.etcd-monitor" ]; }

check_units() {
  for unit in etcd-monitor.service etcd-monitor-alerts.service; do
    if [ -e "$units/$unit" ] && ! grep -q '^# Written by etcd-monitor' "$units/$unit"; then
      find_fault "$units/$unit is somebody else's" "remove it first"
    fi
  done
}

check_disk() {
  # One that ran full is mended by a change, such as less retention.
  ! is_ours || return 0
  place=$(existing_parent "$real")
  free=$(free_mib "$place")
  [ "${free:-0}" -ge 1024 ] ||
    find_fault "only ${free:-0} MiB are free for $data" "free at least 1024 MiB"
}

check_software() {
  found=$(version_here)
  [ -n "$found" ] || found=$(version_offered)
  if [ -z "$found" ]; then
    doing="asking apt-get for victoria-metrics"
    # Lists only: a machine that was never asked for a package has none.
    apt-get -qq update >&2 || :
    found=$(version_offered)
  fi
  if [ -z "$found" ]; then
    find_fault "the package sources of this machine have no victoria-metrics" \
      "use a machine with Debian 13 or newer as the monitor, or give this one a source that has $oldest or newer"
  elif ! dpkg --compare-versions "$found" ge "$oldest"; then
    find_fault "this machine has VictoriaMetrics $found, which is older than $oldest: it takes passwords in command lines only, and shows no dashboards" \
      "use a machine with Debian 13 or newer as the monitor; others can use the files of \`make monitoring\` with their own"
  fi
}

version_here() {
  dpkg-query -W -f '${db:Status-Status} ${Version}\n' victoria-metrics 2>/dev/null |
    sed -n 's/^installed \([^+~-]*\).*/\1/p'
}

version_offered() {
  apt-cache policy victoria-metrics 2>/dev/null |
    sed -n 's/^ *Candidate: *\([0-9][^+~-]*\).*/\1/p'
}

# Every command is held against the claim before anything else: what is another's, or nobody's, is
# left alone.
check_claim() {
  case $command in targets | preflight | claim) return ;; esac
  if [ -z "$owner" ]; then
    [ "$command" = erase ] && [ -d "$etc" ] && [ "$yes" != true ] || return 0
    more=''
    [ "$remove_data" != true ] || more=' --remove-data'
    die "this machine is the monitor of stack $(cat "$etc/owner" 2>/dev/null || say unknown), and has what it collected in $(cat "$etc/data" 2>/dev/null || say no directory)${more:+, which would be DELETED}. Nothing was removed. To confirm: etcd-monitor erase$more --yes"
  fi
  ! is_ours || return 0
  whose='no claim of this stack'
  ! owned_by_another || whose='the monitor of another stack'
  [ "$command" = erase ] ||
    die "this machine holds $whose; no changes were made. Run \`pulumi up\` with the stack that put it there; where its files were lost, take etcd_monitor out, run \`pulumi up\`, and put it in again"
  # One that was cut off may have left the program itself.
  [ -d "$etc" ] || return 0
  say "the monitor of this stack is not on this machine, which holds $whose. Nothing was removed"
  exit 0
}

# Finding the machine fit and marking it as this stack's monitor is one step, under one lock. Nothing
# else is put on it before.
do_claim() {
  [ -n "$owner" ] && [ -n "$data" ] || die "\`claim\` needs --owner and --data"
  look_at_machine
  mkdir -p "${itself%/*}"
  put "$itself" 755 root:root <"$0"
  mkdir -p "$etc"
  say "$owner" | put "$etc/owner" 644 root:root
}
