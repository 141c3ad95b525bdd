# ---- access: root, its role, and authentication on --------------------------

do_access() {
  load_instance
  read_credentials
  endpoint=$client_url
  doing="setting up access at $endpoint"
  await_login
  if [ -z "$etcd_token" ]; then
    make_root
    await_login
    [ -n "$etcd_token" ] || die "authentication is still off after it was switched on; look at the journal of $unit"
    say "root made, authentication on"
  elif [ "$login" != "$credentials" ]; then
    change_password
  else
    say "authentication is on, and root's password is the configured one"
  fi
  prove_access
}

# Everything that comes before this in an update logged in with the former password, and whatever
# is cut off here is finished by the next update, which tries both.
change_password() {
  refuse_before_removals
  try auth/user/changepw "$credentials" ''
  await_login
  [ "$login" = "$credentials" ] || die "etcd took root's new password, but lets the former one in; run \`pulumi up\` again"
  say "root's password is the new one; the former is refused"
}

# Members, users and roles that go in this same update do so last, with the former password alone.
refuse_before_removals() {
  load_members
  leaving=$(printf '%s\n' "$members" | awk -v stay=",$name=,$peers" '
    $2 != "-" && !index(stay, "," $2 "=") { print "member", $2 }')
  before=$(cat "$etc/declared" 2>/dev/null || :)
  as_root auth/user/list '{}'
  users_there=$(names_in users "$answer")
  as_root auth/role/list '{}'
  roles_there=$(names_in roles "$answer")
  leaving=$(
    say "$leaving"
    lines_among "$(lines_besides "$(section users "$before")" "$users")" "$users_there" | sed 's/^/user /'
    lines_among "$(lines_besides "$(section roles "$before")" "$roles")" "$roles_there" | sed 's/^/role /'
  )
  leaving=$(printf '%s\n' "$leaving" | sed '/^$/d')
  [ -z "$leaving" ] ||
    die "root's password stays as it is: $(listed "$leaving") would be removed with the former password in this same update. Put the line back or etcd_root_password_generation, and make the two changes one after the other"
}

await_login() {
  give_up=$(($(date +%s) + 60))
  until log_in "$endpoint"; do
    [ "$(date +%s)" -lt "$give_up" ] ||
      die "the cluster does not answer a login at $endpoint: $(said "$answer"). Is there a quorum? \`etcd-node status\` on the nodes shows it"
    sleep 0.3
  done
}

make_root() {
  # The user may stand from an interrupted run with an older password: set it again.
  try auth/user/add "$credentials" 'user name already exists'
  try auth/user/changepw "$credentials" ''
  try auth/role/add '{"name":"root"}' 'role name already exists'
  try auth/user/grant '{"user":"root","role":"root"}' ''
  try auth/enable '{}' ''
}

try() { # try PATH BODY WHAT-MAY-BE-SAID
  answer=$(etcd "$endpoint" "$1" "$2") && return
  if [ -n "$3" ]; then
    case $answer in *"$3"*) return ;; esac
  fi
  die "etcd refuses $1: $(said "$answer"). It is safe to run this again"
}

# Believe it only when a request without a login is refused.
prove_access() {
  answer=$(request "$endpoint/v3/kv/range" '{"key":"AA=="}') || die "etcd does not answer: $(said "$answer")"
  case $answer in
    *'user name is empty'*) ;;
    *) die "etcd answers a request without a login, so authentication is not on: $(said "$answer")" ;;
  esac
}
