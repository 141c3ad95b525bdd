# ---- declared access: roles, users, and what nobody declared -----------------

# Nothing is written where nothing differs: each write makes a new revision of access, and with it
# every signed token is out of date, so that running clients must log in again.

do_role() {
  read_credentials
  prepare_access role
  as_root auth/role/get "{\"role\":\"$name\"}" 'role name not found'
  case $answer in
    *'role name not found'*)
      as_root auth/role/add "{\"name\":\"$name\"}" 'role name already exists'
      changes="${changes}made, "
      answer=''
      ;;
  esac
  present=$(permissions_in "$answer")
  # What is gained comes first, so that nobody is without in between.
  each_line permit "$(lines_besides "$grants" "$present")"
  each_line forbid "$(lines_besides "$(keys_of "$present")" "$(keys_of "$grants")")"
  tell_changes "role $name"
}

do_user() {
  read_credentials
  [ "$(json name "$user_login")" = "$name" ] ||
    die "the login of user $name is missing on standard input, after root's"
  prepare_access user
  as_root auth/user/get "{\"name\":\"$name\"}" 'user name not found'
  case $answer in
    *'user name not found'*) add_user ;;
    *) keep_user "$answer" ;;
  esac
  tell_changes "user $name"
}

add_user() {
  as_root auth/user/add "$user_login" 'user name already exists'
  changes="${changes}made, "
  each_line give_role "$roles"
}

keep_user() { # $1: what etcd says of this user
  if ! password_is_right; then
    as_root auth/user/changepw "$user_login"
    changes="${changes}its password changed, "
    if ! password_is_right; then
      # One that was made without a password never gets one.
      as_root auth/user/delete "{\"name\":\"$name\"}" 'user name not found'
      add_user
      return
    fi
  fi
  had=$(names_in roles "$1")
  each_line give_role "$(lines_besides "$roles" "$had")"
  each_line take_role "$(lines_besides "$had" "$roles")"
}

do_droprole() {
  read_credentials
  prepare_access role
  holders=$(holders_of "$name")
  drop_role "$name"
  say "role $name is removed"
  [ -z "$holders" ] || warn "user $(listed "$holders") had role $name, and is left without it"
}

do_dropuser() {
  read_credentials
  prepare_access user
  drop_user "$name"
  say "user $name is removed"
}

# Users and roles that are there and that nobody declared: told, or removed with --remove.
do_undeclared() {
  read_credentials
  prepare_access
  as_root auth/user/list '{}'
  users_there=$(names_in users "$answer")
  as_root auth/role/list '{}'
  roles_there=$(names_in roles "$answer")
  users_more=$(lines_besides "$users_there" "$(lines root "$users")")
  roles_more=$(lines_besides "$roles_there" "$(lines root "$roles")")
  if [ "$remove" = true ]; then
    each_line drop_user "$users_more"
    each_line drop_role "$roles_more"
    tell_undeclared "removed, since nobody declared" ''
  else
    # What was declared until now is removed by itself, right after this.
    before=$(cat "$etc/declared" 2>/dev/null || :)
    users_more=$(lines_besides "$users_more" "$(section users "$before")")
    roles_more=$(lines_besides "$roles_more" "$(section roles "$before")")
    tell_undeclared "warning: nobody declared" \
      '; declare what is wanted, and have the rest removed with etcd_undeclared_access: remove'
  fi
  printf -- '--- users\n%s\n--- roles\n%s\n' "$users" "$roles" | put "$etc/declared" 644 root:root
}

tell_undeclared() {
  if [ -z "$users_more$roles_more" ]; then
    say "all users and roles are declared"
  else
    say "$1 ${users_more:+user $(listed "$users_more")}${users_more:+${roles_more:+ and }}${roles_more:+role $(listed "$roles_more")}$2"
  fi
}

# ---- what they need

