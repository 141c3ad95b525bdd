# ---- binary, tls, config: what is put on the machine ------------------------

# ---- binary

do_binary() {
  case $method in
    archive | upload) install_archive ;;
    package) install_package && adopt_programs package ;;
    preinstalled) adopt_programs preinstalled ;;
  esac
}

reported_version() { "$1" --version 2>/dev/null | sed -n 's/^etcd Version: //p'; }

install_archive() {
  place=$versions/$version
  if [ "$(reported_version "$place/bin/etcd")" = "$version" ]; then
    say "etcd $version is here already"
    return
  fi
  case $(architecture) in
    amd64) wanted=$sha256_amd64 ;;
    *) wanted=$sha256_arm64 ;;
  esac
  [ -n "$wanted" ] || die "no checksum of etcd $version for $(architecture) is known; give it as etcd_archive_sha256"
  work=$(mktemp -d /var/tmp/etcd-node.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  fetch_archive "$work/etcd.tar.gz"
  found=$(sha256sum "$work/etcd.tar.gz" | cut -c 1-64)
  [ "$found" = "$wanted" ] ||
    die "the archive's SHA-256 is $found, but $wanted is expected; nothing was installed. The mirror is stale or somebody changed the file"
  tar -xzf "$work/etcd.tar.gz" -C "$work" --no-same-owner
  mkdir -p "$work/bin"
  for program in etcd etcdctl etcdutl; do
    file=$(find "$work" -path "$work/bin" -prune -o -type f -name "$program" -print | head -n 1)
    [ -n "$file" ] || die "the archive has no \`$program\`; it is not an etcd release"
    install -m 755 "$file" "$work/bin/$program"
  done
  found=$(reported_version "$work/bin/etcd")
  [ "$found" = "$version" ] || die "the archive holds etcd ${found:-that does not run here}, not $version"
  mkdir -p "$versions"
  rm -rf "${place:?}.new" "${place:?}"
  mkdir "$place.new"
  mv "$work/bin" "$place.new/bin"
  mv "$place.new" "$place"
  ! command -v restorecon >/dev/null 2>&1 || restorecon -R /opt/etcd || :
  say "etcd $version is installed in $place"
}

fetch_archive() {
  if [ "$method" = upload ]; then
    [ -s "$archive" ] || die "the uploaded archive $archive is gone; raise nothing, run \`pulumi up\` after \`rm -rf $versions/$version\` on no node: the upload is made again when its file changes"
    cp "$archive" "$1"
    return
  fi
  address=$(printf '%s' "$url" | sed "s/{version}/$version/g; s/{arch}/$(architecture)/g")
  doing="fetching $address"
  curl -fsSL --retry 3 --retry-connrefused --connect-timeout 10 --max-time 540 -o "$1" "$address" ||
    die "could not fetch $address; if this machine cannot reach it, set etcd_archive_url to a mirror, or etcd_install to upload"
}

install_package() {
  if ! command -v etcd >/dev/null 2>&1; then
    if command -v apt-get >/dev/null 2>&1; then
      install_deb
    elif command -v dnf >/dev/null 2>&1; then
      dnf -y -q install etcd >&2
    else
      die "etcd_install is package, but this machine has neither apt-get nor dnf; use archive"
    fi
  fi
}

install_deb() {
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  apt-get -q update >&2
  candidate=$(apt-cache policy etcd-server | sed -n 's/^ *Candidate: //p')
  case $candidate in
    "$version"[-+~]* | "$version") ;;
    *) die "the distribution offers etcd-server ${candidate:-nothing}, but etcd_version is $version; nothing was installed. Set etcd_version to what it offers, if that is not refused, or etcd_install to archive" ;;
  esac
  # Debian's package starts a lone etcd of its own as soon as it is installed, and restarts it on
  # each package upgrade without asking the cluster.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get -q -y install etcd-server etcd-client >&2
  systemctl disable --now etcd.service >/dev/null 2>&1 || :
  apt-mark hold etcd-server >/dev/null
}

