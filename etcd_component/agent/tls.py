"""Command `tls`: put CA bundle, certificate, key and CRL in place, all in one step."""

from __future__ import annotations

import re
import shutil
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_component.agent import attempt, certificate_trial, files, systemd
from etcd_component.agent.client import Client
from etcd_component.agent.drift import note_as_put
from etcd_component.agent.instance import Instance
from etcd_component.agent.output import refuse, say
from etcd_component.agent.paths import Paths
from etcd_component.agent.user import USER, make_user
from etcd_component.etcd_api.connection import client_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etcd_component.agent.frame import Run

_REQUIRED = ("ca.crt", "server.crt", "server.key")
_IF_SIGNED = ("token.pub", "token.key")
"""Tokens are signed only where the stack wants it."""
_NOTED = (*_REQUIRED, "revoked.crl", *_IF_SIGNED)
_STAYS = "the certificate in use stays"


def run(run: Run) -> None:
    """Put there what is on standard input, if every running member takes it. Raises Refusal."""
    paths = Paths(run.options.cluster)
    make_user()
    paths.etc.mkdir(parents=True, exist_ok=True)
    last = files.link_target(paths.pki)
    # Those of a run that was killed, too: the link leads to the only one in use.
    for old in paths.etc.glob("pki-*"):
        if old != paths.etc / last:
            _discard(old)
    new = Path(tempfile.mkdtemp(prefix="pki-", dir=paths.etc))
    try:
        _write(new, files.sections(run.stdin))
        _refuse_unfit(new)
        restarts = _is_tried_with_another_ca(paths, new)
        if (
            not restarts
            and files.has_content(paths.membership)
            and files.has_content(paths.pki / "ca.crt")
        ):
            certificate_trial.refuse_to_cut_off(Instance.load(paths), new, run.options)
        new.chmod(0o755)
        # One link is switched, so that the certificate and its key change in one step.
        files.replace_link(paths.pki, new.name)
    except BaseException:
        # Half of it is of no use to anybody, and the disk may be full. One that is stopped just
        # after the switch leaves what is in use.
        if files.link_target(paths.pki) != new.name:
            _discard(new)
        raise
    # Somebody may have linked a directory of their own there.
    if last.startswith("pki-") and "/" not in last:
        _discard(paths.etc / last)
    if restarts:
        # It waits for the others with the CA that it was started with.
        systemd.systemctl("try-restart", "--no-block", paths.unit)
    there = (paths.pki / name for name in _NOTED if (paths.pki / name).exists())
    note_as_put(paths, "tls", there)
    refused = f"; refused are {', '.join(run.options.revoked)}" if run.options.revoked else ""
    say(f"certificate and key are in {paths.pki}{refused}")


def _is_tried_with_another_ca(paths: Paths, new: Path) -> bool:
    """Whether no cluster has been formed with the CA that is here, so that it binds nobody."""
    instance = Instance.find(paths)
    present = files.read_text(paths.pki / "ca.crt")
    if instance is None or not present or present == files.read_text(new / "ca.crt"):
        return False
    return not attempt.objection(instance, Client(paths.pki), Client(new))


def _discard(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def _write(new: Path, parts: Mapping[str, str]) -> None:
    """The files of a delivery. Raises Refusal where one is missing or cut off."""
    for name in (*_REQUIRED, *_IF_SIGNED):
        part = parts.get(name, "")
        if name in _IF_SIGNED and not part:
            continue
        if not re.search("-----BEGIN.*-----END.*", part, re.DOTALL):
            refuse(f"standard input has no PEM in a section `--- {name}`; {_STAYS}")
        mode = 0o600 if name.endswith(".key") else 0o644
        files.atomic_write(new / name, part, mode, USER, USER)
    # etcd reads this list for each connection, and with one that it cannot read it refuses
    # everybody, its own peers too. So half a list must not get there.
    revoked = files.from_base64(parts.get("revoked.crl", ""))
    if not is_whole_der(revoked):
        refuse(
            "standard input has no list of revoked certificates (DER in base64) in a section"
            f" `--- revoked.crl`; {_STAYS}"
        )
    files.atomic_write(new / "revoked.crl", revoked, 0o644, USER, USER)


def is_whole_der(content: bytes) -> bool:
    """Whether it is a DER sequence just as long as its first bytes say (X.690)."""
    sequence, long_form = 0x30, 0x80
    if len(content) < 2 or content[0] != sequence:  # noqa: PLR2004
        return False
    if content[1] < long_form:
        return len(content) == 2 + content[1]
    head = 2 + content[1] - long_form
    length = int.from_bytes(content[2:head], "big")
    return content[1] > long_form and len(content) == head + length


def _refuse_unfit(new: Path) -> None:
    """Raises Refusal for a certificate and a key that etcd could not use."""
    try:
        client_context(*(new / name for name in _REQUIRED))
    except (OSError, ssl.SSLError) as error:
        reason = str(getattr(error, "reason", "") or error).replace("_", " ").lower()
        refuse(
            f"the certificate, its key and the CA bundle on standard input cannot be used together"
            f" ({reason}); {_STAYS}. Run `pulumi up` again"
        )
