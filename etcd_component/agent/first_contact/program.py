"""Run the agent that was sent, or that is installed: to claim the machine, or to uninstall."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

_INSTALLED = Path("/usr/local/sbin")


def main(program: str, step: str, *words: str) -> None:
    """`claim` takes FILE SHA-256 OPTIONS..., `uninstall` FILE CLAIM OPTIONS..."""
    (_claim if step == "claim" else _uninstall)(program, *words)


def _claim(program: str, path: str, sha256: str, *options: str) -> None:
    """Have the file that was sent claim the machine."""
    whole = Path.cwd() / path
    try:
        with os.fdopen(os.open(whole, os.O_RDONLY | os.O_NOFOLLOW), "rb") as sent:
            is_sent = hashlib.sha256(sent.read()).hexdigest() == sha256
    except OSError as error:
        sys.exit(
            f"{program}: {whole} cannot be read ({error.strerror}). It was removed, or sftp begins"
            f" elsewhere, as in a chroot: let it begin in {Path.cwd()}. Then {_again(program)}"
        )
    if not is_sent:
        sys.exit(f"{program}: {whole} is not what was sent: {_again(program)}")
    os.execv(sys.executable, [sys.executable, "-ISXutf8", str(whole), "claim", *options])  # noqa: S606


def _again(program: str) -> str:
    if program == "etcd-monitor":
        return "take etcd_monitor out, run `pulumi up`, and put it in again"
    return "raise etcd_repair on the host and run `pulumi up` again"


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
        sys.exit(
            f"{program}: this machine is claimed ({claim}), and {program} is missing, which could"
            " uninstall: raise etcd_repair on the host and run `pulumi up` before. Nothing was"
            " removed"
        )
    else:
        print(f"there is nothing on this machine [{program} uninstall done]")
    with contextlib.suppress(OSError):
        # What was sent for another etcd_reseat or etcd_repair has other numbers at its end.
        for former in sent.parent.iterdir():
            if _stem(former) == _stem(sent):
                former.unlink()
        sent.parent.rmdir()


def _stem(path: Path) -> str:
    return re.sub(r"(-\d+)?(-repair-\d+)?$", "", path.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