adopt_programs() { # link the programs that the machine has into our place for versions
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  found=''
  mkdir -p "$versions/$1/bin"
  for program in etcd etcdctl etcdutl; do
    # Our own wrapper of etcdctl stands on the same PATH and is not what is looked for.
    file=$(for dir in /usr/bin /bin /usr/sbin /opt/bin /usr/local/bin /usr/local/sbin; do
      [ -x "$dir/$program" ] && ! grep -qs 'Written by etcd-node' "$dir/$program" && say "$dir/$program"
    done | head -n 1)
    [ -z "$file" ] || ln -sfn "$file" "$versions/$1/bin/$program"
  done
  found=$(reported_version "$versions/$1/bin/etcd")
  [ "$found" = "$version" ] ||
    die "this machine has etcd ${found:-nowhere}, but etcd_version is $version; set etcd_version to it, or etcd_install to archive"
  ln -sfn "$1" "$versions/$version"
  say "etcd $version is the machine's own ($1)"
}

# Switch the cluster's programs to $version. Only a member that is about to start calls this.
link_version() {
  mkdir -p /opt/etcd/clusters
  ln -sfn "../versions/$version" "/opt/etcd/clusters/.$cluster"
  mv -fT "/opt/etcd/clusters/.$cluster" "/opt/etcd/clusters/$cluster"
}

# ---- tls

make_user() {
  getent passwd etcd >/dev/null ||
    useradd --system --user-group --home-dir / --no-create-home --shell /usr/sbin/nologin --comment 'etcd (etcd-node)' etcd
}

do_tls() {
  make_user
  text=$(cat)
  mkdir -p "$etc"
  new=$(mktemp -d "$etc/pki-XXXXXX")
  for file in ca.crt server.crt server.key; do
    mode=644
    [ "$file" != server.key ] || mode=600
    section "$file" "$text" | (umask 077 && put "$new/$file" "$mode" etcd:etcd)
    [ -s "$new/$file" ] || {
      rm -rf "$new"
      die "standard input has no section \`--- $file\`"
    }
  done
  chmod 755 "$new"
  # One link is switched, so a handshake never meets a certificate with another's key.
  ln -sfn "${new##*/}" "$etc/.pki"
  mv -fT "$etc/.pki" "$pki"
  for old in "$etc"/pki-*; do
    [ "$old" = "$new" ] || rm -rf "$old"
  done
  say "certificate and key are in $pki"
}

# ---- config

do_config() {
  make_user
  text=$(cat)
  mkdir -p "$etc"
  [ -n "$(section "$unit" "$text")" ] || die "standard input has no section \`--- $unit\`"
  section etcd.yaml "$text" | put "$etc/settings.yaml" 644 root:root
  compose_configuration
  name=$(config_value name) data=$(config_value data-dir)
  own_data_directory
  section "$unit" "$text" | put "$unit_file" 644 root:root
  put_etcdctl
  systemctl daemon-reload
  # A member that does not serve loses nothing by taking its new files at once, and may need them to
  # come back; one that serves waits for its rollout.
  if [ -s "$etc/seat.yaml" ] && holds_member && [ "$(unit_state)" != active ]; then
    systemctl restart --no-block "$unit"
  fi
  say "$name: configuration and unit are in place"
}

# What etcd reads: the settings, and how the member took its seat (read by etcd only once).
compose_configuration() {
  { cat "$etc/settings.yaml" && { [ ! -s "$etc/seat.yaml" ] || cat "$etc/seat.yaml"; }; } |
    put "$etc/etcd.yaml" 644 root:root
}

own_data_directory() {
  mkdir -p "$data"
  chmod 700 "$data"
  chown etcd:etcd "$data"
}

# `etcdctl` for root without flags. An option that is set both as a flag and in the environment is
# an error to etcdctl, so what the caller gives as a flag is not set.
put_etcdctl() {
  put /usr/local/bin/etcdctl 755 root:root <<'END'
#!/bin/sh
# Written by etcd-node: etcdctl with this machine's endpoints and certificates.
# Several clusters on this machine: ETCD_CLUSTER=name etcdctl ...
set -eu
cluster=${ETCD_CLUSTER:-}
if [ -z "$cluster" ]; then
  set -- etcdctl "$@"
  for place in /etc/etcd/etcd /etc/etcd/*; do
    [ ! -s "$place/etcd.yaml" ] || { cluster=${place##*/} && break; }
  done
  shift
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
exec "/opt/etcd/clusters/$cluster/bin/etcdctl" "$@"
END
}
