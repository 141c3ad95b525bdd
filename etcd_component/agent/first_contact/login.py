"""See that files can come by sftp, and make the directory for them."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path

_DIRECTORY = ".etcd-node"
_AGAIN = "Nothing was changed; correct that and run `pulumi up` again"


def main(program: str) -> None:
    """The last line is the sentence that proves it."""
    home, login = Path.cwd(), int(os.environ.get("SUDO_UID") or 0)
    path = home / _DIRECTORY
    if _lacks_sftp():
        sys.exit(
            f"{program}: sftp is switched off here, or its program is missing, and etcd-node comes"
            " by it: put `Subsystem sftp internal-sftp` into /etc/ssh/sshd_config and reload sshd."
            f" {_AGAIN}"
        )
    if home.stat().st_mode & stat.S_IWOTH:
        sys.exit(
            f"{program}: everybody can write in {home}, where the login's files go: chmod o-w"
            f" {home}, or use another login. {_AGAIN}"
        )
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if os.fstat(directory).st_uid not in {0, login}:
            sys.exit(f"{program}: {path} is neither root's nor the login's: remove it. {_AGAIN}")
        os.fchown(directory, login, -1)
        os.fchmod(directory, 0o700)
    except OSError as error:
        sys.exit(
            f"{program}: the directory {path} cannot be made, or is none ({error.strerror})."
            f" {_AGAIN}"
        )
    print(f"Python {sys.version.split()[0]} is here [{program} login done]")


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


if __name__ == "__main__":
    main(sys.argv[1])
