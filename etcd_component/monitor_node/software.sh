# ---- software: VictoriaMetrics and vmalert, from the package ----------------

do_software() {
  here=$(version_here)
  if [ -n "$here" ] && [ -x /usr/bin/victoria-metrics ] && [ -x /usr/bin/vmalert ]; then
    say "VictoriaMetrics $here is here already"
    return
  fi
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  # The package starts one of its own, which serves everybody without a password.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\n# Written by etcd-monitor\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  elif grep -qs '^# Written by etcd-monitor' "$policy"; then
    # Of a run that was killed.
    trap 'rm -f "$policy"' EXIT
  fi
  doing="installing victoria-metrics with apt-get"
  said=$(install_package 2>&1) ||
    die "apt-get could not install victoria-metrics: $(printf '%s\n' "$said" | tail -n 5). Mend that and run \`pulumi up\` again"
  # Enabled, it would start at the next boot.
  systemctl disable -q victoria-metrics.service 2>/dev/null || :
  say "VictoriaMetrics $(version_here) is installed"
}

install_package() {
  # A run that was killed may have left this half done.
  dpkg --configure -a
  apt_get_install || { apt-get -qq update && apt_get_install; }
}

apt_get_install() { apt-get -qq -y --no-install-recommends install victoria-metrics; }
