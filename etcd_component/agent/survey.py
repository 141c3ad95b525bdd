"""Asking all members for their versions and their health, on ports that want no login."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from etcd_component.agent.client import SHORT
from etcd_component.agent.decide.version import Survey, Surveyed, VoterVersion, survey_fault
from etcd_component.agent.parallel import for_each
from etcd_component.agent.waits import attempts
from etcd_component.etcd_api.errors import ApiError, UnexpectedAnswer, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_component.agent.client import Client
    from etcd_component.agent.instance import Instance
    from etcd_component.etcd_api.members import Member

_HEALTH = 5.0
_PAUSE = 0.1


def survey_members(instance: Instance, client: Client, peers: str = "") -> Survey:
    """Ask each member of the list of whoever answers first. `peers` are named on a command line."""
    urls = [instance.peer_url, *(peer.url for peer in instance.known_peers(peers))]
    for url in urls:
        try:
            members = client.members(url, SHORT)
        except Unreachable:
            continue
        except UnexpectedAnswer as error:
            return Survey(error=str(error))
        return Survey(tuple(for_each(lambda member: _surveyed(client, member), members)))
    return Survey(error="no member answers")


def await_survey(
    instance: Instance, client: Client, seconds: float, peers: str = ""
) -> tuple[Survey, str]:
    """The same, with some patience; and what is wrong, empty where all are healthy."""
    survey, fault = Survey(), "nobody was asked"
    for _ in attempts(seconds, _PAUSE):
        survey = survey_members(instance, client, peers)
        fault = survey_fault(survey)
        if not fault:
            break
    return survey, fault


def ask_voters(
    client: Client, members: Sequence[Member], besides: Sequence[str]
) -> list[VoterVersion]:
    """What the voters run, without those that have one of these peer URLs."""
    voters = [one for one in members if one.is_voter and not set(one.peer_urls) & set(besides)]

    def ask(voter: Member) -> VoterVersion:
        versions = client.versions_or_none(voter.peer_url)
        return VoterVersion(voter.label, voter.peer_url, versions.server if versions else "")

    return for_each(ask, voters)


def _surveyed(client: Client, member: Member) -> Surveyed:
    versions = client.versions_or_none(member.peer_url)
    healthy, reason = (False, "") if versions is None else _health(client, member.client_url)
    return Surveyed(member.label, member.peer_url, member.is_voter, versions, healthy, reason)


def _health(client: Client, client_url: str) -> tuple[bool, str]:
    if not client_url:
        return False, "it has not announced where it serves clients"
    try:
        answer = json.loads(client.text(client_url, "/health", _HEALTH))
        return answer["health"] == "true", str(answer.get("reason") or "")
    except ApiError as error:
        return False, str(error)
    except (ValueError, TypeError, KeyError):
        return False, "its answer cannot be read"
