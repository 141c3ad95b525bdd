"""Members that do not answer, told in a preview and after an update.

Both compare the inventory with the state and look at nothing else, so a machine that is off, or has
lost its disk, would go unnoticed.
"""

import functools
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pulumi
from pulumi_command import remote

from etcd_component.model import Cluster, Instance

_SECONDS = 1.0
"""For a connection: this is no reason to keep anybody waiting."""


def tell(
    cluster: Cluster, members: Mapping[str, remote.Command], finished: Sequence[pulumi.Resource]
) -> None:
    """Warn of each instance whose client port does not answer, by the name of its member's Command.

    A preview leaves out those that are yet to join or to be changed; an update asks when all of
    `finished` are done.
    """
    absent = functools.cache(lambda: silent(cluster))

    def look(name: str, found: Sequence[str | None]) -> None:
        # What a member says is known once it has joined.
        if found[0] and (why := absent().get(name)):
            pulumi.warn(why)

    done = [] if pulumi.runtime.is_dry_run() else [one.urn for one in finished]
    for name, member in members.items():
        pulumi.Output.all(member.stdout, *done).apply(functools.partial(look, name))


def silent(cluster: Cluster) -> dict[str, str]:
    """A sentence for each instance that does not answer, by name.

    From where no client port can be reached at all, only a machine that itself refuses counts.
    """
    asked = [one for one in cluster.instances if not one.lost]
    with ThreadPoolExecutor(len(asked)) as pool:
        found = dict(zip([one.name for one in asked], pool.map(_complaint, asked), strict=True))
    reached = any(complaint is None for complaint in found.values())
    return {
        one.name: f"{one.name} does not answer at {one.endpoint} ({said}): its machine is off,"
        " etcd does not run there, or its data are lost. `make status` says which, and what to do"
        for one in asked
        if (said := found[one.name]) and (reached or said == _REFUSED)
    }


_REFUSED = "nothing listens there"


def _complaint(instance: Instance) -> str | None:
    try:
        socket.create_connection((instance.node.address, instance.client_port), _SECONDS).close()
    except ConnectionRefusedError:
        return _REFUSED
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)
    return None
