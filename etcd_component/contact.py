"""Command lines that every login shell reads alike, and the first contact with a machine.

The SSH server gives a command line to the login's own shell, which may be fish or tcsh. So a line
is made of plain words: no `&&`, no `$(...)`, no redirection. All that needs a shell of a known
kind travels on standard input, which `sh -s` reads.
"""

import re
from collections.abc import Sequence

_PLAIN = re.compile(r"[A-Za-z0-9_./:,@+-][A-Za-z0-9_./:,@+=%-]*")
_END = "the end of the program"
_PROOF = re.compile(r"\S.* \[etcd-(node|monitor) [a-z]+ done\]")

_WRAPPER = """\
{{
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
run={run}
mkdir -p "$run" && sent=$(umask 077 && mktemp -d "$run/sent.XXXXXX") ||
  refuse "nothing can be written in $run; nothing was changed. \
Free space there or mount it writable, and run \\`pulumi up\\` again"
trap 'rm -rf "$sent"; rmdir "$run" 2>/dev/null || :' EXIT
# Those of runs that were killed.
find "$run" -maxdepth 1 -name 'sent.*' -mmin +60 -exec rm -rf {{}} + 2>/dev/null || :
cat >"$sent/{name}" <<'{end}' ||
{program}{end}
  refuse "the program cannot be written in $run; nothing was changed. \
Free space there and in /tmp, and run \\`pulumi up\\` again"
sh "$sent/{name}" "$@" </dev/null
exit
}}
"""


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


def sent(name: str, program: str) -> str:
    """What is sent to `sh -s -- SUBCOMMAND OPTIONS...`, so that it runs on a machine without it.

    The program is kept where root alone can write, under its `name`, for as long as it runs.
    """
    if f"\n{_END}\n" in program or not program.endswith("\n"):
        raise ValueError(f"the program {name} cannot be sent")
    return _WRAPPER.format(name=name, run=f"/run/{name}", program=program, end=_END)


def program_in(text: str) -> str:
    """The program in what `sent` made; a state may also have it alone, as it was once sent."""
    found = re.search(rf"<<'{_END}' \|\|\n(.*\n){_END}\n", text, re.DOTALL)
    return found[1] if found else text


def proves(stdout: str) -> bool:
    """Whether a run of one of our programs, and nothing else, printed this and came to its end.

    Exit status 0 says little: a key may have a forced command, and a shell may take everything
    for done. What echoes the command line or its standard input has no such last line either.
    """
    return _PROOF.fullmatch(stdout.rstrip().rpartition("\n")[2]) is not None


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
