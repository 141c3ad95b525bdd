"""`status`: a stack's clusters as they are, and what differs from what the stack says.

Nothing is changed anywhere. The stack's state says what should be; every member is asked over
TLS, and every node over SSH, all at once and with short limits.
"""

import ssl
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from etcd_component.etcd_api import connection
from etcd_component.status import asked, declared, machines
from etcd_component.status.asked import Answer, Listing
from etcd_component.status.declared import CannotRead, Cluster, Files, Member
from etcd_component.status.facts import Facts, NotLookedAt
from etcd_component.status.judged import judge
from etcd_component.status.machines import Way
from etcd_component.status.report import Exit, Report, Seen
from etcd_component.status.told import as_json, as_text

__all__ = ["CannotRead", "Exit", "Report", "as_json", "as_text", "status"]

_AT_ONCE = 16


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
    ways = {
        one.name: _way(one.files, place / one.name)
        for one in cluster.members
        if over_ssh and one.files
    }
    tls = asked.client_context(cluster, place)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        looking = {
            one.name: pool.submit(_look_at_node, cluster, one, ways[one.name])
            for one in cluster.members
            if one.name in ways
        }
        answers, listing = ask_members(cluster, tls, ways)
        facts = {name: one.result() for name, one in looking.items()}
    return judge(Seen(cluster, answers, listing, facts, time.time()))


def _way(files: Files, place: Path) -> Way | str:
    """How a node is reached; a text is why it is not."""
    try:
        return machines.prepare(files.login, place)
    except NotLookedAt as reason:
        return str(reason)


def _look_at_node(cluster: Cluster, member: Member, way: Way | str) -> Facts | str:
    if isinstance(way, str):
        return way
    assert member.files is not None
    try:
        return machines.look(cluster.name, member.files, way)
    except NotLookedAt as reason:
        return str(reason)


def ask_members(
    cluster: Cluster,
    tls: ssl.SSLContext,
    ways: Mapping[str, Way | str],
    seconds: float = asked.SECONDS,
) -> tuple[dict[str, Answer], Listing]:
    """What members say, by client URL, and the cluster as a whole.

    One that does not answer is asked again by way of its node, if `ways` has one.
    """
    detours = {one.client_url: ways.get(one.name) for one in cluster.members}

    def ask(url: str) -> Answer:
        answer = asked.ask(url, tls, seconds=seconds)
        way = detours.get(url)
        if answer.reached or not isinstance(way, Way):
            return answer
        # A firewall may be between here and the client port, and none between the node and it.
        again = asked.ask(url, tls, way.dial, seconds)
        return replace(again, detour=True) if again.reached else answer

    def dial(url: str) -> asked.Dial:
        way = detours.get(url)
        return way.dial if answers[url].detour and isinstance(way, Way) else connection.dial

    answers = _at_once(ask, [one.client_url for one in cluster.members])
    # The leader first: it is where every login goes in the end.
    fit = [url for url, one in answers.items() if one.has_leader and not one.learner]
    fit.sort(key=lambda url: not answers[url].leads)
    listing = asked.ask_cluster([(url, dial(url)) for url in fit], tls, cluster.root_passwords)
    others = [
        one.client_url
        for one in listing.members or ()
        if one.client_urls and not answers.keys() & set(one.client_urls)
    ]
    return answers | _at_once(ask, others), listing


def _at_once(do: Callable[[str], Answer], urls: Iterable[str]) -> dict[str, Answer]:
    listed = list(urls)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(listed, pool.map(do, listed), strict=True))