prepare_access() { # $1: what the name is of, if one is needed
  if [ -n "${1:-}" ]; then
    check_name "$1" "$name"
    [ "$name" != root ] || die "$1 root is always there, and is not declared"
  fi
  # The instance has a name too, which is not meant.
  wanted=$name
  load_instance
  name=$wanted
  changes=''
  doing="logging in"
  log_in_near
  doing="setting up access at $endpoint"
  [ -n "$etcd_token" ] ||
    die "authentication is off, so nobody's rights mean anything; raise etcd_repair on this host, and \`pulumi up\` switches it on"
}

check_name() { # $1: role or user, $2: its name
  case $2 in
    '' | -* | *[!A-Za-z0-9_.@-]*) die "\`$2\` is not the name of a $1" ;;
  esac
}

tell_changes() {
  changes=${changes%, }
  say "$1: ${changes:-as it should be}"
}

# as_root PATH BODY [WHAT-ELSE-IS-FINE]: have etcd do it; the answer is in $answer. Elections pass,
# and so does the moment in which another change of access was quicker.
as_root() {
  last_try=$(($(date +%s) + 60))
  until answer=$(etcd "$endpoint" "$1" "$2"); do
    case $answer in *"${3:-no other words}"*) return 0 ;; esac
    may_pass "$answer" && [ "$(date +%s)" -lt "$last_try" ] ||
      die "etcd refuses $1: $(said "$answer"). It is safe to run this again"
    # A token that is out of date needs a new login, and no waiting.
    case $answer in *'revision of auth store is old'* | *'invalid auth token'*) ;; *) sleep 0.3 ;; esac
    choose_again
  done
}

may_pass() {
  case $1 in
    'curl: '* | *'revision of auth store is old'* | *'invalid auth token'* | *'timed out'* | \
      *'leader changed'* | *'no leader'* | *'server stopped'* | *'too many requests'*) ;;
    *) return 1 ;;
  esac
}

# Is the password of the user's login the one that etcd has? Found by logging in.
password_is_right() {
  last_try=$(($(date +%s) + 60))
  while :; do
    answer=$(request "$endpoint/v3/auth/authenticate" "$user_login") || :
    case $answer in
      *'"token"'*) return 0 ;;
      *'authentication failed'*) return 1 ;;
    esac
    may_pass "$answer" && [ "$(date +%s)" -lt "$last_try" ] ||
      die "etcd does not say whether the password of user $name is right: $(said "$answer")"
    sleep 0.3
    choose_again
  done
}

give_role() {
  as_root auth/user/grant "{\"user\":\"$name\",\"role\":\"$1\"}"
  changes="${changes}role $1 given, "
}

take_role() {
  as_root auth/user/revoke "{\"name\":\"$name\",\"role\":\"$1\"}" 'role is not granted to the user'
  changes="${changes}role $1 taken, "
}

drop_user() { as_root auth/user/delete "{\"name\":\"$1\"}" 'user name not found'; }
drop_role() { as_root auth/role/delete "{\"role\":\"$1\"}" 'role name not found'; }

# The users that have role $1.
holders_of() {
  as_root auth/user/list '{}'
  names_in users "$answer" | while IFS= read -r user; do
    as_root auth/user/get "{\"name\":\"$user\"}" 'user name not found'
    ! names_in roles "$answer" | grep -qxF -- "$1" || say "$user"
  done
}

permit() { # $1: a permission, as permission_line makes them
  # shellcheck disable=SC2086  # it is made of words
  set -- $1
  as_root auth/role/grant "{\"name\":\"$name\",\"perm\":{\"permType\":\"$1\",$(keys_as_json "$2" "$3")}}"
  changes="${changes}$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]') on $(readable "$2" "$3") given, "
}

forbid() { # $1: key and end of a permission
  # shellcheck disable=SC2086  # it is made of words
  set -- $1
  as_root auth/role/revoke "{\"role\":\"$name\",$(keys_as_json "$1" "$2")}" 'permission is not granted to the role'
  changes="${changes}$(readable "$1" "$2") taken, "
}

