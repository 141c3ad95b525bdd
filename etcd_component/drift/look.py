"""Looking at nodes over SSH and at members by etcd's API, all at once and within a time."""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from etcd_component.model import Cluster, Instance
from etcd_component.ssh.client import NotLookedAt
from etcd_component.status import CannotRead, ask_members, asked, declared, machines
from etcd_component.status.declared import Cluster as Declared
from etcd_component.status.facts import Facts
from etcd_component.status.judged import judge
from etcd_component.status.report import Report, Seen

SECONDS: Final = 4.0
"""From the beginning. Only a machine that hangs takes so long, or a preview that is slow itself."""
GRACE: Final = 0.3
"""Beyond the rest of a preview, where that has taken longer."""
_NODE_SECONDS: Final = 9
"""For a node, after which its `ssh` is ended."""
_DIAL_SECONDS: Final = 2
"""For a machine that is away. A preview takes as long anyway."""
_ASKED_SECONDS: Final = 1.5
"""For a request to a member."""
_LATE: Final = "it gave no answer in the time of a preview"


class Look:
    """Begins when it is made. Nodes are dialled with the logins that the inventory has."""

    def __init__(self, clusters: Iterable[Cluster], exported: Callable[[], str]) -> None:
        """`exported` waits for the export of the state, with secrets in the clear."""
        self._end = time.monotonic() + SECONDS
        """Of the waiting."""
        # Only its owner can look into it; private keys are in it for a moment.
        self._place = tempfile.TemporaryDirectory(prefix="etcd-drift-")
        self._facts: dict[str, Facts | str] = {}
        self._answers: dict[str, Seen] = {}
        self.problem = ""
        """Why nobody was looked at."""
        self._nodes = {
            one.name: _started(self._look_at, one)
            for each in clusters
            for one in each.instances
            if not one.lost
        }
        self._members = _started(self._ask, exported)

    def reports(self) -> list[Report]:
        """What was seen of each cluster of the state, when all have answered or the time is up.

        To be called when the rest of the preview is done: it ends soon after that. Of machines that
        are new there is nothing to compare, and nobody waits for them.
        """
        self._end = max(self._end, time.monotonic() + GRACE)
        self._wait_for(self._members)
        seen = [*self._answers.values()]
        for one in seen:
            for member in one.cluster.members:
                if member.name in self._nodes:
                    self._wait_for(self._nodes[member.name])
        self.clean_up()
        if self._members.is_alive() and not self.problem:
            self.problem = "the state or a member took too long"
        return [judge(self._with_facts(one)) for one in seen]

    def _wait_for(self, thread: threading.Thread) -> None:
        thread.join(max(0.0, self._end - time.monotonic()))

    def clean_up(self) -> None:
        """Remove the files with keys."""
        self._place.cleanup()

    def _with_facts(self, seen: Seen) -> Seen:
        # Who leaves is in the inventory no more, and was not looked at.
        facts = {
            one.name: self._facts.get(one.name, _LATE)
            for one in seen.cluster.members
            if one.name in self._nodes
        }
        return Seen(seen.cluster, seen.answers, seen.listing, facts, time.time())

    def _look_at(self, instance: Instance) -> None:
        login = instance.node.login
        try:
            place = Path(self._place.name) / instance.name
            way = machines.prepare(login, place, dial_seconds=_DIAL_SECONDS)
            self._facts[instance.name] = machines.look_at(
                instance.cluster,
                instance.data_dir,
                way,
                sudo=login.sudo,
                seconds=_NODE_SECONDS,
            )
        except NotLookedAt as reason:
            self._facts[instance.name] = str(reason)
        except OSError as error:
            # The directory is gone when the time is up.
            self._facts[instance.name] = error.strerror or str(error)

    def _ask(self, exported: Callable[[], str]) -> None:
        try:
            clusters = _declared(exported())
        except CannotRead as reason:
            self.problem = str(reason)
            return
        threads = [_started(self._ask_members, one) for one in clusters]
        for thread in threads:
            thread.join()

    def _ask_members(self, cluster: Declared) -> None:
        try:
            tls = asked.client_context(cluster, Path(self._place.name))
            answers, listing = ask_members(cluster, tls, {}, _ASKED_SECONDS)
        except CannotRead as reason:
            self.problem = str(reason)
        except OSError as error:
            self.problem = error.strerror or str(error)
        else:
            self._answers[cluster.name] = Seen(cluster, answers, listing, {}, 0)


def _started(target: Callable[..., None], *arguments: Any) -> threading.Thread:
    # Daemons: a run that ends for another reason does not wait for them.
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def _declared(exported: str) -> tuple[Declared, ...]:
    """The clusters of an export; none in that of a new stack. Raises CannotRead."""
    if '"ciphertext"' in exported:
        raise CannotRead(
            "Pulumi shows the secrets of the state to the person at its prompt alone; have"
            " PULUMI_CONFIG_PASSPHRASE_FILE name a file with the passphrase"
        )
    try:
        state: Mapping[str, Any] = json.loads(exported)["deployment"] or {}
    except (ValueError, KeyError):
        raise CannotRead("the state cannot be read") from None
    return declared.clusters(state)
