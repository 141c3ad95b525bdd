# ---- tls: put CA bundle, certificate, key and CRL in place ------------------

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
  # Half of it is of no use to anybody, and the disk may be full.
  trap 'rm -rf "$new"' EXIT
  for file in ca.crt server.crt server.key token.pub token.key; do
    part=$(section "$file" "$text")
    # Tokens are signed only where the stack wants it.
    case $file:$part in token.*:) continue ;; esac
    case $part in
      *-----BEGIN*-----END*) ;;
      *)
        rm -rf "$new"
        die "standard input has no PEM in a section \`--- $file\`; the certificate in use stays"
        ;;
    esac
    mode=644
    case $file in *.key) mode=600 ;; esac
    printf '%s\n' "$part" | (umask 077 && put "$new/$file" "$mode" etcd:etcd)
  done
  put_revoked
  refuse_to_cut_off
  chmod 755 "$new"
  # One link is switched, so that the certificate and its key change in one step.
  last=$(readlink "$pki" || :)
  ln -sfn "${new##*/}" "$pki.$$"
  trap - EXIT
  mv -fT "$pki.$$" "$pki"
  [ -z "$last" ] || rm -rf "${etc:?}/$last"
  note_as_put tls "$pki/ca.crt" "$pki/server.crt" "$pki/server.key" "$pki/revoked.crl"
  say "certificate and key are in $pki${revoked:+; refused are $revoked}"
}

# etcd reads this list (DER) for each connection, and with one that it cannot read it refuses
# everybody, its own peers too. So half a list must not get there.
put_revoked() {
  section revoked.crl "$text" | base64 -d 2>/dev/null | put "$new/revoked.crl" 644 etcd:etcd
  is_whole_der "$new/revoked.crl" || {
    rm -rf "$new"
    die "standard input has no list of revoked certificates (DER in base64) in a section \`--- revoked.crl\`; the certificate in use stays"
  }
}

# Is the file as long as its first bytes say?
is_whole_der() {
  od -An -v -tu1 -N5 "$1" | awk -v size="$(wc -c <"$1")" '
    { tag = $1 }
    $2 < 128 { whole = 2 + $2 }
    $2 == 129 { whole = 3 + $3 }
    $2 == 130 { whole = 4 + $3 * 256 + $4 }
    $2 == 131 { whole = 5 + ($3 * 256 + $4) * 256 + $5 }
    END { exit !(tag == 48 && whole == size) }'
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
  to_ask=$(members_to_ask)
  [ -n "$to_ask" ] || [ "$(unit_state)" != active ] || {
    rm -rf "$new"
    die "$name: the member list cannot be read, so nobody was asked whether the new certificate is taken. Nothing was changed; run \`pulumi up\` again"
  }
  for member in $to_ask; do
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