keys_as_json() {
  case $2 in
    -) printf '"key":"%s"' "$1" ;;
    *) printf '"key":"%s","range_end":"%s"' "$1" "$2" ;;
  esac
}

# ---- permissions: one a line, as `READ|WRITE|READWRITE KEY END`, keys in base64, END `-` for one key

# permission_line ACCESS key|prefix|range KEY [END]
permission_line() {
  first=$(printf '%s' "$3" | base64 -w 0)
  case $2 in
    key) end=- ;;
    # Every key is written in etcd as what begins with the byte 0 and has no end.
    prefix) if [ -n "$3" ]; then end=$(after_prefix "$3"); else first=AA== end=AA==; fi ;;
    range) end=$(printf '%s' "$4" | base64 -w 0) ;;
    *) die "a permission is for a key, a prefix or a range, not for a \`$2\`" ;;
  esac
  say "$(printf '%s' "$1" | tr '[:lower:]' '[:upper:]') $first $end"
}

# The first key that no longer begins with $1, in base64: its last byte is one more. Text in UTF-8
# never ends in the byte that has no next.
after_prefix() {
  printf '%s' "$1" | od -An -v -tu1 -w1 |
    awk 'NR > 1 { printf "%c", last } { last = $1 } END { printf "%c", last + 1 }' | base64 -w 0
}

readable() { # key and end in base64, for a person
  key=$(printf '%s' "$1" | base64 -d | tr -d '\0')
  case $2 in
    -) say "$key" ;;
    AA==) say 'every key' ;;
    *) if [ "$2" = "$(after_prefix "$key")" ]; then say "$key..."; else say "$key to $(printf '%s' "$2" | base64 -d | tr -d '\0')"; fi ;;
  esac
}

permissions_in() { # what etcd says of a role; a right to read is the one that it does not name
  printf '%s' "$1" | awk '
    function value(text, field, otherwise) {
      if (!match(text, "\"" field "\": *\"")) return otherwise
      text = substr(text, RSTART + RLENGTH)
      sub(/".*/, "", text)
      return text
    }
    sub(/^.*"perm": *\[/, "") {
      count = split($0, records, /\}/)
      for (i = 1; i <= count; i++)
        if (records[i] ~ /"key":/)
          print value(records[i], "permType", "READ"), value(records[i], "key", "-"), value(records[i], "range_end", "-")
    }'
}

keys_of() { printf '%s\n' "$1" | cut -d ' ' -f 2-; }

# ---- lines

lines() { printf '%s\n' "$@"; }
listed() { printf '%s' "$1" | awk '{ printf "%s%s", (NR > 1 ? ", " : ""), $0 }'; }

# The lines of $1 that are not among those of $2.
lines_besides() { printf '%s\n' "$1" | grep -Fvx -e "$2" -e '' || :; }

# The lines of $1 that are among those of $2, too.
lines_among() { printf '%s\n' "$1" | grep -Fx -e "$2" | sed '/^$/d' || :; }

# Call $1 with each of the lines of $2.
each_line() {
  rest=$2
  while [ -n "$rest" ]; do
    line=${rest%%"
"*}
    rest=${rest#"$line"}
    rest=${rest#"
"}
    [ -z "$line" ] || "$1" "$line"
  done
}

# The names in list $1 of an answer of etcd, each as it stands in its JSON.
names_in() {
  printf '%s' "$2" | awk -v list="\"$1\":" '{
    at = index($0, list)
    if (!at) next
    $0 = substr($0, at + length(list))
    sub(/^ *\[ */, "")
    sub(/"\].*/, "\"")
    count = split($0, names, /", *"/)
    for (i = 1; i <= count; i++) {
      gsub(/^"|"$/, "", names[i])
      if (names[i] != "") print names[i]
    }
  }'
}
