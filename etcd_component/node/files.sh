# ---- binary, tls, config: what is put on the machine ------------------------

# ---- binary

do_binary() {
  check_version_change
  case $method in
    archive | upload) install_archive ;;
    package) install_package && adopt_programs package ;;
    preinstalled) adopt_programs preinstalled ;;
    *) die "there is no way \`$method\` to install etcd; see etcd_install" ;;
  esac
  snapshot_before_upgrade
  link_if_down
}

reported_version() { "$1" --version 2>/dev/null | sed -n 's/^etcd Version: //p'; }

install_archive() {
  place=$versions/$version
  # A link there leads to programs that are not ours.
  if [ ! -L "$place" ] && [ "$(reported_version "$place/bin/etcd")" = "$version" ]; then
    say "etcd $version is here already"
    return
  fi
  case $(architecture) in
    amd64) wanted=$sha256_amd64 ;;
    *) wanted=$sha256_arm64 ;;
  esac
  [ -n "$wanted" ] || die "no checksum of etcd $version for $(architecture) is known; give it as etcd_archive_sha256"
  # Beside its place, since other file systems may forbid programs; a killed run leaves it behind.
  mkdir -p "$versions"
  rm -rf "${versions:?}"/.new-*
  work=$(mktemp -d "$versions/.new-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  fetch_archive "$work/etcd.tar.gz"
  found=$(sha256sum "$work/etcd.tar.gz" | cut -c 1-64)
  [ "$found" = "$wanted" ] ||
    die "the archive's SHA-256 is $found, but $wanted is expected; nothing was installed. The mirror is stale, the transfer broke off, or somebody changed the file"
  unpack_archive
  rm -rf "${place:?}"
  mv -T "$work/release" "$place"
  ! command -v restorecon >/dev/null 2>&1 || restorecon -R /opt/etcd || :
  say "etcd $version is installed in $place"
}

unpack_archive() { # $work/etcd.tar.gz to $work/release, as it will stand in its place
  mkdir -p "$work/all" "$work/release/bin"
  tar -xzf "$work/etcd.tar.gz" -C "$work/all" --no-same-owner ||
    die "the archive cannot be unpacked; nothing was installed. Its checksum is right, so the file was published broken, or the disk under $versions is full"
  for program in etcd etcdctl etcdutl; do
    file=$(find "$work/all" -type f -name "$program" | head -n 1)
    [ -n "$file" ] || die "the archive has no \`$program\`; it is not an etcd release"
    install -m 755 "$file" "$work/release/bin/$program"
  done
  chmod 755 "$work/release"
  found=$(reported_version "$work/release/bin/etcd")
  [ "$found" = "$version" ] || die "the archive holds etcd ${found:-that does not run here}, not $version; nothing was installed"
}

fetch_archive() {
  if [ "$method" = upload ]; then
    [ -s "$archive" ] ||
      die "the uploaded archive $archive is not on this machine any more; \`pulumi up --replace\` with the URN of this instance's archive uploads it again"
    cp "$archive" "$1"
    return
  fi
  address=$(printf '%s' "$url" | sed "s/{version}/$version/g; s/{arch}/$(architecture)/g")
  # A mirror may need a login, which belongs neither into an argument list nor into a message.
  shown=$(printf '%s' "$address" | sed 's|//[^/@]*@|//|')
  doing="fetching $shown"
  printf 'url = "%s"\n' "$address" |
    curl -fsSL -g --retry 3 --retry-connrefused --connect-timeout 10 --max-time 540 -o "$1" -K - ||
    die "could not fetch $shown; nothing was installed. If this machine cannot reach it, set etcd_archive_url to a mirror, or etcd_install to upload"
}

install_package() {
  if [ -x /usr/bin/etcd ] && [ "$(reported_version /usr/bin/etcd)" = "$version" ]; then
    say "etcd $version is here already"
  elif command -v apt-get >/dev/null 2>&1; then
    install_deb
  elif command -v dnf >/dev/null 2>&1; then
    doing="installing the package etcd"
    dnf -y -q install etcd >&2 || die "dnf could not install the package etcd"
  else
    die "etcd_install is package, but this machine has neither apt-get nor dnf; use archive"
  fi
}

