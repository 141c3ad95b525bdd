"""Root's password: remembered by generation, so that who changes it can still log in before."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from etcd_component.model import ROOT, Cluster, Settings
from etcd_component.remote import remember

_BYTES = 24
"""Of randomness in a generated password."""


@dataclass(frozen=True, slots=True)
class Root:
    """User root, as this run wants it."""

    password: pulumi.Output[str]
    login: pulumi.Output[str]
    """What the node program reads: a line of JSON, in ASCII, with the name and the password. A
    second one has the password before it, which is root's until the cluster has taken the first."""


def root_of(
    cluster: Cluster, owner: pulumi.Output[str], this_run: str, opts: pulumi.ResourceOptions
) -> Root:
    """The password that is given, else one made once and kept; and what logs in until it is set.

    `owner` is the mark of the stack, and equals `this_run` in the run that makes the cluster.
    Raises RunError, before anything is changed, where the password before would not be known.
    """
    settings = cluster.settings
    number = settings.root_password_generation
    current = remember(
        _name(cluster, number),
        _value(settings.root_password or generated_password(), this_run),
        opts=opts,
    )
    before: pulumi.Input[dict[str, str]] = {}
    if number > 1:
        # Made only now, it holds nothing: then root never had that password.
        before = remember(_name(cluster, number - 1), _value("", this_run), opts=opts).output
    known = pulumi.Output.all(current.output, before, owner).apply(
        lambda found: _judged(cluster, *found)
    )
    return Root(
        known.apply(lambda passwords: passwords[0]),
        known.apply(lambda passwords: "".join(login_line(ROOT, one) for one in passwords)),
    )


def _value(password: str, begun: str) -> dict[str, pulumi.Input[str]]:
    """What is remembered of a generation: the password, and the run that began it."""
    return {"password": pulumi.Output.secret(password), "begun": begun}


def _name(cluster: Cluster, generation: int) -> str:
    # The first keeps the name that it had when there was no other.
    return f"{cluster.name}-root-password" + (f"-{generation}" if generation > 1 else "")


def generated_password() -> str:
    """32 characters that need no quoting anywhere."""
    return secrets.token_urlsafe(_BYTES)


def login_line(name: str, password: str) -> str:
    """A login as the node program reads it: one line of JSON, in ASCII."""
    return json.dumps({"name": name, "password": password}) + "\n"


def _judged(
    cluster: Cluster, current: Mapping[str, str], before: Mapping[str, str], owner: str
) -> list[str]:
    passwords = [current["password"], before.get("password", "")]
    problem = refusal(cluster.settings, *passwords, founded=current["begun"] == owner)
    if problem:
        raise pulumi.RunError(f"cluster {cluster.name}: {problem}. Root's password stays as it is")
    return [one for one in dict.fromkeys(passwords) if one]


def refusal(settings: Settings, current: str, before: str, *, founded: bool) -> str | None:
    """Why root's password cannot become what the settings say, and the way; None if it can.

    `current` is what is remembered for the wanted generation, `before` for the one before; both are
    empty where nothing is. `founded`: the cluster was made with the wanted generation.
    """
    number = settings.root_password_generation
    if not current or (number > 1 and not before and not founded):
        return (
            f"root's password was never that of generation {number - 1}, so nobody could log in to"
            f" set that of generation {number}. Put etcd_root_password_generation back to what it"
            " was in the last `pulumi up` that succeeded, run it once more, and raise it by one"
        )
    if settings.root_password not in (None, current):
        return (
            "etcd_root_password is not what it was when its generation began. To have root's"
            f" password changed, raise etcd_root_password_generation to {number + 1} in the same"
            " edit: the password before is needed to log in, and is kept with its number"
        )
    return None
