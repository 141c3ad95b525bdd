"""The first contact with a machine, which may lack the agent: sent alone, by `contact.start`.

Its words are PROGRAM STEP [FILE CHECK OPTIONS...], see there. It imports nothing of the agent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

_DIRECTORY = ".etcd-node"
_INSTALLED = Path("/usr/local/sbin")
_AGAIN = "Nothing was changed; correct that and run `pulumi up` again"


def main(program: str, step: str, *words: str) -> None:
    """Run a step. What succeeds ends in the sentence that proves it."""
    if step == "login":
        _log_in(program)
        print(f"Python {sys.version.split()[0]} is here [{program} login done]")
    elif step == "claim":
        _claim(program, *words)
    else:
        _uninstall(program, *words)


def refuse(program: str, text: str) -> NoReturn:
    """Stop with exit status 1."""
    sys.exit(f"{program}: {text}")


def _log_in(program: str) -> None:
    """See that files can come by sftp, and make the directory for them."""
    home, login = Path.cwd(), int(os.environ.get("SUDO_UID") or 0)
    if _lacks_sftp():
        refuse(
            program,
            "sftp is switched off here, or its program is missing, and etcd-node comes by it: put"
            " `Subsystem sftp internal-sftp` into /etc/ssh/sshd_config and reload sshd. " + _AGAIN,
        )
    if home.stat().st_mode & stat.S_IWOTH:
        refuse(
            program,
            f"everybody can write in {home}, where the login's files go: chmod o-w {home}, or use"
            f" another login. {_AGAIN}",
        )
    path = home / _DIRECTORY
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if os.fstat(directory).st_uid not in {0, login}:
            refuse(program, f"{path} is neither root's nor the login's: remove it. {_AGAIN}")
        os.fchown(directory, login, -1)
        os.fchmod(directory, 0o700)
    except OSError as error:
        refuse(
            program,
            f"the directory {path} cannot be made, or is none ({error.strerror}). {_AGAIN}",
        )


def _lacks_sftp() -> bool:
    """Whether sshd says so. Where it does not tell its settings, sftp is tried."""
    try:
        done = subprocess.run(["sshd", "-T"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    said = [line.split() for line in done.stdout.splitlines()]
    server = [words[2] for words in said if words[:2] == ["subsystem", "sftp"] and words[2:]]
    works = server and (server[0] == "internal-sftp" or os.access(server[0], os.X_OK))
    return done.returncode == 0 and not works


def _claim(program: str, path: str, sha256: str, *options: str) -> None:
    """Have the file that was sent claim the machine."""
    whole = Path.cwd() / path
    try:
        with os.fdopen(os.open(whole, os.O_RDONLY | os.O_NOFOLLOW), "rb") as sent:
            is_sent = hashlib.sha256(sent.read()).hexdigest() == sha256
    except OSError as error:
        refuse(
            program,
            f"{whole} cannot be read ({error.strerror}), though sftp has put it somewhere: into a"
            f" chroot? Let sftp begin in {Path.cwd()}, raise etcd_repair on the host and run"
            " `pulumi up` again",
        )
    if not is_sent:
        refuse(
            program,
            f"{whole} is not what was sent. Raise etcd_repair on the host and run `pulumi up`"
            " again",
        )
    os.execv(sys.executable, [sys.executable, "-ISXutf8", str(whole), "claim", *options])  # noqa: S606


def _uninstall(program: str, path: str, claim: str, *options: str) -> None:
    """Have the program that is installed, else the one that was sent, uninstall itself."""
    sent = Path.cwd() / path
    there = [one for one in (_INSTALLED / program, sent) if one.is_file()]
    if there:
        argv = [sys.executable, "-ISXutf8", str(there[0]), "uninstall", *options]
        done = subprocess.run(argv, check=False)
        if done.returncode != 0:
            sys.exit(done.returncode)
    elif Path(claim).exists():
        refuse(
            program,
            f"this machine is claimed ({claim}), and {program} is missing, which could uninstall:"
            " raise etcd_repair on the host and run `pulumi up` before. Nothing was removed",
        )
    else:
        print(f"there is nothing on this machine [{program} uninstall done]")
    with contextlib.suppress(OSError):
        # What was sent for a repair has a longer name.
        for former in sent.parent.iterdir():
            if former.name.startswith(sent.name):
                former.unlink()
        sent.parent.rmdir()


if __name__ == "__main__":
    main(*sys.argv[1:])
