"""What an update has done, told when all members of a cluster are rolled out."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_command import remote

from etcd_component import previous
from etcd_component.changes.done import Run, done
from etcd_component.model import Cluster


def tell(
    cluster: Cluster,
    members: Mapping[str, remote.Command],
    rollouts: Mapping[str, remote.Command],
) -> None:
    """Say it at the end of an update that did something, and who is not finished.

    An update ends with its first error unless it goes on with other clusters
    (`--continue-on-error`). Then it tells which of them are done.
    """
    if pulumi.runtime.is_dry_run():
        return
    names = [one.name for one in cluster.instances if not one.lost]
    runs = [
        pulumi.Output.all(one.create, one.stdout)
        for commands in (members, rollouts)
        for one in (commands[name] for name in names)
    ]
    # Who waits for a URN knows that the Command has run, see `Machine.run`.
    finished = [one.urn for one in rollouts.values()]
    pulumi.Output.all(pulumi.Output.all(*runs), *finished).apply(
        functools.partial(_say, cluster, names)
    )
    of_names = {name: (members[name], rollouts[name]) for name in names}
    pulumi.Output.all(*finished).apply(
        functools.partial(_say_who_is_not_finished, cluster, of_names)
    )


def _say(
    cluster: Cluster, names: Sequence[str], known: Sequence[Sequence[Sequence[str | None]]]
) -> None:
    runs = [Run(create or "", stdout or "") for create, stdout in known[0]]
    members = dict(zip(names, runs[: len(names)], strict=True))
    rollouts = dict(zip(names, runs[len(names) :], strict=True))
    if text := done(previous.found(), cluster, members, rollouts):
        pulumi.info(text)


async def _say_who_is_not_finished(
    cluster: Cluster, commands: Mapping[str, Sequence[remote.Command]], _: object
) -> Any:
    left = [
        name
        for name, those in commands.items()
        if not all([await one.stdout.is_known() for one in those])
    ]
    if left:
        pulumi.warn(
            f"Not finished in cluster {cluster.name}: {', '.join(left)}. The errors say why:"
            " correct that and run `pulumi up` again"
        )
