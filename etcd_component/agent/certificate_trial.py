"""New certificates are tried at the running members before they are used.

etcd trusts the CAs that it was started with, but serves a new certificate at once. So what works
between two members with the present files must work with the new ones.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_component.agent import files, systemd
from etcd_component.agent.client import Client
from etcd_component.agent.instance import Instance, Peer
from etcd_component.agent.output import Refusal, doing, refuse
from etcd_component.agent.start import repair_is_asked
from etcd_component.etcd_api.errors import ApiError, ConnectionRefused, ConnectTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from etcd_component.agent.options import Options

_SECONDS = 5
_ATTEMPTS = 3
"""A member may be at work on its own files just now."""
_PAUSE = 0.3


def refuse_to_cut_off(instance: Instance, new: Path, options: Options) -> None:
    """Raises Refusal where a running member would not take the files in directory `new`.

    Where a CA goes, all members must be there to say so: one that is away may still need it.
    """
    paths = instance.paths
    # What somebody put here by hand the others never trusted; what runs here may.
    repairs = repair_is_asked(paths, options)
    present = files.read_text(paths.pki / "ca.crt")
    drops = not repairs and bool(dropped_authorities(present, files.read_text(new / "ca.crt")))
    to_ask = _members_to_ask(instance)
    if not to_ask and systemd.is_active(paths.unit):
        refuse(
            f"{instance.name}: the member list cannot be read, so nobody was asked whether the new"
            " certificate is taken. Nothing was changed; run `pulumi up` again"
        )
    for member in to_ask:
        if repairs and member.url == instance.peer_url:
            continue
        doing(f"trying the new certificate at {member.name}")
        why_not = why_not_taken(_attempt, paths.pki, new, member.url, drops=drops)
        if why_not:
            refuse(_objection(instance.name, member, why_not, drops=drops))


def _objection(name: str, member: Peer, why_not: str, *, drops: bool) -> str:
    if drops:
        return (
            f"{name}: a CA that members trust now is not in the new bundle, and {member.name} at"
            f" {member.url} may need it: with the new files it cannot be spoken to ({why_not})."
            " Nothing was changed. Put the CA back into etcd_ca_trusted and run `pulumi up`; it may"
            " go when all members are up and another CA signs"
        )
    return (
        f"{name}: {member.name} at {member.url} takes the present certificate, but not the new one"
        f" ({why_not}): it does not run with the CA that signed it. Nothing was changed. Put"
        " etcd_ca_signing back and run `pulumi up` with that CA in etcd_ca_trusted; it may sign in"
        " the next update"
    )


def dropped_authorities(present: str, new: str) -> list[str]:
    """The certificates of one PEM bundle that another lacks."""
    kept = set(_certificates(new))
    return [one for one in _certificates(present) if one not in kept]


def _certificates(bundle: str) -> list[str]:
    found = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", bundle, re.DOTALL)
    return ["".join(one.split()) for one in found]


def _members_to_ask(instance: Instance) -> list[Peer]:
    """This member, if it runs, and all others."""
    try:
        members = Client(instance.paths.pki).members(instance.peer_url)
    except (ApiError, Refusal):
        own = [Peer(instance.name, instance.peer_url)]
        return [*(own if systemd.is_active(instance.paths.unit) else []), *instance.known_peers()]
    return [Peer(member.label, member.peer_url) for member in members]


@dataclass(frozen=True)
class Trial:
    """How a member answered one who comes with some files."""

    why_not: str = ""
    """Empty where it gets on with them."""
    is_away: bool = False
    """Whether nobody took the connection, which has nothing to do with the files."""


def _attempt(pki: Path, url: str) -> Trial:
    # A client of its own each time: a connection that is open shows nothing.
    try:
        Client(pki, _SECONDS).text(url, "/version")
    except (ConnectionRefused, ConnectTimeout) as error:
        return Trial(str(error), is_away=True)
    except (ApiError, Refusal) as error:
        return Trial(str(error))
    return Trial()


def why_not_taken(
    attempt: Callable[[Path, str], Trial], present: Path, new: Path, url: str, *, drops: bool
) -> str:
    """Why the member does not get on with the new files; empty where it does.

    `drops`: whether a CA goes, and then an answer is needed.
    """
    trial = Trial()
    for _ in range(_ATTEMPTS):
        trial = attempt(new, url)
        if not trial.why_not:
            return ""
        if trial.is_away:
            break
        time.sleep(_PAUSE)
    # What fails with the present files as well is not the new ones' fault; nor is what was mended
    # over there between the two.
    if not drops and (attempt(present, url).why_not or not attempt(new, url).why_not):
        return ""
    return trial.why_not
