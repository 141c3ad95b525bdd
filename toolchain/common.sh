# shellcheck shell=sh disable=SC2034  # what is set here is used where this is sourced
# What the scripts of this directory share. Sourced, never run:
#
#   root=$(CDPATH='' cd -- "$(dirname "$0")/.." && pwd)
#   . "$root/toolchain/common.sh"
#
# Everything a person reads goes to stderr, because stdout may be on its way into an `eval`.

: "${root:?must be set before common.sh is sourced}"

# For the programs started from here, which may be in another directory then.
case "${PULUMI_ETCD_CACHE:-/}" in
/*) ;;
*) export PULUMI_ETCD_CACHE="$PWD/$PULUMI_ETCD_CACHE" ;;
esac
# Outside the checkout, so that a second checkout needs seconds.
cache="${PULUMI_ETCD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pulumi-etcd}"
venv="$root/.venv"

say() {
	printf '%s\n' "$*" >&2
}

fail() {
	say "$@"
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# install_packages WHY PACKAGE... : Debian packages, as root only; anybody else is told what to type.
install_packages() {
	_why=$1
	shift
	if ! have apt-get; then
		fail "$_why. Install what this system calls: $*"
	fi
	if [ "$(id -u)" -ne 0 ]; then
		fail "$_why. Type: sudo apt-get install $*"
	fi
	say "$_why: installing $* with apt-get."
	_log="$cache/apt-get.log"
	mkdir -p "$cache"
	if ! DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$_log" 2>&1; then
		# A fresh image has no package lists yet.
		if ! { DEBIAN_FRONTEND=noninteractive apt-get update &&
			DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } >"$_log" 2>&1; then
			tail -n 5 "$_log" >&2
			fail "apt-get could not install $*; all it said is in $_log."
		fi
	fi
}

# hash_of FILE... : eight characters that change when any of the files does.
hash_of() {
	cat "$@" | sha256sum | cut -c1-8
}

# locked NAME : from here to the end of the script, no other run does what NAME names.
locked() {
	mkdir -p "$cache"
	# Whoever can open a file can lock it.
	_umask=$(umask)
	umask 077
	exec 9>"$cache/$1.lock"
	umask "$_umask"
	if have flock && ! flock --nonblock 9; then
		say "Waiting for another run that is at work in $cache."
		flock 9
	fi
}

# path_of_others : PATH without what `make env` of any checkout puts there for Pulumi: the wrapper, and engines
# that were built here.
path_of_others() {
	_ifs=$IFS
	IFS=:
	_rest=
	for _dir in $PATH; do
		if [ ! -e "$_dir/../common.sh" ] && [ ! -e "$_dir/../built-here" ]; then
			_rest="${_rest:+$_rest:}$_dir"
		fi
	done
	IFS=$_ifs
	printf '%s\n' "$_rest"
}

# not_older VERSION THAN : compares versions such as v3.219.0.
not_older() {
	[ "$(printf '%s\n' "${1#v}" "${2#v}" | sort -V | head -n 1)" = "${2#v}" ]
}

# The lab's Pulumi state lives with the lab, not with the checkout: a second checkout continues the same cluster.
lab="${PULUMI_ETCD_LAB:-/var/lib/etcd-lab/demo}"
lab_backend="file://$lab/pulumi"

# is_lab_stack NAME : whether a stack runs on the lab, or on somebody's own machines. Its addresses would not
# tell, because the lab's network may be in use elsewhere. So: three names, and what was put there with LAB=1.
is_lab_stack() {
	case "$1" in
	one | three | five) return 0 ;;
	*) [ "${LAB:-}" = 1 ] || [ -e "$lab/pulumi/.pulumi/stacks/etcd/$1.json" ] ;;
	esac
}

lab_is_up() {
	[ -r "$lab/site.yaml" ]
}

# Makes what the lab's Pulumi state needs, once.
prepare_lab_state() {
	mkdir -p "$lab/pulumi"
	chmod 700 "$lab/pulumi"
	if [ ! -s "$lab/passphrase" ]; then
		(umask 077 && head -c 24 /dev/urandom | base64 >"$lab/passphrase.new")
		mv "$lab/passphrase.new" "$lab/passphrase"
	fi
}

# The lab builds etcd with Go. Asked for here, where a person is told how to cure its absence.
add_go_to_path() {
	_go=$("$root/toolchain/get-go")
	PATH="$PATH:$(dirname "$_go")"
}
