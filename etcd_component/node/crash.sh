# ---- crash: why etcd does not run, in its own words --------------------------

# Sets $crash to the last words of an etcd that does not run, at most 300 characters of the current
# boot, and $crash_kind to `data`, `machine` (nothing that other data would mend) or `unknown`. Both
# are empty when it runs, and when it was stopped after it had run well.
look_at_crash() {
  crash='' crash_kind=''
  look_at_unit
  [ "$ActiveState" != active ] || return 0
  crash=$(journalctl -u "$unit" -b -n 3000 -o cat -a --no-pager 2>/dev/null | last_words |
    tr -d '\000-\037\177-\377' | cut -c 1-300)
  [ -z "$crash" ] || crash_kind=$(kind_of_crash)
}

last_words() { # of the journal on standard input
  awk '
    function value(name,   text) {
      if (!match($0, "\"" name "\":\"")) return ""
      text = substr($0, RSTART + RLENGTH)
      gsub(/\\"/, "\047", text)
      sub(/".*/, "", text)
      gsub(/\\[nt]/, " ", text)
      return text
    }
    function tell(words) { if (words != "") told = words }
    /ready to serve client requests|^Started / { told = ""; known = 0; next }
    /^(Starting|Stopped) / { known = 0; next }
    # The line of the log says more than the panic that follows it.
    /"level":"(fatal|panic)"/ || (/"level":"(error|warn)"/ && /failed to verify flags|failed to load config|checkInitialHashKV/) {
      error = value("error")
      tell(value("msg") (error == "" ? "" : ": " error))
      known = 1
      next
    }
    /^the data in .* are those of another member/ { tell($0); known = 1; next }
    /\t(fatal|FATAL|panic|PANIC)\t/ { text = $0; sub(/^.*\t(fatal|FATAL|panic|PANIC)\t/, "", text); tell(text); known = 1; next }
    /^(panic|fatal error|unexpected fault address)[: ]/ { if (!known) tell($0); known = 1 }
    END { print told }'
}

kind_of_crash() {
  case $crash in
    *'address already in use'* | *'cannot assign requested address'* | *'ermission denied'* | \
      *'operation not permitted'* | *'ead-only file system'* | *'no space left'* | *'disk quota exceeded'* | \
      *'too many open files'* | *'cannot allocate memory'* | *'out of memory'* | *ertificate* | *x509* | \
      *'private key'* | *tls:* | *'failed to verify flags'* | *'error verifying flags'* | *'failed to load config'* | \
      *'flag provided'* | *'no such host'* | */etc/etcd/*) say machine ;;
    *tocommit* | *inconsistency* | *orrupt* | *checksum* | *'crc mismatch'* | *'CRC mismatch'* | *'page '* | *freelist* | \
      *bolt* | *'invalid database'* | *'version mismatch'* | *'no snapshot'* | *snapshot* | *wal:* | *WAL* | *walpb* | \
      *'unexpected EOF'* | *'out of range'* | *'conflict with committed'* | *'assertion failed'* | *'unexpected fault'* | \
      *'fatal error: fault'* | *'file size too small'* | *backend* | *database* | *'input/output error'* | \
      *'permanently removed'* | *'another member'* | *'cluster ID mismatch'* | *'nil pointer'* | *revision* | *unmarshal* | *proto:*) say data ;;
    *) say unknown ;;
  esac
}

describe_crash() { # nothing when there is none
  look_at_crash
  [ -n "$crash" ] || return 0
  case $crash_kind in
    data) say "does not run: $crash; a raised etcd_reseat has it joined again, and keeps a copy of its data" ;;
    *) say "does not run: $crash" ;;
  esac
}

# ---- whose data they are

# Who wrote the log: the IDs of the member and of its cluster, as bytes. Each file begins with them.
identity_in_log() {
  piece=$(find "$data/member/wal" -name '*.wal' 2>/dev/null | sort | tail -n 1)
  [ -n "$piece" ] || return 0
  head -c 512 "$piece" 2>/dev/null | od -An -v -tu1 -w512 | awk '
    function skip_varint() { while ($(at++) >= 128) if (at > NF) exit }
    function bytes(   text) {
      do text = text "." $at; while ($(at++) >= 128 && at <= NF)
      return substr(text, 2)
    }
    {
      for (begin = 1; begin + 12 < NF; begin += 8 + size + pad) {
        size = $begin + $(begin + 1) * 256
        if (size == 0 || size > 500) exit
        pad = $(begin + 7) >= 128 ? $(begin + 7) % 8 : 0
        at = begin + 8
        if ($(at++) != 8 || $(at++) != 1) continue
        if ($(at++) != 16) exit
        skip_varint()
        if ($(at++) != 26) exit
        skip_varint()
        if ($(at++) != 8) exit
        member = bytes()
        if ($(at++) != 16) exit
        print member, bytes()
        exit
      }
    }'
}

# Remember it while the member takes part.
note_identity() {
  own_identity=$(identity_in_log)
  [ -z "$own_identity" ] || [ "$own_identity" = "$(cat "$etc/identity" 2>/dev/null)" ] ||
    say "$own_identity" | put "$etc/identity" 644 root:root
}

# A copy of another member of the same cluster would act as that one, beside it, and answer for its
# votes. Data of another cluster, as a restored snapshot, are a person's own decision.
holds_data_of_another() {
  own_identity=$(cat "$etc/identity" 2>/dev/null) || return 1
  found_identity=$(identity_in_log)
  [ -n "$own_identity" ] && [ -n "$found_identity" ] || return 1
  [ "${own_identity#* }" = "${found_identity#* }" ] && [ "${own_identity% *}" != "${found_identity% *}" ]
}

# A file system of the data directory that /etc/fstab names and that is not mounted; nothing else.
missing_mount() {
  awk '$1 !~ /^#/ && $2 ~ /^\// && $2 != "/" { print $2 }' /etc/fstab 2>/dev/null |
    while read -r mount; do
      case $data/ in "${mount%/}"/*) ;; *) continue ;; esac
      awk -v place="$mount" '$2 == place { there = 1 } END { exit !there }' /proc/mounts || say "$mount"
    done
}

type_of_file_system() { stat -f -c %T "$(existing_parent "$data")" 2>/dev/null || :; }
