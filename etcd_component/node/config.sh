# ---- config: write etcd's configuration and its unit ------------------------

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
  note_as_put config "$etc/settings.yaml" "$unit_file"
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
    configured=$(config_value "$key")
    declared_value=$(section etcd.yaml "$text" | awk -v key="$key:" '$1 == key { print $2 }')
    [ "$configured" != "$declared_value" ] || continue
    if [ "$key" = initial-advertise-peer-urls ] && [ "${configured%:*}" = "${declared_value%:*}" ]; then
      ! changes_minor || refuse_version "another peer port is wanted, too. Change one after the other"
      [ -s "$etc/former-peer-url" ] || say "$configured" | put "$etc/former-peer-url" 644 root:root
      continue
    fi
    die "a member that has its seat cannot change its $key from $configured to $declared_value; nothing was changed. Put it back, or give the instance a new etcd_seq: that one joins, and this one leaves"
  done
}

# What etcd reads: the settings, and how the member took its seat (read by etcd only once).
compose_configuration() { composition | put "$etc/etcd.yaml" 644 root:root; }

# Without a seat etcd has nobody to begin with: with nobody else in the list it refuses to.
composition() {
  cat "$etc/settings.yaml"
  if [ -s "$etc/seat.yaml" ]; then
    cat "$etc/seat.yaml"
  else
    say '# No seat is taken. Without data etcd refuses to start with this.'
    neutral_seat
  fi
}

neutral_seat() {
  awk '$1 == "name:" { name = $2 } $1 == "initial-advertise-peer-urls:" { url = $2 }
    END { print "initial-cluster-state: existing\ninitial-cluster: " name "=" url }' "$etc/settings.yaml"
}

# It is not for the time of a change of version, nor where somebody has edited it.
is_composed() { [ "$(composition)" = "$(cat "$etc/etcd.yaml")" ]; }

own_data_directory() {
  # What was there before is not erased later.
  [ -d "$real" ] || existing_parent "$real" | put "$etc/found-parent" 644 root:root
  claimed_real=$(claim_value real-data)
  [ "$real" = "${claimed_real:-$real}" ] ||
    die "$data leads to $real, but led to $claimed_real when this machine was claimed for $name. Put the link or the mount back and run \`pulumi up\` again"
  mkdir -p "$real"
  chmod 700 "$real"
  chown etcd:etcd "$real"
  # Data that outlived the system's disk belong to the user that etcd was there.
  [ -z "$(find "$real/member" ! -user etcd -print -quit 2>/dev/null)" ] || chown -R etcd:etcd "$real/member"
  # Data that have no seat yet are known by the mark that was found with them, and by nothing else.
  [ -e "$etc/left" ] || [ ! -s "$etc/seat.yaml" ] || write_mark
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
