"""`access`: root, its role, and authentication on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_component.agent import files
from etcd_component.agent.client import Client
from etcd_component.agent.decide.access import Names, goes_in_this_update
from etcd_component.agent.instance import Instance, parse_peers
from etcd_component.agent.output import doing, refuse, say
from etcd_component.agent.paths import Paths
from etcd_component.agent.session import Credentials, Session
from etcd_component.agent.waits import attempts
from etcd_component.etcd_api.errors import (
    AlreadyExists,
    ApiError,
    EtcdError,
    NoLogin,
    Unreachable,
    may_pass,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from etcd_component.agent.frame import Run


def run(run: Run) -> None:
    """Have root with the wanted password, and have authentication on. Raises Refusal."""
    instance = Instance.load(Paths(run.options.cluster))
    session = Session(Client(instance.paths.pki), Credentials(run.stdin), run.waits)
    doing(f"setting up access at {instance.client_url}")
    _await_login(session, instance)
    if not session.token:
        _make_root(session)
        _await_login(session, instance)
        if not session.token:
            refuse(
                "authentication is still off after it was switched on; look at the journal of"
                f" {instance.paths.unit}"
            )
        say("root made, authentication on")
    elif session.login != session.credentials.wanted:
        _change_password(run, instance, session)
    else:
        say("authentication is on, and root's password is the configured one")
    _prove(session)


def names_present(session: Session) -> Names:
    """All users and roles that etcd has. Raises Refusal."""
    users = session.settle("auth/user/list", {}) or {}
    roles = session.settle("auth/role/list", {}) or {}
    return Names(tuple(users.get("users") or ()), tuple(roles.get("roles") or ()))


def names_of_last_update(paths: Paths) -> Names:
    """The users and roles that the last update wanted."""
    found = files.sections(files.read_text(paths.desired_access))
    users, roles = (tuple(found.get(kind, "").split("\n")) for kind in ("users", "roles"))
    return Names(tuple(filter(None, users)), tuple(filter(None, roles)))


def _await_login(session: Session, instance: Instance) -> None:
    failure = ""
    for _ in attempts(session.waits.access):
        failure = _login_failure(session, instance.client_url)
        if not failure:
            return
    refuse(
        f"the cluster does not answer a login at {instance.client_url}: {failure}. Is there a"
        " quorum? `etcd-node status` on the nodes shows it"
    )


def _login_failure(session: Session, url: str) -> str:
    try:
        session.keep_to(url)
    except ApiError as error:
        return str(error)
    return ""


def _make_root(session: Session) -> None:
    root = session.credentials.wanted
    steps: list[tuple[str, Mapping[str, Any], type[EtcdError] | None]] = [
        ("auth/user/add", root, AlreadyExists),
        # It may be there from an interrupted run with an older password: set it again.
        ("auth/user/changepw", root, None),
        ("auth/role/add", {"name": "root"}, AlreadyExists),
        ("auth/user/grant", {"user": "root", "role": "root"}, None),
        ("auth/enable", {}, None),
    ]
    for method, body, done_before in steps:
        session.settle(method, body, done_before)


# Everything that comes before this in an update logged in with the former password, and whatever is
# cut off here is finished by the next update, which tries both.
def _change_password(run: Run, instance: Instance, session: Session) -> None:
    _refuse_before_removals(run, instance, session)
    session.settle("auth/user/changepw", session.credentials.wanted)
    _await_login(session, instance)
    if session.login != session.credentials.wanted:
        refuse("etcd took root's new password, but lets the former one in; run `pulumi up` again")
    say("root's password is the new one; the former is refused")


def _refuse_before_removals(run: Run, instance: Instance, session: Session) -> None:
    options = run.options
    going = goes_in_this_update(
        session.members(),
        [instance.name, *(peer.name for peer in parse_peers(options.peers))],
        names_present(session),
        Names(options.users, options.roles),
        names_of_last_update(instance.paths),
    )
    if going:
        refuse(
            f"root's password stays as it is: {', '.join(going)} would be removed with the former"
            " password in this same update. Put the line back or etcd_root_password_generation, and"
            " make the two changes one after the other"
        )


def _prove(session: Session) -> None:
    """Believe it only when a request without a login is refused."""
    error: ApiError | None = None
    for _ in attempts(session.waits.access):
        error = _refusal_without_login(session)
        if isinstance(error, NoLogin):
            return
        if error is None or not may_pass(error):
            break
    if isinstance(error, Unreachable):
        refuse(f"etcd does not answer: {error}")
    refuse(
        "etcd answers a request without a login, so authentication is not on:"
        f" {error or 'it gives its keys'}"
    )


def _refusal_without_login(session: Session) -> ApiError | None:
    try:
        session.client.connection(session.endpoint).call("kv/range", {"key": "AA=="})
    except ApiError as error:
        return error
    return None
