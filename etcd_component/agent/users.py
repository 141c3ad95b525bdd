"""Roles and users become what the stack wants, and what nobody wants is reported or removed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etcd_component.agent.access import names_of_last_update, names_present
from etcd_component.agent.client import Client
from etcd_component.agent.decide import access as decide
from etcd_component.agent.files import atomic_write
from etcd_component.agent.instance import Instance
from etcd_component.agent.options import check_name
from etcd_component.agent.output import Refusal, doing, refuse, say, warn
from etcd_component.agent.paths import Paths
from etcd_component.agent.permissions import parse_permissions, wanted
from etcd_component.agent.session import Credentials, Session
from etcd_component.etcd_api.errors import (
    AlreadyExists,
    ApiError,
    NotFound,
    WrongPassword,
    may_pass,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from etcd_component.agent.decide.access import Names, Step
    from etcd_component.agent.frame import Run
    from etcd_component.agent.options import Grant, Options


def declare(run: Run) -> None:
    """Have just these roles and users, and look for others. Raises Refusal.

    All in one session: one run for each would be a login to this machine for each.
    """
    options, credentials = run.options, Credentials(run.stdin)
    _check_names(options)
    logins = [_login(credentials, name) for name in options.users]
    session = _log_in(run, credentials)
    changed = 0
    for name in options.roles:
        grants = [grant for role, grant in options.role_grants if role == name]
        with _named(f"role {name}", session) as what:
            changed += _say_if_changed(what, _set_role(session, name, grants))
    for login in logins:
        name = login["name"]
        roles = [role for user, role in options.user_roles if user == name]
        with _named(f"user {name}", session) as what:
            changed += _say_if_changed(what, _set_user(session, login, roles))
    if not changed:
        say("roles and users are as declared")
    _find_unmanaged(run, session)


def drop_role(run: Run) -> None:
    """Remove a role. Raises Refusal."""
    name = run.options.name
    session = _log_in(run, Credentials(run.stdin), "role")
    holders = _holders(session, name)
    _take(session, [decide.drop_role(name)])
    say(f"role {name} is removed")
    if holders:
        warn(f"user {', '.join(holders)} had role {name}, and is left without it")


def drop_user(run: Run) -> None:
    """Remove a user. Raises Refusal."""
    name = run.options.name
    session = _log_in(run, Credentials(run.stdin), "user")
    _take(session, [decide.drop_user(name)])
    say(f"user {name} is removed")


def _find_unmanaged(run: Run, session: Session) -> None:
    options, paths = run.options, Paths(run.options.cluster)
    given = decide.Names(options.users, options.roles)
    more = decide.unmanaged(
        names_present(session), given, names_of_last_update(paths), remove=options.remove
    )
    if not more:
        say("all users and roles are declared")
    elif options.remove:
        users = [decide.drop_user(name) for name in more.users]
        _take(session, [*users, *(decide.drop_role(name) for name in more.roles)])
        say(f"removed, since nobody declared {more}")
    else:
        warn(
            f"nobody declared {more}; declare what is wanted, and have the rest removed with"
            " etcd_undeclared_access: remove"
        )
    atomic_write(paths.desired_access, _as_sections(given))


def _log_in(run: Run, credentials: Credentials, kind: str = "") -> Session:
    """`kind` is what the name on the command line is of, if one is needed."""
    name = run.options.name
    if kind:
        check_name(kind, name)
        if name == decide.ROOT:
            refuse(f"{kind} root is always there, and is not declared")
    instance = Instance.load(Paths(run.options.cluster))
    session = Session(Client(instance.paths.pki), credentials, run.waits)
    session.choose_near(instance)
    doing(f"setting up access at {session.endpoint}")
    if not session.token:
        refuse(
            "authentication is off, so nobody's rights mean anything; raise etcd_repair on this"
            " host, and `pulumi up` switches it on"
        )
    return session


@contextmanager
def _named(what: str, session: Session) -> Iterator[str]:
    """Has errors say which one of many they are about."""
    doing(f"setting up {what} at {session.endpoint}")
    try:
        yield what
    except Refusal as refusal:
        raise Refusal(f"{what}: {refusal}") from None


def _login(credentials: Credentials, name: str) -> dict[str, str]:
    login = next((one for one in credentials.others if one["name"] == name), None)
    if login is None:
        refuse(f"the login of user {name} is missing on standard input, after root's")
    return login


def _check_names(options: Options) -> None:
    for kind, names in (("role", options.roles), ("user", options.users)):
        if decide.ROOT in names:
            refuse(f"{kind} root is always there, and is not declared")
    for name, _ in options.role_grants:
        if name not in options.roles:
            refuse(f"--role-grant {name} needs --role {name}")
    for name, _ in options.user_roles:
        if name not in options.users:
            refuse(f"--user-role {name} needs --user {name}")


def _set_role(session: Session, name: str, grants: Iterable[Grant]) -> list[str]:
    """What was changed."""
    answer = session.settle("auth/role/get", {"role": name}, NotFound)
    present = None if answer is None else parse_permissions(answer)
    return _take(session, decide.role_steps(name, wanted(grants), present))


def _set_user(session: Session, login: Mapping[str, str], roles: Sequence[str]) -> list[str]:
    """What was changed."""
    name = login["name"]
    answer = session.settle("auth/user/get", {"name": name}, NotFound)
    present: list[str] = []
    if answer is None:
        changes = _add_user(session, login)
    else:
        changes, is_new = _set_password(session, login)
        present = [] if is_new else list(answer.get("roles") or ())
    return changes + _take(session, decide.user_steps(name, roles, present))


def _take(session: Session, steps: Iterable[Step]) -> list[str]:
    changes = []
    for step in steps:
        session.settle(step.method, step.body, step.done_before)
        changes.append(step.change)
    return changes


def _add_user(session: Session, login: Mapping[str, str]) -> list[str]:
    session.settle("auth/user/add", login, AlreadyExists)
    return ["made"]


def _set_password(session: Session, login: Mapping[str, str]) -> tuple[list[str], bool]:
    """What was changed, and whether the user had to be made anew, and has no role."""
    if _is_let_in(session, login):
        return [], False
    session.settle("auth/user/changepw", login)
    if _is_let_in(session, login):
        return ["its password changed"], False
    # One that was made without a password never gets one.
    session.settle("auth/user/delete", {"name": login["name"]}, NotFound)
    return ["its password changed", *_add_user(session, login)], True


def _is_let_in(session: Session, login: Mapping[str, str]) -> bool:
    """Whether etcd takes the password of a login. Raises Refusal where it does not say."""
    end = time.monotonic() + session.waits.access
    while True:
        try:
            session.client.connection(session.endpoint).call("auth/authenticate", login)
        except WrongPassword:
            return False
        except ApiError as error:
            if not may_pass(error) or time.monotonic() >= end:
                refuse(
                    f"etcd does not say whether the password of user {login['name']} is right:"
                    f" {error}"
                )
        else:
            return True
        time.sleep(0.3)
        session.choose_again()


def _holders(session: Session, name: str) -> list[str]:
    """The users that have a role."""
    holders = []
    for user_name in names_present(session).users:
        answer = session.settle("auth/user/get", {"name": user_name}, NotFound) or {}
        if name in (answer.get("roles") or ()):
            holders.append(user_name)
    return holders


def _say_if_changed(what: str, changes: list[str]) -> bool:
    if changes:
        say(f"{what}: {', '.join(changes)}")
    return bool(changes)


def _as_sections(names: Names) -> str:
    users, roles = ("\n".join(listed) for listed in (names.users, names.roles))
    return f"--- users\n{users}\n--- roles\n{roles}\n"