install_deb() {
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  doing="asking apt-get for etcd-server"
  apt-get -q update >&2 || die "apt-get update fails; mend the machine's package sources, or set etcd_install to archive"
  candidate=$(apt-cache policy etcd-server | sed -n 's/^ *Candidate: //p')
  case $candidate in
    "$version"[-+~]* | "$version") ;;
    *) die "the distribution offers etcd-server ${candidate:-nowhere}, but etcd_version is $version; nothing was installed. Set etcd_version to what it offers, if that is not refused, or etcd_install to archive" ;;
  esac
  # Debian's package starts a lone etcd of its own as soon as it is installed, and restarts it on
  # each package upgrade without asking the cluster.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  doing="installing etcd-server with apt-get"
  apt-get -q -y install etcd-server etcd-client >&2 || die "apt-get could not install etcd-server and etcd-client"
  apt-mark hold etcd-server etcd-client >/dev/null
  # Enabled, it would start at the next boot. Our own unit of that name stands before it.
  [ -e /etc/systemd/system/etcd.service ] || systemctl disable --now -q etcd.service 2>/dev/null || :
}

# Where the machine itself has a program. Our own wrapper of etcdctl stands on the same path, and is
# not what is looked for.
program_of_machine() {
  for dir in /usr/bin /usr/sbin /bin /sbin /opt/bin /usr/local/bin /usr/local/sbin; do
    if [ -x "$dir/$1" ] && ! grep -qs 'Written by etcd-node' "$dir/$1"; then
      say "$dir/$1"
      return
    fi
  done
}

adopt_programs() { # link the programs that the machine has into our place for versions
  mkdir -p "$versions/$1/bin"
  for program in etcd etcdctl etcdutl; do
    file=$(program_of_machine "$program")
    [ -z "$file" ] || ln -sfn "$file" "$versions/$1/bin/$program"
  done
  found=$(reported_version "$versions/$1/bin/etcd")
  [ "$found" = "$version" ] ||
    die "this machine has ${found:+etcd }${found:-no etcd}, but etcd_version is $version; set etcd_version to ${found:-what it will have}, or etcd_install to archive"
  [ -L "$versions/$version" ] || rm -rf "${versions:?}/${version:?}"
  ln -sfn "$1" "$versions/$version"
  say "etcd $version is the machine's own ($1)"
}

# Switch the cluster's programs to version $1. Only a member that is about to start calls this. A
# command without a version leaves the link as it is.
link_version() {
  if [ -z "$1" ]; then
    [ -e "$running/bin/etcd" ] || die "no etcd is linked as $running; give --version"
    return
  fi
  [ -x "$versions/$1/bin/etcd" ] || die "etcd $1 is not on this machine; \`pulumi up\` puts it there"
  mkdir -p "${running%/*}"
  ln -sfn "../versions/$1" "$running.$$"
  mv -fT "$running.$$" "$running"
}

link_if_down() {
  exec 9>&-
  lock "$cluster"
  [ -s "$etc/seat.yaml" ] && [ -L "$running" ] && [ "$(readlink "$running")" != "../versions/$version" ] || return 0
  # One that leads nowhere was put there by hand: a member that goes down could not come back.
  [ -e "$running/bin/etcd" ] || link_version "$version"
  load_instance
  holds_member && [ "$(unit_state)" != active ] || return 0
  link_version "$version"
  compose_configuration
  restart_if_down
}

# ---- tls

make_user() {
  getent passwd etcd >/dev/null ||
    useradd --system --user-group --home-dir / --no-create-home --shell /usr/sbin/nologin --comment 'etcd (etcd-node)' etcd ||
    # The instance of another cluster on this machine may have been quicker.
    getent passwd etcd >/dev/null
}

