"""Command lines that every login shell reads alike, and the first contact with a machine.

The SSH server gives a command line to the login's own shell, which may be fish or tcsh. So a line
is made of plain words: no `&&`, no `$(...)`, no redirection. All that needs a shell of a known
kind travels on standard input, which `sh -s` reads.
"""

import re
import shlex
from collections.abc import Sequence
from importlib import resources

from etcd_component import packing

_PLAIN = re.compile(r"[A-Za-z0-9_./:,@+-][A-Za-z0-9_./:,@+=%-]*")
_PROOF = re.compile(r"\S.* \[etcd-(node|monitor) [a-z-]+ done\]")
_BEGUN = re.compile(r"\S+: started as a founder; .* not begun yet \[etcd-node join done\]")

DIRECTORY = ".etcd-node"
"""The agent's, in the directory where a login begins: SFTP and commands agree on it."""

_START = """{{
# A shell reads all of this before it begins, so a transfer that broke off does nothing.
set -eu
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
refuse() {{
  printf '{name}: %s\\n' "$*" >&2
  exit 1
}}
[ "$(id -u)" -eq 0 ] || refuse 'only root can do this; run it with sudo'
python3 -I -c 'import sys, ssl, zipfile; sys.exit(sys.version_info < (3, 9))' 2>/dev/null ||
  refuse "Python 3.9 or newer is needed here (found: $(python3 -V 2>&1 || :)). Nothing was \
changed: install the package python3 (apt-get install python3, or dnf install python3) and run \
\\`pulumi up\\` again"
exec python3 -ISXutf8 -c {program} {name} "$@" </dev/null
}}
"""

_LOADER = (
    "import os,runpy,sys;"
    'v=sys.version_info;v>=(3,9)or sys.exit("{name}: this machine has Python %d.%d, and 3.9 is'
    ' needed"%v[:2]);'
    "d=sys.stdin.buffer.read({size});"
    'len(d)=={size} or sys.exit("{name}: this program came incomplete; run this again");'
    'f=os.memfd_create("{name}");open(f,"wb",closefd=False).write(d);'
    'runpy.run_path("/proc/self/fd/%d"%f,run_name="__main__")'
)
"""Python that runs the program on its standard input from memory: no file is written anywhere."""


def quoted(word: str) -> str:
    """A word as sh, bash, zsh, fish and tcsh read it alike.

    `shlex.quote` does not do: fish reads a backslash within quotes, tcsh an exclamation mark, and
    zsh an equals sign at the beginning. Raises ValueError for what none of them keeps.
    """
    if not all(one.isprintable() for one in word):
        raise ValueError("a word of a command line has characters that do not print")
    if _PLAIN.fullmatch(word):
        return word
    parts = re.split(r"(['\\!])", word)
    return "".join(f"\\{one}" if one in "'\\!" else f"'{one}'" for one in parts if one) or "''"


def command_line(words: Sequence[str], options: Sequence[str | Sequence[str]] = ()) -> str:
    """A command line with one option a line, for a preview to show as a diff.

    `options` are flags, or a flag with its values.
    """
    lines = [[one] if isinstance(one, str) else one for one in options]
    return " \\\n  ".join(" ".join(map(quoted, line)) for line in [words, *lines])


_SUDO = ("sudo", "-n")


def as_root(*, sudo: bool) -> Sequence[str]:
    """The words that a command line begins with, for a login that is not root's."""
    return _SUDO if sudo else ()


def without_sudo(line: str) -> str:
    """A command line as root's login has it, whose ever it is."""
    return line.removeprefix(f"{' '.join(_SUDO)} ")


def with_sudo(line: str, *, sudo: bool) -> str:
    """A command line as a login has it that is root's or, with `sudo`, is not."""
    return " ".join([*as_root(sudo=sudo), without_sudo(line)])


def loaded(words: Sequence[str], *, sudo: bool = False) -> tuple[str, bytes]:
    """How a machine runs this checkout's `etcd-node WORDS` and keeps nothing of it.

    Returns the command line and what goes to its standard input first; more may follow there for
    the command itself. The machine need not have the program: it is new, or was wiped.
    """
    program = packing.agent()
    loader = _LOADER.format(name="etcd-node", size=len(program))
    return command_line([*as_root(sudo=sudo), "python3", "-ISXutf8", "-c", loader, *words]), program


def log_in(name: str) -> str:
    """What `sh -s` reads before program `name` is sent: makes the directory for its file."""
    return _start(name, "login")


def start(name: str) -> str:
    """What `sh -s -- STEP FILE CHECK OPTIONS...` reads on a machine that may lack program `name`.

    `claim` runs the file, whose SHA-256 is CHECK; `uninstall` what is installed, else the file.
    Where neither is there, CHECK is the file that would say that the machine is claimed.
    """
    return _start(name, "program")


def _start(name: str, module: str) -> str:
    source = resources.files("etcd_component") / "agent" / "first_contact" / f"{module}.py"
    return _START.format(name=name, program=shlex.quote(source.read_text(encoding="utf-8")))


def proves(stdout: str) -> bool:
    """Whether a run of one of our programs, and nothing else, printed this and came to its end.

    Exit status 0 says little: a key may have a forced command, and a shell may take everything
    for done. What echoes the command line or its standard input has no such last line either.
    """
    return _PROOF.fullmatch(stdout.rstrip().rpartition("\n")[2]) is not None


def only_began(stdout: str) -> bool:
    """Whether this is of a founder that waits for others, and is no member yet."""
    return _BEGUN.fullmatch(stdout.rstrip().rpartition("\n")[2]) is not None


def no_proof(name: str, where: str, answered: str | None) -> str:
    """What to tell a person whose machine has not run a Command; `answered` is None if secret."""
    if answered is None:
        answer = "The answer is not shown, since it may hold secrets"
    elif answered.strip():
        answer = f"It answered {answered.strip().splitlines()[-1][-200:]!r}"
    else:
        answer = "It answered nothing"
    return (
        f"{name}: {where} reports success, but our program did not run there: its last line is"
        f" missing. {answer}. The login's key may have a forced command (`command=` in"
        " authorized_keys), or its shell runs no commands. Let it run them, and run `pulumi up`"
        " again; this step runs again by itself (else raise etcd_repair on the host)"
    )
