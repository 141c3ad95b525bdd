# ---- metrics: what etcd does not know of itself; exporter: have it told ------

do_metrics() {
  load_instance
  # Whoever asks every half a minute does not wait long.
  request_time=3
  if [ "$save" = true ]; then
    save_metrics
  else
    print_metrics
  fi
}

save_metrics() {
  text=$(print_metrics)
  mkdir -p "$run"
  say "$text" | put "$metrics_file" 644 root:root
  if [ -n "$textfile" ]; then
    say "$text" | put_among_others "$textfile/etcd-$cluster.prom" 644 root:root
  fi
  # A flood of connections makes systemd give the socket up; a flood that goes on is let in for a
  # moment only, since each connection is a process.
  ! systemctl is-failed -q "$exporter.socket" || systemctl start "$exporter.socket"
}

print_metrics() {
  whose="cls=\"$cluster\",ins=\"$name\",ip=\"$(own_address)\""
  look_at_unit
  gauge info 'The release of etcd that is in use on the node.' 1 "version=\"$(linked_version)\""
  gauge seat 'Of the instance in its cluster, as its node has it.' 1 "state=\"$(seat_in_cluster)\""
  gauge unit_active 'Whether the unit of etcd is active.' "$(one_if [ "$ActiveState" = active ])"
  gauge unit_restarts 'How often systemd has restarted etcd by itself.' "$NRestarts"
  gauge restart_pending 'Whether etcd runs with other files than those of the node.' \
    "$(one_if is_restart_pending)"
  gauge files_changed_by_hand 'Whether files are not as they were put on the node; also while the version changes.' \
    "$(one_if is_changed_by_hand)"
  if list=$(request "$peer_url/members"); then
    gauge members 'How many members the cluster has, as this one lists them.' \
      "$(member_lines "$list" | wc -l | tr -d ' ')"
  fi
  print_certificates
  print_data_directory
  look_at_clock
  [ -z "$synchronized" ] ||
    gauge clock_synchronized 'Whether the clock of the node is kept right.' "$(one_if [ "$synchronized" = yes ])"
  # The last line, from which a listener takes the labels.
  gauge written_timestamp_seconds 'When this was written.' "$(date +%s)"
}

# Sets $synchronized to yes or no, or to nothing where nobody knows. A service is started to answer,
# which the journal tells each time, so it is asked only now and then.
look_at_clock() {
  if [ -z "$(find "$clock_seen" -mmin -10 2>/dev/null)" ]; then
    mkdir -p "$run"
    { timeout 3 timedatectl show -p NTPSynchronized --value 2>/dev/null || :; } |
      put "$clock_seen" 644 root:root
  fi
  synchronized=$(cat "$clock_seen")
}

gauge() { # gauge NAME WHAT VALUE [LABELS]
  metric_head "$1" "$2"
  sample "$1" "$3" "${4:-}"
}

metric_head() { printf '# HELP etcd_node_%s %s\n# TYPE etcd_node_%s gauge\n' "$1" "$2" "$1"; }

sample() { say "etcd_node_$1{$whose${3:+,$3}} $2"; }

one_if() { if "$@" 2>/dev/null; then say 1; else say 0; fi; }

