# ---- what both programs share: messages, files, locks, looks at a machine ----

say() {
  last_said=$*
  printf '%s\n' "$last_said"
}

# The last line of a run that changes something: proof for who started it that this program ran to
# its end. An SSH server that runs something else in its place may well report success.
prove() {
  printf '%s [%s %s done]\n' "${last_said##*
}" "$me" "$command"
}
last_said=ready
warn() { say "warning: $*"; }
die() {
  printf '%s: %s\n' "$me" "$*" >&2
  exit 1
}

findings=''
find_fault() { # what is wrong, and the cure
  findings="$findings
  - $1. Cure: $2."
}

lock() { # hold the lock of that name, as file descriptor 9, until this program ends
  while :; do
    make_lock_directory
    exec 9>"$run/locks/$1.lock"
    flock -w 2 9 || {
      say "waiting for another $me, which is at work here"
      flock -w 610 9 ||
        die "another $me has been at work here for ten minutes; see \`fuser -v $run/locks/$1.lock\`"
    }
    # The one that was waited for may have removed the file, and then this lock locks nothing.
    case $(readlink "/proc/$$/fd/9") in *'(deleted)') ;; *) break ;; esac
  done
}

# Of a machine that is refused, nothing is kept: forget_locks NAMES..., which this run holds.
forget_locks() {
  for held; do rm -f "$run/locks/$held.lock"; done
  rmdir "$run/locks" "$run" 2>/dev/null || :
}

# Whoever can open a file can lock it, so locks are where only root can look.
make_lock_directory() {
  mkdir -p "$run"
  (umask 077 && mkdir "$run/locks" 2>/dev/null) || :
  [ "$(stat -c '%u %a %F' "$run/locks" 2>/dev/null)" = '0 700 directory' ] ||
    die "$run/locks is not a directory of root with mode 700, so other users could lock what is in it; remove it and run this again"
}

# Replace file $1 by standard input, atomically; $2 is the mode, $3 the owner. Only where nobody but
# root can write: elsewhere put_among_others. When it cannot be written, what was there before stays,
# and nothing half-written is left, also where the caller is a condition, in which the shell goes on
# after an error.
put() {
  { cat >"$1.$$" && chown "$3" "$1.$$" && chmod "$2" "$1.$$" && mv -f "$1.$$" "$1"; } || {
    rm -f "$1.$$"
    die "$1 cannot be written; what was there before stays. Free space there (\`df\` shows it) and run this again"
  }
}

# The same in a directory in which other users can write, too. They know the name of the process, and
# could put a link where root is about to write: so it is written in a directory of root's alone,
# which stays the same directory under whatever name.
put_among_others() {
  private=$(mktemp -d "$1.XXXXXX")
  if (cd "$private" && [ "$(stat -c '%u %a' .)" = '0 700' ] && put new "$2" "$3" && mv -fT new "../${1##*/}"); then
    rm -rf "$private"
  else
    rm -rf "$private"
    return 1
  fi
}

# Fill directory $1 with programs that come before those by which packages of Debian start, stop and
# enable units. They leave out units whose name matches the pattern $2 and hand on all others. So
# nothing is changed outside of this process, and nothing is left behind when it is killed.
hold_units_back() {
  for program in deb-systemd-invoke invoke-rc.d deb-systemd-helper; do
    command -v "$program" >/dev/null 2>&1 || continue
    sed "s/UNITS/$2/" >"$1/$program" <<'END'
#!/bin/sh
PATH=${PATH#"${0%/*}:"} named=no enables=no
for word; do
  case $word in enable) enables=yes ;; UNITS) named=yes ;; esac
done
case ${0##*/}:$named:$enables in
  deb-systemd-helper:*:no | *:no:*) exec "${0##*/}" "$@" ;;
esac
END
    chmod 755 "$1/$program"
  done
}

# Run a command that installs packages, with what directory $1 holds back and without questions.
install_quietly() {
  first_on_path=$1
  shift
  # needrestart would restart what runs with files that were replaced.
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 PATH="$first_on_path:$PATH" "$@"
}

# Print section $1 of the text in $2: the lines between `--- $1` and the next `--- `.
section() {
  printf '%s\n' "$2" | awk -v wanted="--- $1" '/^--- / { on = ($0 == wanted); next } on'
}

require_systemd() {
  [ -d /run/systemd/system ] ||
    find_fault "systemd is not the init system" "use a machine that runs systemd"
}

# Those of the named programs that are not here, each after a space.
missing_of() {
  for program in "$@"; do
    command -v "$program" >/dev/null 2>&1 || printf ' %s' "$program"
  done
}

own_addresses() {
  ip -o addr show 2>/dev/null | awk '{ sub(/\/.*/, "", $4); print $4 }'
}

existing_parent() {
  place=$1
  while [ ! -d "$place" ]; do place=$(dirname "$place"); done
  say "$place"
}

# A data directory is looked at, made and emptied where it really is: a link may lead there, and is
# left alone.
refuse_system_directory() { # refuse_system_directory DIRECTORY WHAT-TO-CHOOSE; its real path is $real
  # Of links in a circle some stay unresolved.
  place=$real
  while [ "$place" != / ]; do
    if [ -L "$place" ]; then
      find_fault "$1 cannot be followed: the link $place leads nowhere" "mend it, or choose $2"
      return
    fi
    place=$(dirname "$place")
  done
  case $real in
    / | /bin | /boot | /dev | /etc | /home | /lib | /lib64 | /media | /mnt | /opt | /proc | /root | /run | /sbin | /srv | /sys | \
      /tmp | /usr | /var | /usr/* | /var/lib | /var/log | /var/tmp | /var/cache | /var/spool | /dev/* | /proc/* | /sys/* | /boot/* | /run/* | /etc/*)
      # Other programs are there.
      find_fault "$1 is the directory $real of the system" "choose $2"
      ;;
  esac
}

# The first mount point below directory $1, if there is one.
mounts_below() {
  awk -v top="$1/" '{ gsub(/\\040/, " ", $5) } index($5, top) == 1 { print $5; exit }' /proc/self/mountinfo
}

# Remove all data, and of the way to them what was made for them.
remove_data_directory() {
  find "$real" -xdev -mindepth 1 -delete
  base=$(cat "$etc/found-parent" 2>/dev/null || say "$real")
  # It may have been written for another directory, which an instance of this machine had before.
  case $real/ in "${base%/}"/*) ;; *) base=$real ;; esac
  place=$real
  # The directory may be a mount point, and its parents may serve others.
  while [ "$place" != "$base" ] && [ "$place" != / ]; do
    rmdir "$place" 2>/dev/null || break
    place=$(dirname "$place")
  done
}

free_mib() { df -Pm "$1" | awk 'NR == 2 { print $4 }'; }

# Who listens on port $1; nothing if it is the main process of unit $2. Fails if nobody does.
holder_of_port() {
  listener=$(ss -Hltnp "sport = :$1" 2>/dev/null)
  [ -n "$listener" ] || return 1
  main=$(systemctl show -p MainPID --value "$2" 2>/dev/null || say 0)
  printf '%s\n' "$listener" | awk -v main="$main" '
    match($0, /users:\(\("[^"]*",pid=[0-9]+/) {
      who = substr($0, RSTART + 9, RLENGTH - 9)
      split(who, part, /",pid=/)
      if (part[2] != main) { print "\140" part[1] "\140 (process " part[2] ")"; exit }
      next
    }
    { print "the kernel"; exit }'
}
