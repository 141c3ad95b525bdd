# ---- serve: start or reload, and say what is not scraped --------------------

store=etcd-monitor.service
alerts=etcd-monitor-alerts.service

do_serve() {
  mkdir -p "$run"
  check_files
  renew "$store" "$etc/scrape.yml"
  await "$store" "$(cat "$etc/url")/health"
  renew "$alerts" "$etc/rules"
  await "$alerts" "$(alerts_url)/health"
  await_targets
}

# A program that runs goes on with what it has read before, and says nothing.
check_files() {
  said=$(/usr/bin/victoria-metrics -promscrape.config="$etc/scrape.yml" -promscrape.config.dryRun 2>&1) ||
    refuse_file scrape.yml
  said=$(/usr/bin/vmalert -dryRun -rule="$etc/rules/*.yml" 2>&1) || refuse_file 'the rules'
}

refuse_file() {
  printf '%s\n' "$said" | complaints >&2
  die "$1 cannot be read, and what ran before goes on as it was. Mend what the lines above show and run \`pulumi up\` again"
}

# Restart what was started with another unit, reload what was started with other files: targets and
# certificates are read again by themselves. A stamp is written last, so nothing is forgotten when
# this is killed. $1: the unit; $2: what it reads only when told.
renew() {
  files=$(find "$2" -type f -exec sha256sum {} + | sort | sha256sum | cut -c 1-12)
  now="$(sha256sum <"$units/$1" | cut -c 1-12) $files"
  last=$(cat "$run/$1.started" 2>/dev/null || :)
  systemctl is-enabled -q "$1" 2>/dev/null || systemctl enable -q "$1"
  doing="starting $1"
  if [ "${last% *}" != "${now% *}" ] || ! systemctl is-active -q "$1"; then
    systemctl restart "$1" || break_off "$1" "it does not start"
  elif [ "$last" != "$now" ]; then
    systemctl reload "$1"
  fi
  say "$now" | put "$run/$1.started" 644 root:root
}

break_off() {
  {
    say "of \`journalctl -u $1\`:"
    journalctl -u "$1" -n 300 -o cat --no-pager 2>/dev/null | complaints
  } >&2
  rm -f "$run/$1.started"
  die "$1: $2. Mend what the lines above show and run \`pulumi up\` again"
}

# Of what both programs print; where they fail, many lines of their source follow the one that tells.
complaints() { grep -E '[[:space:]](error|panic|fatal)[[:space:]]' | tail -n 5 | cut -c 1-600 | sed 's/^/  /'; }

await() { # unit, the URL that answers when it serves
  doing="waiting for $1"
  begun=$(date +%s)
  failures=$(systemctl show -p NRestarts --value "$1")
  until ask "$2" >/dev/null 2>&1; do
    [ "$(systemctl show -p NRestarts --value "$1")" -lt $((failures + 3)) ] ||
      break_off "$1" "it fails and is started again and again"
    [ $(($(date +%s) - begun)) -lt 90 ] || break_off "$1" "it does not answer at $2"
    sleep 0.1
  done
}

alerts_url() { say "http://127.0.0.1:$alerts_port"; }

# The answer of a URL of this monitor. The password is on nobody's command line.
ask() {
  {
    say 'silent' && say 'show-error' && say 'fail' && say 'max-time = 10' && say 'noproxy = "*"'
    [ ! -s "$etc/tls/ca.crt" ] || say "cacert = \"$etc/tls/ca.crt\""
    [ ! -s "$etc/login/password" ] || say "user = \"monitor:$(cat "$etc/login/password")\""
    say "url = \"$1\""
  } | curl -K -
}

# Wait until what is scraped is what the files say, each once at least; then say what fails. A member
# that is away is told and is no mistake: that is what the monitor is for.
await_targets() {
  doing="waiting for the targets to be scraped"
  begun=$(date +%s)
  until all_are_tried; do
    [ $(($(date +%s) - begun)) -lt 60 ] ||
      break_off "$store" "after a minute it does not scrape what $etc/targets says"
    sleep 0.3
  done
  down=$(target_lines | awk -F '\t' '$2 != "up"')
  count=$(wanted_targets | wc -l)
  if [ -z "$down" ]; then
    say "all $count targets are scraped"
    return
  fi
  warn "$(printf '%s\n' "$down" | wc -l) of $count targets are not scraped:"
  printf '%s\n' "$down" | awk -F '\t' '{ print "  - " $1 ": " $4 }' | cut -c 1-400
}

# One line a target: its address, its state, how often it was tried, and the last error.
target_lines() {
  ask "$(cat "$etc/url")/targets" | awk '/^\tstate=/ {
    state = $0; sub(/^\tstate=/, "", state); sub(/,.*/, "", state)
    place = $0; sub(/.*, endpoint=[a-z]*:\/\//, "", place); sub(/\/.*/, "", place)
    tried = $0; sub(/.*scrapes_total=/, "", tried); sub(/,.*/, "", tried)
    error = $0; sub(/.*, error=/, "", error)
    print place "\t" state "\t" tried "\t" error
  }' | sort
}

wanted_targets() {
  find "$etc/targets" "$etc/targets-node" -name '*.yml' -exec cat {} + 2>/dev/null |
    sed -n "s/^  - '\{0,1\}\([^']*\)'\{0,1\}$/\1/p" | sort
}

all_are_tried() {
  lines=$(target_lines 2>/dev/null) || return 1
  [ "$(printf '%s\n' "$lines" | cut -f 1)" = "$(wanted_targets)" ] &&
    [ -z "$(printf '%s\n' "$lines" | awk -F '\t' '$3 == 0')" ]
}

do_targets() {
  [ -s "$etc/url" ] || die "this machine is no monitor; \`pulumi up\` makes one"
  ask "$(cat "$etc/url")/targets"
}
