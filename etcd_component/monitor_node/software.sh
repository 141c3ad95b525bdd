# ---- software: VictoriaMetrics and vmalert, from the package ----------------

# The package starts one of its own, which serves everybody without a password. What is begun here is
# written down: one that was killed may have left it to start at the next boot.
do_software() {
  here=$(version_here)
  if [ -n "$here" ] && [ -x /usr/bin/victoria-metrics ] && [ -x /usr/bin/vmalert ] && [ ! -e "$etc/installing" ]; then
    say "VictoriaMetrics $here is here already"
    return
  fi
  : >"$etc/installing"
  rm -rf "${etc:?}"/.apt-*
  work=$(mktemp -d "$etc/.apt-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  hold_units_back "$work" 'victoria-metrics | victoria-metrics.* | victoria-metrics-* | vmalert*'
  doing="installing victoria-metrics with apt-get"
  said=$(install_package 2>&1) ||
    die "apt-get could not install victoria-metrics: $(printf '%s\n' "$said" | tail -n 5). Mend that and run \`pulumi up\` again"
  systemctl disable --now -q victoria-metrics.service 2>/dev/null || :
  rm -f "$etc/installing"
  say "VictoriaMetrics $(version_here) is installed"
}

install_package() {
  # A run that was killed may have left this half done.
  install_quietly "$work" dpkg --configure -a
  apt_get_install || { apt-get -qq update && apt_get_install; }
}

apt_get_install() {
  install_quietly "$work" apt-get -qq -y -o DPkg::Path="$work:$PATH" --no-install-recommends install victoria-metrics
}
