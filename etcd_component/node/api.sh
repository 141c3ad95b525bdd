# ---- talking to etcd: HTTP, JSON, members -----------------------------------

# GET or POST with the member's certificate. All that curl needs comes on its standard input, so
# that neither a token nor a password is ever in an argument list or in the environment.
#   request URL [BODY [TOKEN]]
# Prints the body; fails as curl does. Without a body it is a GET.
request() {
  {
    printf 'url = "%s"\n' "$1"
    [ -z "${2:-}" ] || printf 'data = "%s"\n' "$(printf '%s' "$2" | sed 's/[\\"]/\\&/g')"
    [ -z "${3:-}" ] || printf 'header = "Authorization: %s"\n' "$3"
  } | curl -sS -g --http1.1 --noproxy '*' --connect-timeout 2 --max-time "${request_time:-10}" \
    --cacert "${files:-$pki}/ca.crt" --cert "${files:-$pki}/server.crt" \
    --key "${files:-$pki}/server.key" -K - 2>&1
}

json() { # json FIELD TEXT: the first value of that name, without quotes
  printf '%s' "$2" | awk -v field="\"$1\":" '{
    at = index($0, field)
    if (!at) next
    rest = substr($0, at + length(field))
    sub(/^ */, "", rest)
    if (substr(rest, 1, 1) == "\"") { rest = substr(rest, 2); sub(/".*/, "", rest) }
    else sub(/[],}].*/, "", rest)
    print rest
    exit
  }'
}

# What an answer says, fit for a sentence: etcd's own words, or the beginning of whatever it was.
said() {
  words=$(json message "$1")
  [ -n "$words" ] || words=$(printf '%s' "$1" | sed 's/^curl: ([0-9]*) //' | tr '\n' ' ' | cut -c 1-200)
  say "${words:-nothing}"
}

# From a member list (the client port's or the peer port's) to lines of
#   ID NAME PEER-URL CLIENT-URL learner|voter
# where a member that never started has `-` for its name and client URL.
member_lines() {
  printf '%s' "$1" | awk '
    function value(text, field,   at) {
      at = match(text, "\"(" field ")\":")
      if (!at) return "-"
      text = substr(text, RSTART + RLENGTH)
      sub(/^\[/, "", text)
      if (substr(text, 1, 1) == "\"") { text = substr(text, 2); sub(/".*/, "", text) }
      else sub(/[],}].*/, "", text)
      return text == "" ? "-" : text
    }
    {
      # The gateway puts the list behind a header whose member_id is not a member.
      sub(/^.*"members":/, "")
      count = split($0, records, /\},[ ]*\{/)
      for (i = 1; i <= count; i++)
        if (records[i] ~ /peerURLs/)
          print value(records[i], "ID|id"), value(records[i], "name"), \
            value(records[i], "peerURLs"), value(records[i], "clientURLs"), \
            (records[i] ~ /"isLearner": *true/ ? "learner" : "voter")
    }'
}

# Call $1 with the words of each line of $2, and fail when a call does. It needs neither a file nor a
# here-document nor a pipe, all of which fail where a disk is full, and then look like a list without
# lines. $examined is the count of lines. A call may itself go through rows, so what is left is kept
# in the parameters, which are each call's own.
each_row() {
  set -- "$1" "$2" 0
  examined=0
  while [ -n "$2" ]; do
    row=${2%%"
"*}
    rows_left=${2#"$row"}
    set -- "$1" "${rows_left#"
"}" "$(($3 + 1))"
    call_with_words "$1" "$row" || return
    examined=$3
  done
}

call_with_words() {
  row_check=$1
  set -f
  # shellcheck disable=SC2086  # it is made of words
  set -- $2
  set +f
  "$row_check" "$@"
}

is_member_row() { [ "$#" -eq 5 ]; }

# Set $table to the member lines of the member list $1. Fails, with the reason in $why_not, unless
# each member of the list was read: a list that cannot be read is none in which all is well.
read_members() {
  table=$(member_lines "$1") || table=''
  listed=$(printf '%s' "$1" | awk '{ count += gsub(/"peerURLs"/, "") } END { print count + 0 }') || listed=''
  { each_row is_member_row "$table" && [ "$examined" -gt 0 ] && [ "$examined" = "$listed" ]; } ||
    fault "the member list cannot be read (${listed:-no} members in it, $examined understood)"
}

# Log in as root at client URL $1. Sets $etcd_token, which is empty where authentication is not yet
# on, and $login to the credentials that were taken: those before the wanted ones are root's until
# `access` has changed them.
log_in() {
  etcd_token=''
  for login in "$credentials" ${former_credentials:+"$former_credentials"}; do
    answer=$(request "$1/v3/auth/authenticate" "$login") || return 1
    case $answer in
      *'"token"'*) etcd_token=$(json token "$answer") && return 0 ;;
      *'authentication is not enabled'*) return 0 ;;
      *'authentication failed, invalid user ID or password'*) ;;
      *) return 1 ;;
    esac
  done
  die "etcd refuses root's password: it is neither the one in the stack's configuration nor the one before. If etcd_root_password_generation was lowered, put it back. If somebody changed the password in etcd, set etcd_root_password to the one in use and raise etcd_root_password_generation by one"
}

# Lines of JSON on standard input: root's credentials, those before them, and anybody else's.
# shellcheck disable=SC2034  # $user_login is for those subcommands that need one
read_credentials() {
  credentials='' former_credentials='' user_login=''
  while IFS= read -r line || [ -n "$line" ]; do
    if [ "$(json name "$line")" != root ]; then
      user_login=$line
    elif [ -z "$credentials" ]; then
      credentials=$line
    else
      former_credentials=$line
    fi
  done
  [ -n "$credentials" ] || die "root's credentials are missing on standard input"
}

