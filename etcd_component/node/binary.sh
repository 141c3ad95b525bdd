# ---- binary: put a version of etcd on the machine ---------------------------

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
  release_dir=$versions/$version
  # A link there leads to programs that are not ours.
  if [ ! -L "$release_dir" ] && [ "$(reported_version "$release_dir/bin/etcd")" = "$version" ]; then
    say "etcd $version is here already"
    forget_upload
    return
  fi
  case $(architecture) in
    amd64) expected_sha256=$sha256_amd64 ;;
    *) expected_sha256=$sha256_arm64 ;;
  esac
  [ -n "$expected_sha256" ] || die "no checksum of etcd $version for $(architecture) is known; give it as etcd_archive_sha256"
  # Beside its place, since other file systems may forbid programs; a killed run leaves it behind.
  mkdir -p "$versions"
  rm -rf "${versions:?}"/.new-*
  work=$(mktemp -d "$versions/.new-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  fetch_archive "$work/etcd.tar.gz"
  actual_sha256=$(sha256sum "$work/etcd.tar.gz" | cut -c 1-64)
  [ "$actual_sha256" = "$expected_sha256" ] ||
    die "the archive's SHA-256 is $actual_sha256, but $expected_sha256 is expected; nothing was installed. The mirror is stale, the transfer broke off, or somebody changed the file"
  unpack_archive
  rm -rf "${release_dir:?}"
  mv -T "$work/release" "$release_dir"
  ! command -v restorecon >/dev/null 2>&1 || restorecon -R /opt/etcd || :
  say "etcd $version is installed in $release_dir"
  forget_upload
}

unpack_archive() { # $work/etcd.tar.gz to $work/release, as it will stand in its place
  mkdir -p "$work/all" "$work/release/bin"
  tar -xzf "$work/etcd.tar.gz" -C "$work/all" --no-same-owner ||
    die "the archive cannot be unpacked; nothing was installed. Its checksum is right, so the file was published broken, or the disk under $versions is full"
  for program in etcd etcdctl etcdutl; do
    unpacked=$(find "$work/all" -type f -name "$program" | head -n 1)
    [ -n "$unpacked" ] || die "the archive has no \`$program\`; it is not an etcd release"
    install -m 755 "$unpacked" "$work/release/bin/$program"
  done
  chmod 755 "$work/release"
  unpacked_version=$(reported_version "$work/release/bin/etcd")
  [ "$unpacked_version" = "$version" ] || die "the archive holds etcd ${unpacked_version:-that does not run here}, not $version; nothing was installed"
}

fetch_archive() {
  if [ "$method" = upload ]; then
    take_upload "$1"
    return
  fi
  archive_address=$(printf '%s' "$url" | sed "s/{version}/$version/g; s/{arch}/$(architecture)/g")
  # A mirror may need a login, which belongs neither into an argument list nor into a message.
  address_shown=$(printf '%s' "$archive_address" | sed 's|//[^/@]*@|//|')
  doing="fetching $address_shown"
  printf 'url = "%s"\n' "$archive_address" |
    curl -fsSL -g --retry 3 --retry-connrefused --connect-timeout 10 --max-time 540 -o "$1" -K - ||
    die "could not fetch $address_shown; nothing was installed. If this machine cannot reach it, set etcd_archive_url to a mirror, or etcd_install to upload"
}

# Others may be able to write where an upload is. So root reads no link, no pipe, and nothing that
# another user has put there.
take_upload() {
  shown=$archive
  case $archive in /*) ;; *) shown=$(pwd -P)/$archive ;; esac
  doing="reading $shown"
  case $(stat -c '%u %F' "$archive" 2>/dev/null) in
    '' | *' regular empty file')
      die "the uploaded archive $shown is not on this machine any more; \`pulumi up --replace\` with the URN of this instance's archive uploads it again"
      ;;
    '0 regular file' | "${SUDO_UID:-0} regular file") ;;
    *) die "$shown is no plain file of root or of the login, so it is not the archive that was uploaded; nothing was installed. See who put it there, remove it, and run \`pulumi up --replace\` with the URN of this instance's archive" ;;
  esac
  dd if="$archive" of="$1" iflag=nofollow,nonblock bs=1M status=none ||
    die "the uploaded archive $shown cannot be read; nothing was installed"
}

# What Pulumi has uploaded has a name without a directory. Another file is somebody's own.
forget_upload() {
  case $method:$archive in
    upload:*/* | upload:) ;;
    upload:*) rm -f "$archive" ;;
  esac
}

install_package() {
  if [ -x /usr/bin/etcd ] && [ "$(reported_version /usr/bin/etcd)" = "$version" ] && package_is_whole; then
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

# An installation that was killed may have left it unconfigured, or not held.
package_is_whole() {
  case $(dpkg-query -W -f '${db:Status-Want} ${db:Status-Status}' etcd-server 2>/dev/null || :) in
    'hold installed' | '') ;;
    *) return 1 ;;
  esac
}

install_deb() {
  doing="asking apt-get for etcd-server"
  apt-get -q update >&2 || die "apt-get update fails; mend the machine's package sources, or set etcd_install to archive"
  candidate=$(apt-cache policy etcd-server | sed -n 's/^ *Candidate: //p')
  case $candidate in
    "$version"[-+~]* | "$version") ;;
    *) die "the distribution offers etcd-server ${candidate:-nowhere}, but etcd_version is $version; nothing was installed. Set etcd_version to what it offers, if that is not refused, or etcd_install to archive" ;;
  esac
  # Debian's package starts a lone etcd of its own as soon as it is installed, and restarts it on
  # each package upgrade without asking the cluster.
  mkdir -p "$versions"
  rm -rf "${versions:?}"/.new-*
  work=$(mktemp -d "$versions/.new-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  hold_units_back "$work" 'etcd | etcd.* | etcd-* | etcd@*'
  doing="installing etcd-server with apt-get"
  # An installation that was killed has to be ended first.
  install_quietly "$work" dpkg --configure -a >&2 || warn "dpkg --configure -a fails"
  install_quietly "$work" apt-get -q -y -o DPkg::Path="$work:$PATH" --allow-change-held-packages \
    install etcd-server etcd-client >&2 ||
    die "apt-get could not install etcd-server and etcd-client"
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
    own_program=$(program_of_machine "$program")
    [ -z "$own_program" ] || ln -sfn "$own_program" "$versions/$1/bin/$program"
  done
  own_programs_version=$(reported_version "$versions/$1/bin/etcd")
  [ "$own_programs_version" = "$version" ] ||
    die "this machine has ${own_programs_version:+etcd }${own_programs_version:-no etcd}, but etcd_version is $version; set etcd_version to ${own_programs_version:-what it will have}, or etcd_install to archive"
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
  # The `timeout` above has it open, too, so to close it here would not release it.
  flock -u 9 || :
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
