"""The agent on a machine: how it comes there, and its first run, which claims the machine."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
from pulumi_command import remote

from etcd_component import packing
from etcd_component.contact import DIRECTORY, log_in, start
from etcd_component.logins import Texts
from etcd_component.remote import Machine

_Options = Callable[[Sequence[pulumi.Resource]], pulumi.ResourceOptions]
_HIDDEN = pulumi.ResourceOptions(hide_diffs=["stdin"])


def claim(
    machine: Machine,
    program: str,
    name: str,
    *,
    texts: Callable[[pulumi.Output[str]], Texts],
    ready: pulumi.Output[Any],
    options: _Options,
    more: pulumi.ResourceOptions | None = None,
    raised: str = "",
) -> remote.Command:
    """Bring the agent to a machine, as `program`, and have it claim that for `name`.

    `texts` are made of the agent's path, in the directory where the login begins. Nothing is done
    before `ready` is known, and all again where `raised` is another; at another address
    the former machine is uninstalled first. `options` are of what waits for these resources, `more`
    those of the claim alone. Raises RunError if the agent cannot be packed.
    """
    # Another login has another directory, and another address is another machine.
    user = re.sub(r"[^A-Za-z0-9_.-]", "_", machine.login.user)
    begin, end = f"{DIRECTORY}/{program}-{name}-", f"-{machine.address}{raised}"
    own, there = f"{begin}{user}{end}", machine.copied_to(f"{name}-agent")
    more = pulumi.ResourceOptions.merge(_HIDDEN, more)
    keeps: pulumi.Input[bool] = there == own
    if not keeps and there.startswith(begin) and there.endswith(end):
        # Today's login does not reach what was brought to another's: all is brought again, or
        # nothing.
        known = texts(pulumi.Output.from_input(there))
        keeps = machine.recorded_login(f"{name}-node") is not None and machine.keeps_login(
            f"{name}-node", known, start(program), more.ignore_changes or []
        )
    path = pulumi.Output.from_input(keeps).apply(lambda kept: there if kept else own)
    login = machine.run(
        f"{name}-login",
        create=ready.apply(lambda _: machine.first_contact()),
        # A machine where a number was raised may lack the directory.
        stdin=log_in(program) + (f"# {raised[1:]}\n" if raised else ""),
        keep_login=keeps,
        opts=pulumi.ResourceOptions.merge(options([]), _HIDDEN),
    )
    brought: pulumi.Resource = login
    if not machine.away:
        brought = machine.upload(f"{name}-agent", _packed(), path, options([login]))
    lines = texts(path)
    return machine.run(
        f"{name}-node",
        create=lines.create,
        update=lines.update,
        delete=lines.delete,
        stdin=start(program),
        machine=machine.address,
        opts=pulumi.ResourceOptions.merge(options([brought]), more),
    )


def _packed() -> str:
    """The agent's file here. Raises RunError."""
    try:
        return packing.put()
    except OSError as error:
        raise pulumi.RunError(
            f"{error.filename or 'the agent'} cannot be written here: {error.strerror}"
        ) from error
