# ---- files: have just these files of one kind -------------------------------

do_files() {
  make_user
  text=$(cat)
  case $kind in
    config) folders='targets targets-node rules' mode=644 group=root own=root ;;
    dashboards) folders=dashboards mode=644 group=root own=root ;;
    # Its own user alone reads them.
    secrets) folders='pki tls login' mode=600 group=$user own=$user && umask 077 ;;
    *) die "there are no files of the kind \`$kind\`" ;;
  esac
  wanted=$(printf '%s\n' "$text" | sed -n 's/^--- //p')
  # A connection that broke off must not leave half a file, nor remove what did not come.
  case $text in
    *'--- end') wanted=$(printf '%s\n' "$wanted" | sed '$d') ;;
    *) die "standard input does not end with \`--- end\`; nothing was changed" ;;
  esac
  for file in $wanted; do
    put_section "$file"
  done
  # A cluster that is gone leaves no targets and no key.
  for folder in $folders; do
    [ ! -d "$etc/$folder" ] || remove_others "$folder"
  done
  case $kind in
    config)
      own_data_directory
      systemctl daemon-reload
      ;;
  esac
  say "$(printf '%s\n' "$wanted" | grep -c .) files are in place"
}

make_user() {
  getent passwd "$user" >/dev/null ||
    useradd --system --user-group --home-dir / --no-create-home --shell /usr/sbin/nologin --comment 'etcd-monitor' "$user"
}

put_section() {
  case $1 in
    *..* | /* | *[!A-Za-z0-9._/-]*) die "\`$1\` is no name of a file" ;;
    *.service) section "$1" "$text" | put "$units/$1" 644 root:root ;;
    *)
      # The way there is for everybody, what is there may not be.
      case $1 in */*) (umask 022 && mkdir -p "$etc/${1%/*}") ;; esac
      section "$1" "$text" | put "$etc/$1" "$mode" "$own:$group"
      ;;
  esac
}

remove_others() {
  find "$etc/$1" -type f | while read -r found; do
    printf '%s\n' "$wanted" | grep -qxF "${found#"$etc/"}" || rm -f "$found"
  done
  find "$etc/$1" -mindepth 1 -type d -empty -delete
}

own_data_directory() {
  [ -n "$data" ] || die "\`files --kind config\` needs --data"
  # What was there before is not erased later.
  real=$(readlink -m "$data")
  claimed_real=$(cat "$etc/real-data" 2>/dev/null || say "$real")
  [ "$claimed_real" = "$real" ] ||
    die "$data leads to $real, but led to $claimed_real when the monitor began. Put the link or the mount back and run \`pulumi up\` again"
  [ -s "$etc/found-parent" ] || [ -d "$real" ] || existing_parent "$real" | put "$etc/found-parent" 644 root:root
  say "$data" | put "$etc/data" 644 root:root
  say "$real" | put "$etc/real-data" 644 root:root
  mkdir -p "$real"
  # Once only: later the directory is another user's, who could put a link there.
  [ -e "$real/.etcd-monitor" ] || (set -C && : >"$real/.etcd-monitor")
  chmod 700 "$real"
  chown "$user:$user" "$real"
}