own_address() { # as the inventory has it
  address=${client_url#https://}
  address=${address%:*}
  address=${address#\[}
  say "${address%\]}"
}

is_restart_pending() { [ "$ActiveState" = active ] && ! runs_what_the_files_say; }

is_changed_by_hand() {
  is_composed || return 0
  for note in "$etc"/as-put.*; do
    [ ! -e "$note" ] || sha256sum --status -c "$note" || return 0
  done
  return 1
}

print_data_directory() {
  df -Pk "$data" 2>/dev/null | awk 'NR == 2 { print $2, $4 }' | {
    read -r size free || return 0
    gauge data_size_bytes 'Of the file system that holds the data.' "$((size * 1024))"
    gauge data_free_bytes 'Of the file system that holds the data.' "$((free * 1024))"
  }
}

print_certificates() {
  end=certificate_not_after_timestamp_seconds
  metric_head "$end" 'When a certificate ends: that of the member, and the CAs that it trusts.'
  certificate_ends "$pki/server.crt" | while read -r _ at; do
    sample "$end" "$at" 'certificate="server"'
  done
  certificate_ends "$pki/ca.crt" | while read -r number at; do
    sample "$end" "$at" "certificate=\"ca\",number=\"$number\""
  done
}

# Of each certificate of a PEM file its number and when it ends, in seconds since 1970; what is none
# is passed over. Without openssl, which a node need not have: a certificate is a tree of elements
# (X.690), and the fourth one of what is signed, or the fifth behind a version, says from when to when.
certificate_ends() {
  awk '
    function decode(text,   i, held, bits) {
      split("", bytes)
      size = held = bits = 0
      gsub(/[^A-Za-z0-9+\/]/, "", text)
      for (i = 1; i <= length(text); i++) {
        held = held * 64 + index(digits, substr(text, i, 1)) - 1
        bits += 6
        if (bits < 8) continue
        bits -= 8
        bytes[size++] = int(held / 2 ^ bits)
        held %= 2 ^ bits
      }
    }
    # Where the content of the element begins that begins there. Sets `after` to what follows it.
    function content(at,   long, count) {
      long = bytes[at + 1]
      at += 2
      if (long > 127) {
        count = long - 128
        for (long = 0; count > 0; count--) long = long * 256 + bytes[at++]
      }
      after = at + long
      return at
    }
    function past(at) { content(at); return after }
    function number(at, count,   found) {
      for (found = 0; count > 0; count--) found = found * 10 + bytes[at++] - 48
      return found
    }
    # Days since 1970 of a day of the Gregorian calendar, whose year is taken to begin in March.
    function days(year, month, day,   era, rest) {
      if (month < 3) year--
      era = int(year / 400)
      rest = year - era * 400
      return era * 146097 + rest * 365 + int(rest / 4) - int(rest / 100) \
        + int((153 * ((month + 9) % 12) + 2) / 5) + day - 1 - 719468
    }
    function end_of(text,   at, kind, year) {
      decode(text)
      at = content(content(0))
      if (bytes[at] == 160) at = past(at)
      at = past(past(past(at)))
      at = past(content(at))
      kind = bytes[at]
      at = content(at)
      if ((kind != 23 && kind != 24) || after > size) return ""
      if (kind == 24) {
        year = number(at, 4)
        at += 4
      } else {
        year = number(at, 2)
        year += year < 50 ? 2000 : 1900
        at += 2
      }
      return sprintf("%.0f", days(year, number(at, 2), number(at + 2, 2)) * 86400 \
        + number(at + 4, 2) * 3600 + number(at + 6, 2) * 60 + number(at + 8, 2))
    }
    BEGIN { digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" }
    /-----END CERTIFICATE-----/ && inside {
      end = end_of(text)
      count++
      if (end != "") print count, end
      inside = 0
    }
    inside { text = text $0 }
    /-----BEGIN CERTIFICATE-----/ { inside = 1; text = "" }' "$1" 2>/dev/null || :
}

# ---- the units that write it down and give it to whoever connects

do_exporter() {
  if [ "$remove" = true ]; then
    take_exporter_away
    say "$cluster: tells nothing of its node any more"
    return
  fi
  load_instance
  text=$(cat)
  [ -n "$(section "$exporter.service" "$text")" ] || die "standard input has no section \`--- $exporter.service\`"
  refuse_missing_textfile_directory
  refuse_port_of_another
  stop_writing
  for file in $exporter_units; do
    part=$(section "$file" "$text")
    if [ -n "$part" ]; then
      say "$part" | put "$units/$file" 644 root:root
    else
      remove_unit "$file"
    fi
  done
  systemctl daemon-reload
  doing="writing metrics for the first time"
  systemctl start "$exporter.service" ||
    die "$name: nothing could be written; see \`journalctl -u $exporter.service\`"
  listens='' started=$exporter.timer
  if [ -e "$units/$exporter.socket" ]; then
    started="$started $exporter.socket"
    listens=", and is given to whoever asks at $(sed -n 's/^ListenStream=//p' "$units/$exporter.socket")"
  fi
  # shellcheck disable=SC2086  # several
  { systemctl enable -q $started && systemctl restart $started; } ||
    die "$name: $started cannot be started; see \`journalctl -u $exporter.socket\`. Does another program hold the port (etcd_exporter_port)?"
  say "$name: what etcd does not know is written down every half a minute$listens"
}

refuse_missing_textfile_directory() {
  wanted=$(section "$exporter.service" "$text" | textfile_directory)
  [ -z "$wanted" ] || [ -d "$wanted" ] ||
    die "$name: there is no directory $wanted for node_exporter's textfiles (etcd_textfile_dir). Make it, or correct the path"
}

# That a port is taken holds up nothing but this: a member is not refused for it.
refuse_port_of_another() {
  port=$(section "$exporter.socket" "$text" | port_of_socket)
  # systemd itself has the port of a socket.
  if [ -z "$port" ] || { systemctl is-active -q "$exporter.socket" &&
    [ "$port" = "$(port_of_socket <"$units/$exporter.socket")" ]; }; then return 0; fi
  ! holder=$(holder_of_port "$port" "$exporter.service") ||
    die "$name: the port $port, on which it would tell of its node (etcd_exporter_port), is held by ${holder:-the kernel}. Stop that, or choose another port; nothing was changed"
}

port_of_socket() { sed -n 's/^ListenStream=.*://p'; }

textfile_directory() { sed -n 's/^ExecStart=.* --textfile //p'; }

# And take back what was left for others, who may be told it elsewhere from now on.
stop_writing() {
  for file in "$exporter.timer" "$exporter.service"; do
    [ ! -e "$units/$file" ] || systemctl stop "$file"
  done
  [ -e "$units/$exporter.service" ] || return 0
  former=$(textfile_directory <"$units/$exporter.service")
  # One that was killed while it wrote has left a part.
  [ -z "$former" ] || rm -rf "$former/etcd-$cluster.prom" "$former/etcd-$cluster.prom".*
}

take_exporter_away() {
  stop_writing
  removed=''
  for file in $exporter_units; do remove_unit "$file"; done
  [ -z "$removed" ] || systemctl daemon-reload
  rm -f "$metrics_file" "$metrics_file".*
}

remove_unit() {
  [ -e "$units/$1" ] || return 0
  case $1 in
    # It is there for each connection, and has no name of its own.
    *@.service) systemctl stop "${1%.service}*.service" ;;
    *) systemctl disable -q --now "$1" ;;
  esac
  rm -f "$units/$1"
  removed=yes
  systemctl reset-failed "$1" 2>/dev/null || :
}

# A checksum of the units as they are, if they are at work; nothing when there are none.
exporter_units_in_use() {
  here=$(for file in $exporter_units; do [ ! -e "$units/$file" ] || say "$units/$file"; done)
  [ -n "$here" ] || return 0
  at_work=$(for file in $here; do case $file in *.timer | *.socket) say "${file##*/}" ;; esac; done)
  # shellcheck disable=SC2086  # several
  if [ "$(systemctl is-active $at_work | sort -u)" = active ]; then
    cat $here | sha256sum | cut -c 1-64
  else
    say 'stopped'
  fi
}

# ---- one connection, as an unprivileged user who can do nothing else

# Everybody is given the same, so nothing of what is asked is looked at. It is read nevertheless:
# closed with something unread, a connection is cut off, and the answer with it.
do_answer() {
  dd bs=8192 count=1 of=/dev/null 2>/dev/null
  answer='200 OK'
  whose=$(sed -n 's/^etcd_node_written_timestamp_seconds{\(.*\)} .*/\1/p' "$metrics_file")
  text=$(cat "$metrics_file" && gauge time_seconds 'The clock of the node, now.' "$(date +%s.%3N)") ||
    answer='503 Service Unavailable'
  printf 'HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s\n' \
    "$answer" "$((${#text} + 1))" "$text"
  head -c 65536 >/dev/null
}