do_tls() {
  make_user
  text=$(cat)
  mkdir -p "$etc"
  # Those of a run that was killed, too: the link leads to the only one in use.
  for old in "$etc"/pki-*; do
    [ "$old" = "$etc/$(readlink "$pki")" ] || rm -rf "$old"
  done
  new=$(mktemp -d "$etc/pki-XXXXXX")
  for file in ca.crt server.crt server.key; do
    part=$(section "$file" "$text")
    case $part in
      *-----BEGIN*-----END*) ;;
      *)
        rm -rf "$new"
        die "standard input has no PEM in a section \`--- $file\`; the certificate in use stays"
        ;;
    esac
    mode=644
    [ "$file" != server.key ] || mode=600
    printf '%s\n' "$part" | (umask 077 && put "$new/$file" "$mode" etcd:etcd)
  done
  refuse_to_cut_off
  chmod 755 "$new"
  # One link is switched, so that the certificate and its key change in one step.
  last=$(readlink "$pki" || :)
  ln -sfn "${new##*/}" "$pki.$$"
  mv -fT "$pki.$$" "$pki"
  [ -z "$last" ] || rm -rf "${etc:?}/$last"
  say "certificate and key are in $pki"
}

# etcd trusts the CAs that it was started with, but serves a new certificate at once. So the new files
# are tried before they are used, as a client of every running member, this one too: what works
# between two of them with the present files must work with the new ones. Where a CA goes, all of
# them must be there to say so: one that is away may still need it.
refuse_to_cut_off() {
  [ -s "$etc/seat.yaml" ] && [ -s "$pki/ca.crt" ] || return 0
  load_instance
  # What somebody put here by hand the others never trusted; what runs here may.
  dropped=''
  repair_is_asked || dropped=$(dropped_authorities)
  for member in $(members_to_ask); do
    if [ "${member#*=}" = "$peer_url" ] && repair_is_asked; then continue; fi
    doing="trying the new certificate at ${member%%=*}"
    why_not=''
    is_at_one "${member#*=}" || {
      rm -rf "$new"
      if [ -n "$dropped" ]; then
        die "$name: a CA that members trust now is not in the new bundle, and ${member%%=*} at ${member#*=} may need it: with the new files it cannot be spoken to ($why_not). Nothing was changed. Put the CA back into etcd_ca_trusted and run \`pulumi up\`; it may go when all members are up and another CA signs"
      fi
      die "$name: ${member%%=*} at ${member#*=} takes the present certificate, but not the new one ($why_not): it does not run with the CA that signed it. Nothing was changed. Put etcd_ca_signing back and run \`pulumi up\` with that CA in etcd_ca_trusted; it may sign in the next update"
    }
  done
}

# Text for each CA of the present bundle that the new one lacks.
dropped_authorities() {
  tr -d '\n' <"$pki/ca.crt" | sed 's/-----END CERTIFICATE-----/&\
/g' | while read -r authority; do
    case $(tr -d '\n' <"$new/ca.crt") in *"$authority"*) ;; *) say dropped ;; esac
  done
}

# `name=peer-url` of this member, if it runs, and of all others.
members_to_ask() {
  if list=$(request "$peer_url/members"); then
    member_lines "$list" | awk '{ print ($2 == "-" ? "member-" $1 : $2) "=" $3 }'
  else
    [ "$(unit_state)" != active ] || say "$name=$peer_url"
    known_peers
  fi
}

# Does the member at peer URL $1 get on with the new files? Sets $why_not if it does not. Asked more
# than once, since it may be at work on its own files.
is_at_one() {
  for _ in 1 2 3; do
    answer=$(files=$new request_time=5 request "$1/version") && return 0
    case $answer in 'curl: (7) '* | 'curl: (28) '*' connect '* | 'curl: (28) Connection '*) break ;; esac
    sleep 0.3
  done
  why_not=$(said "$answer")
  [ -z "$dropped" ] || return 1
  # What fails with the present files as well is not the new ones' fault; nor is what was mended
  # over there between the two.
  ! request_time=5 request "$1/version" >/dev/null || files=$new request_time=5 request "$1/version" >/dev/null
}

# ---- config

do_config() {
  make_user
  text=$(cat)
  for file in etcd.yaml "$unit"; do
    [ -n "$(section "$file" "$text")" ] || die "standard input has no section \`--- $file\`"
  done
  mkdir -p "$etc"
  check_version_change
  refuse_to_lose_the_seat
  section etcd.yaml "$text" | put "$etc/settings.yaml" 644 root:root
  # A member goes on reading what is made for its version, until it changes that.
  changes_minor || compose_configuration
  load_instance
  own_data_directory
  section "$unit" "$text" | put "$unit_file" 644 root:root
  put_etcdctl
  systemctl daemon-reload
  say "$name: configuration and unit are in place"
  if [ -s "$etc/seat.yaml" ] && holds_member; then
    restart_if_down
  fi
}

