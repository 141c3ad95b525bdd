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
	(
		# The lab's own name for it: see lab/check.py.
		locked .packages
		log="$cache/apt-get.log"
		export DEBIAN_FRONTEND=noninteractive
		# A fresh image has no package lists yet.
		apt_install "$@" >"$log" 2>&1 || { apt-get update && apt_install "$@"; } >"$log" 2>&1 || {
			tail -n 5 "$log" >&2
			fail "apt-get could not install $*; all it said is in $log."
		}
	)
}

# A machine that has just booted installs something itself, which is waited for.
apt_install() {
	apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@" 9>&-
}

# hash_of FILE... : eight characters that change when any of the files does.
hash_of() {
	cat "$@" | sha256sum | cut -c1-8
}

# locked NAME : from here to the end of the script or ( ), no other run of any checkout does what NAME names. A NAME
# without a directory is of the cache. What is started meanwhile and may stay must not have the lock: 9>&- (not on the
# last command of a ( ), which some shells become).
locked() {
	case "$1" in
	/*) _file="$1.lock" ;;
	*) _file="$cache/$1.lock" ;;
	esac
	mkdir -p "${_file%/*}"
	# Whoever can open a file can lock it.
	_umask=$(umask)
	umask 077
	exec 9>"$_file"
	umask "$_umask"
	if have flock && ! flock --nonblock 9; then
		say "Waiting for another run that is at work in ${_file%/*}."
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

# Makes what the lab's Pulumi state needs, once: with two passphrases, one state would be lost.
prepare_lab_state() (
	{ [ ! -d "$lab/pulumi" ] || [ ! -s "$lab/passphrase" ]; } || exit 0
	locked "$lab/state"
	umask 077
	mkdir -p "$lab/pulumi"
	[ ! -s "$lab/passphrase" ] || exit 0
	head -c 24 /dev/urandom | base64 >"$lab/passphrase.new"
	mv "$lab/passphrase.new" "$lab/passphrase"
)

# The lab builds etcd with Go. Asked for here, where a person is told how to cure its absence.
add_go_to_path() {
	_go=$("$root/toolchain/get-go")
	PATH="$PATH:$(dirname "$_go")"
}