# etcd URL PATH BODY: one call as root; prints the answer, fails when it is an error. While the kind
# or the keys of tokens are rolled out, one that another member gave does not count here, and a
# signed one only as long as no user or role changes: then this member is asked for its own.
etcd() {
  answer=$(request "$1/v3/$2" "$3" "${etcd_token:-}") || {
    printf '%s\n' "$answer"
    return 1
  }
  case $answer in
    *'invalid auth token'* | *'revision of auth store is old'*)
      refused_with=$answer
      answer=$(log_in "$1" && request "$1/v3/$2" "$3" "$etcd_token") || answer=$refused_with
      ;;
  esac
  printf '%s\n' "$answer"
  case $answer in *'"error":'* | '{"code":'*) return 1 ;; '{'*) ;; *) return 1 ;; esac
}

# A number of this member's own metrics, by name; nothing when it does not answer.
metric() { request "$client_url/metrics" | awk -v name="$1" '$1 == name { printf "%.0f", $2 }'; }

status_of() { etcd "$1" maintenance/status '{}'; }

# is_ready CLIENT-URL [QUERY]: etcd's own opinion, which includes a read that the quorum confirms.
is_ready() {
  case $(request "$1/readyz${2:-}") in ok*) ;; *) return 1 ;; esac
}

# What a peer says on its peer port, which answers without a login and without quorum. Prints
#   formed | forming | not-running | unreachable REASON
probe() {
  for _ in 1 2 3; do
    if answer=$(request_time=3 request "$1/version"); then
      case $answer in
        *'"etcdcluster":"not_decided"'*) say forming && return ;;
        *'"etcdcluster":"'[0-9]*) say formed && return ;;
      esac
    elif refused "$answer" "$1"; then
      say not-running && return
    fi
    # One that begins to listen between two looks, or is about to answer, is asked again; one that
    # keeps silent, or shows a wrong certificate, is not.
    case $answer in 'curl: (7) '* | 'curl: (35) '* | 'curl: (52) '* | 'curl: (56) '*) sleep 0.3 ;; *) break ;; esac
  done
  case $answer in
    'curl: '*) say "unreachable ($(said "$answer"))" ;;
    *) say "unreachable (it answered: $(said "$answer"))" ;;
  esac
}

# Did the machine itself answer that nothing listens there? A host that is away, a firewall that
# drops and a wrong certificate must not count as "etcd does not run"; nor a name of which only one
# of two addresses refuses. $1 is what curl said, $2 the URL.
refused() {
  case $1 in 'curl: (7) '*) ;; *) return 1 ;; esac
  curl -gsv --noproxy '*' --connect-timeout 2 --max-time 3 -k "$2/version" 2>&1 >/dev/null |
    awk '/connect to .* failed: / { if (/: Connection refused/) refused++; else other++ }
      END { exit !(refused && !other) }'
}

# This member's line among the member lines $1, also while its peer URL is being changed.
own_among() { printf '%s\n' "$1" | awk -v me="$former_peer_url" -v new="$new_peer_url" '$3 == me || $3 == new'; }
own_line() { own_among "$members"; }
field() { printf '%s' "$2" | cut -d ' ' -f "$1"; }

# Started voters besides this member, as member lines on standard input say: their client URLs.
voters_among() {
  awk -v me="$former_peer_url" -v new="$new_peer_url" \
    '$3 != me && $3 != new && $4 != "-" && $5 == "voter" { print $4 }'
}

# The same as this member's own peer port knows it, which needs neither a login nor a quorum.
other_voters() { member_lines "$(request "$peer_url/members")" | voters_among; }

# Log in at the first of the client URLs in $1 that lets root in. Sets $endpoint. Learners do not
# serve logins, and for a moment after an election nobody does.
choose_endpoint() {
  choice=$1
  patience=$(($(date +%s) + 15))
  while :; do
    for endpoint in $1; do
      doing="logging in at $endpoint"
      ! log_in "$endpoint" || return 0
    done
    [ -n "$1" ] && [ "$(date +%s)" -lt "$patience" ] || break
    sleep 0.3
  done
  die "no member lets root in (asked: $(printf '%s' "${1:-nobody}" | tr '\n' ' '); the last answer: $(said "${answer:-}")). Is there a quorum? \`etcd-node status\` on the nodes shows it"
}

# The one that was chosen may be leaving too, and be gone by now.
choose_again() { choose_endpoint "$choice"; }

# Log in where a login is served: at this member, else by way of another voter.
log_in_near() {
  list=$(member_lines "$(request "$peer_url/members")")
  near=$(printf '%s\n' "$list" | voters_among)
  # The running process may still serve the port that it was started with.
  served=$(field 4 "$(own_among "$list")")
  [ "$(role_among "$list")" = learner ] || near="${served:-$client_url} $near"
  choose_endpoint "$near"
}

role() {
  if read_members "$(request "$peer_url/members")"; then role_among "$table"; else say unknown; fi
}

role_among() { # this member's role among the member lines $1
  case $(own_among "$1") in *' learner') say learner ;; '') say unknown ;; *) say voter ;; esac
}

# Fill $members with the member list as voters agree on it, by way of $endpoint, as member_lines.
load_members() {
  give_up=$(($(date +%s) + 15))
  until answer=$(etcd "$endpoint" cluster/member/list '{}'); do
    [ "$(date +%s)" -lt "$give_up" ] ||
      die "$endpoint does not give the member list: $(said "$answer")"
    sleep 0.3
    choose_again
  done
  read_members "$answer" || die "$endpoint: $why_not"
  members=$table
}
