"""`status`: a stack's clusters as they are, and what differs from what the stack says.

Nothing is changed anywhere. The stack's state says what should be; every member is asked over
TLS, and every node over SSH, all at once and with short limits.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from etcd_component.status import asked, declared, machines
from etcd_component.status.asked import Answer, Listing
from etcd_component.status.declared import CannotRead, Cluster, Member
from etcd_component.status.judged import Exit, Report, Seen, judge
from etcd_component.status.machines import Facts, NotLookedAt
from etcd_component.status.told import as_json, as_text

__all__ = ["CannotRead", "Exit", "Report", "as_json", "as_text", "status"]

_AT_ONCE = 16

Key = TypeVar("Key")
Result = TypeVar("Result")


def status(stack: str, *, over_ssh: bool = True) -> list[Report]:
    """Look at all clusters of a stack. Raises CannotRead when the stack does not say what to see.

    `pulumi` must be on PATH, and the current directory the project's.
    """
    clusters = declared.read(declared.export(stack), stack)
    with (
        # Only its owner can look into it; private keys are in it for a moment.
        tempfile.TemporaryDirectory(prefix="etcd-status-") as place,
        ThreadPoolExecutor(max_workers=len(clusters)) as pool,
    ):
        looking = [pool.submit(_look, one, Path(place), over_ssh=over_ssh) for one in clusters]
        return [one.result() for one in looking]


def _look(cluster: Cluster, place: Path, *, over_ssh: bool) -> Report:
    members = cluster.members
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        nodes = [one for one in members if over_ssh and one.files]
        looking = {
            one.name: pool.submit(_look_at_node, cluster, one, place / one.name) for one in nodes
        }
        answers, listing = _ask(cluster, place)
        facts = {name: one.result() for name, one in looking.items()}
    return judge(Seen(cluster, answers, listing, facts, time.time()))


def _look_at_node(cluster: Cluster, member: Member, place: Path) -> Facts | str:
    assert member.files is not None
    try:
        return machines.look(cluster.name, member.files, place)
    except NotLookedAt as reason:
        return str(reason)


def _ask(cluster: Cluster, place: Path) -> tuple[dict[str, Answer], Listing]:
    tls = asked.client_context(cluster, place)
    answers = _at_once(lambda url: asked.ask(url, tls), [one.client_url for one in cluster.members])
    # The leader first: it is where every login goes in the end.
    fit = [url for url, one in answers.items() if one.has_leader and not one.learner]
    fit.sort(key=lambda url: not answers[url].leads)
    listing = asked.ask_cluster(fit, tls, cluster.root_password)
    others = [
        one.client_urls[0]
        for one in listing.members or ()
        if one.client_urls and not answers.keys() & set(one.client_urls)
    ]
    return answers | _at_once(lambda url: asked.ask(url, tls), others), listing


def _at_once(do: Callable[[Key], Result], keys: Iterable[Key]) -> dict[Key, Result]:
    listed = list(keys)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(listed, pool.map(do, listed), strict=True))
