"""What to do so that roles and users become what the stack wants.

Nothing is written where nothing differs: each write makes a new revision of access, and with it
every signed token is out of date, so that running clients must log in again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etcd_component.etcd_api.errors import AlreadyExists, EtcdError, NotFound, NotGranted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etcd_component.agent.permissions import Permission
    from etcd_component.etcd_api.members import Member

ROOT = "root"
"""The user and the role that are always there."""


@dataclass(frozen=True)
class Step:
    """A call as root, and what it changes."""

    method: str
    body: Mapping[str, Any]
    change: str
    done_before: type[EtcdError] | None = None
    """What etcd answers when it is done already, by an attempt whose answer was lost."""


def role_steps(
    name: str, wanted: Sequence[Permission], present: Sequence[Permission] | None
) -> list[Step]:
    """How a role gets just the wanted permissions; `present` is None where there is no role.

    What is gained comes first, so that nobody is without in between.
    """
    steps = []
    if present is None:
        steps.append(Step("auth/role/add", {"name": name}, "made", AlreadyExists))
    have = present or ()
    steps += [
        Step("auth/role/grant", {"name": name, "perm": one.as_json()}, f"{one} given")
        for one in wanted
        if one not in have
    ]
    kept = {one.span for one in wanted}
    steps += [
        Step(
            "auth/role/revoke",
            {"role": name, **one.span.as_json()},
            f"{one.span} taken",
            NotGranted,
        )
        for one in have
        if one.span not in kept
    ]
    return steps


def user_steps(name: str, wanted: Sequence[str], present: Sequence[str]) -> list[Step]:
    """How a user gets just the wanted roles; what is gained comes first."""
    return [
        *(
            Step("auth/user/grant", {"user": name, "role": role}, f"role {role} given")
            for role in besides(wanted, present)
        ),
        *(
            Step("auth/user/revoke", {"name": name, "role": role}, f"role {role} taken", NotGranted)
            for role in besides(present, wanted)
        ),
    ]


def drop_user(name: str) -> Step:
    """Remove a user."""
    return Step("auth/user/delete", {"name": name}, "removed", NotFound)


def drop_role(name: str) -> Step:
    """Remove a role, from those that have it too."""
    return Step("auth/role/delete", {"role": name}, "removed", NotFound)


def besides(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Those of the names that are not among the others, each once."""
    left_out = set(others)
    return [name for name in dict.fromkeys(names) if name not in left_out]


@dataclass(frozen=True)
class Names:
    """Users and roles, by name."""

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def besides(self, others: Names) -> Names:
        """Those that are not among the others."""
        return Names(
            tuple(besides(self.users, others.users)), tuple(besides(self.roles, others.roles))
        )

    def __bool__(self) -> bool:
        return bool(self.users or self.roles)

    def __str__(self) -> str:
        kinds = (("user", self.users), ("role", self.roles))
        return " and ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)


def unmanaged(present: Names, wanted: Names, former: Names, *, remove: bool) -> Names:
    """Users and roles that nobody wants.

    What was wanted until now is removed by itself, right after: it is no surprise to report.
    """
    found = present.besides(Names((ROOT,), (ROOT,))).besides(wanted)
    return found if remove else found.besides(former)


def goes_in_this_update(
    members: Iterable[Member], staying: Iterable[str], present: Names, wanted: Names, former: Names
) -> list[str]:
    """What this same update removes last, with root's former password alone."""
    names = [member.name for member in members if member.name]
    gone = former.besides(wanted)
    return [
        *(f"member {name}" for name in besides(names, staying)),
        *(f"user {name}" for name in gone.users if name in present.users),
        *(f"role {name}" for name in gone.roles if name in present.roles),
    ]