# A member is its peer URL and its data: with another of either, etcd would start as somebody new.
# Only the port of the peer URL may change, which the rollout then tells the cluster.
refuse_to_lose_the_seat() {
  [ -s "$etc/seat.yaml" ] && [ -s "$etc/settings.yaml" ] || return 0
  for key in name data-dir initial-advertise-peer-urls; do
    now=$(config_value "$key")
    wanted=$(section etcd.yaml "$text" | awk -v key="$key:" '$1 == key { print $2 }')
    [ "$now" != "$wanted" ] || continue
    if [ "$key" = initial-advertise-peer-urls ] && [ "${now%:*}" = "${wanted%:*}" ]; then
      ! changes_minor || refuse_version "another peer port is wanted, too. Change one after the other"
      [ -s "$etc/former-peer-url" ] || say "$now" | put "$etc/former-peer-url" 644 root:root
      continue
    fi
    die "a member that has its seat cannot change its $key from $now to $wanted; nothing was changed. Put it back, or give the instance a new etcd_seq: that one joins, and this one leaves"
  done
}

# What etcd reads: the settings, and how the member took its seat (read by etcd only once).
compose_configuration() { composition | put "$etc/etcd.yaml" 644 root:root; }

composition() { cat "$etc/settings.yaml" && { [ ! -s "$etc/seat.yaml" ] || cat "$etc/seat.yaml"; }; }

# It is not for the time of a change of version, nor where somebody has edited it.
is_composed() { [ "$(composition)" = "$(cat "$etc/etcd.yaml")" ]; }

own_data_directory() {
  # What was there before is not erased later.
  [ -d "$data" ] || existing_parent "$data" | put "$etc/found-parent" 644 root:root
  mkdir -p "$data"
  chmod 700 "$data"
  chown etcd:etcd "$data"
}

# `etcdctl` for root without flags. An option that is set both as a flag and in the environment is
# an error to etcdctl, so what the caller gives as a flag is not set. In sbin it comes first on
# root's path, and replaces no program that somebody else has installed.
put_etcdctl() {
  if [ -e "$etcdctl" ] && ! grep -q 'Written by etcd-node' "$etcdctl"; then
    warn "$etcdctl is somebody else's and stays as it is; the cluster's own is ${running}/bin/etcdctl"
    return 0
  fi
  put "$etcdctl" 755 root:root <<'END'
#!/bin/sh
# Written by etcd-node: etcdctl with this machine's endpoints and certificates.
# Several clusters on this machine: ETCD_CLUSTER=name etcdctl ...
set -eu
cluster=${ETCD_CLUSTER:-}
if [ -z "$cluster" ]; then
  for place in /etc/etcd/etcd /etc/etcd/*; do
    [ ! -s "$place/etcd.yaml" ] || { cluster=${place##*/} && break; }
  done
fi
place=/etc/etcd/$cluster
default() { # default VARIABLE FLAG VALUE ARGUMENTS...
  variable=$1 flag=$2 value=$3
  shift 3
  for argument; do
    case $argument in "$flag" | "$flag"=*) return 0 ;; esac
  done
  eval "[ -n \"\${$variable:-}\" ] || export $variable=\"\$value\""
}
endpoint=$(awk '$1 == "advertise-client-urls:" { print $2 }' "$place/etcd.yaml")
default ETCDCTL_ENDPOINTS --endpoints "$endpoint" "$@"
default ETCDCTL_CACERT --cacert "$place/pki/ca.crt" "$@"
default ETCDCTL_CERT --cert "$place/pki/server.crt" "$@"
default ETCDCTL_KEY --key "$place/pki/server.key" "$@"
status=0
"/opt/etcd/clusters/$cluster/bin/etcdctl" "$@" || status=$?
case $status:${ETCDCTL_USER:-}:" $*" in
  0:* | *:?*:* | *' --user'* | *' -h'* | *' --help'*) ;;
  *) echo "etcdctl: etcd wants a login for most things: etcdctl --user root ..." >&2 ;;
esac
exit "$status"
END
}
