"""`relogin`: today's login into the state, without a machine being touched.

Pulumi removes things with the login that the state has, and `status` and `destroy` look with it. An
update gives today's only to what it changes anyway, see `logins`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etcd_component import backend
from etcd_component.contact import with_sudo
from etcd_component.inventory import Plan
from etcd_component.preflight import configured
from etcd_component.recorded import COMMAND, is_revealed, login_of, revealed, sealed
from etcd_component.ssh import Login
from etcd_component.status import CannotRead

_TEXTS = ("create", "update", "delete")
_LIMITS = ("dialErrorLimit", "perDialTimeout")

Logins = Mapping[tuple[str, int], Login]
"""Today's, by address and port."""


@dataclass(frozen=True, slots=True)
class Relogin:
    """What `relogin` did."""

    commands: int
    """How many Commands got another login."""
    unknown: tuple[str, ...]
    """Machines of the state that the inventory does not name: their logins stay."""


def relogin(stack: str, environ: Mapping[str, str]) -> Relogin:
    """Put today's logins into a stack's state. Raises CannotRead, InvalidInventory.

    `pulumi` must be on PATH, and the current directory the project's.
    """
    logins = _logins(configured(stack, environ))
    try:
        exported = json.loads(backend.ask(stack, "state", "export"))
        deployment = exported["deployment"] or {}
        if deployment.get("pending_operations"):
            raise CannotRead("the last update was cut off; run `pulumi up` first")
        done = rewrite(deployment, logins)
        if done.commands:
            backend.put(stack, json.dumps(exported))
    except backend.NoAnswer as reason:
        raise CannotRead(str(reason)) from None
    except (ValueError, KeyError):
        raise CannotRead(f"what Pulumi gives is no state of the stack {stack}") from None
    return done


def _logins(plan: Plan) -> Logins:
    nodes = [one.node for cluster in plan.clusters for one in cluster.instances if not one.lost]
    if plan.monitor and not plan.monitor.lost:
        nodes.append(plan.monitor.node)
    return {(one.login.host, one.login.port): one.login for one in nodes}


def rewrite(deployment: Mapping[str, Any], logins: Logins) -> Relogin:
    """Do that in a deployment, whose secrets are in the clear."""
    commands, unknown = 0, set()
    for one in deployment.get("resources") or []:
        inputs = one.get("inputs") or {}
        # What brings the agent is of the directory of its login; nothing is removed with it.
        passed = one["urn"].endswith("-login") or not any(inputs.get(name) for name in _TEXTS)
        if one["type"] != COMMAND or passed:
            continue
        before = login_of(inputs)
        login = logins.get((before.host, before.port))
        if login is None:
            unknown.add(before.host)
        elif login != before:
            commands += 1
            for part in (inputs, one.get("outputs") or {}):
                _log_in(part, login)
    return Relogin(commands, tuple(sorted(unknown)))


def _log_in(part: dict[str, Any], login: Login) -> None:
    part["connection"] = sealed(_connection(revealed(part["connection"]), login))
    for name in _TEXTS:
        text = part.get(name)
        if isinstance(text, str):
            part[name] = with_sudo(text, sudo=login.sudo)
        elif is_revealed(text):
            part[name] = sealed(with_sudo(revealed(text), sudo=login.sudo))


def _connection(before: Mapping[str, Any], login: Login) -> dict[str, Any]:
    """A connection as the provider keeps it."""
    found = {
        "host": login.host,
        "port": login.port,
        "user": login.user,
        "hostKey": login.host_key,
        "privateKey": login.private_key and sealed(login.private_key),
        "privateKeyPassword": login.private_key_passphrase and sealed(login.private_key_passphrase),
        "proxy": _connection(before, login.bastion) if login.bastion else None,
        **{name: before.get(name) for name in _LIMITS},
    }
    return {name: value for name, value in found.items() if value is not None}
