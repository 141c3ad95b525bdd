"""Root's session with a cluster: a login, a member to talk to, and what may pass."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from etcd_component.agent.output import Refusal, doing, refuse
from etcd_component.agent.waits import Waits, attempts
from etcd_component.etcd_api.errors import (
    ApiError,
    AuthNotEnabled,
    EtcdError,
    NoLogin,
    TokenInvalid,
    UnexpectedAnswer,
    WrongPassword,
    may_pass,
)
from etcd_component.etcd_api.members import (
    Alarm,
    Member,
    MemberStatus,
    parse_alarms,
    parse_members,
    parse_status,
    started_voters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etcd_component.agent.client import Client
    from etcd_component.agent.instance import Instance

_WRONG = (
    "etcd refuses root's password: it is neither the one in the stack's configuration nor the one"
    " before. If etcd_root_password_generation was lowered, put it back. If somebody changed the"
    " password in etcd, set etcd_root_password to the one in use and raise"
    " etcd_root_password_generation by one"
)


class Credentials:
    """Root's passwords, the wanted one and the one before, and perhaps other users' logins."""

    def __init__(self, text: str) -> None:
        """`text` is standard input: lines of JSON. Raises Refusal without root's."""
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            logins = [json.loads(line) for line in lines]
            names = [login["name"] for login in logins]
        except (ValueError, TypeError, KeyError):
            raise Refusal("the credentials on standard input are not lines of JSON") from None
        self.root: list[dict[str, str]] = [
            login for login, name in zip(logins, names) if name == "root"
        ]
        self.others: list[dict[str, str]] = [
            login for login, name in zip(logins, names) if name != "root"
        ]
        if not self.root:
            refuse("root's credentials are missing on standard input")

    @property
    def wanted(self) -> dict[str, str]:
        """Root's login as the stack wants it."""
        return self.root[0]

    def __repr__(self) -> str:
        return "Credentials(...)"


class Session:
    """Calls as root. While kind or keys of tokens are rolled out, each member has its own."""

    def __init__(self, client: Client, credentials: Credentials, waits: Waits) -> None:
        """Nothing is asked yet; `choose` comes first."""
        self.client = client
        self.credentials = credentials
        self.waits = waits
        self.endpoint = ""
        """The client URL of the member that is asked."""
        self.token = ""
        """Empty where authentication is off."""
        self.login: dict[str, str] = credentials.wanted
        """The one that was taken."""
        self._choice: list[str] = []
        self._tokens: dict[str, str] = {}
        """Of members that did not take the endpoint's."""

    def log_in(self, url: str) -> None:
        """At one member. Raises ApiError; Refusal where no password is right."""
        self.token, self._tokens = "", {}
        self.token = self._token_of(url)

    def _token_of(self, url: str) -> str:
        for login in self.credentials.root:
            try:
                answer = self.client.connection(url).call("auth/authenticate", login)
            except AuthNotEnabled:
                self.login = login
                return ""
            except WrongPassword:
                continue
            if not answer.get("token"):
                raise UnexpectedAnswer("a login without a token")
            self.login = login
            return str(answer["token"])
        raise Refusal(_WRONG)

    def choose(self, urls: Sequence[str]) -> None:
        """Talk to the first of these client URLs that lets root in. Raises Refusal.

        Learners do not serve logins, and for a moment after an election nobody does.
        """
        self._choice = list(urls)
        last = "nothing"
        for more in attempts(self.waits.login if urls else 0):
            for url in urls:
                doing(f"logging in at {url}")
                try:
                    self.log_in(url)
                except ApiError as error:
                    last = str(error)
                else:
                    self.endpoint = url
                    return
            if not more:
                break
        refuse(
            f"no member lets root in (asked: {' '.join(urls) or 'nobody'}; the last answer:"
            f" {last}). Is there a quorum? `etcd-node status` on the nodes shows it"
        )

    def choose_again(self) -> None:
        """The one that was chosen may be leaving too, and be gone by now."""
        self.choose(self._choice)

    def keep_to(self, url: str) -> None:
        """Talk to this member, where there is no choice. Raises ApiError, Refusal."""
        self._choice = [url]
        self.log_in(url)
        self.endpoint = url

    def choose_near(self, instance: Instance) -> None:
        """Where a login is served: at this member, else by way of another voter."""
        members = self.client.members_or_none(instance.peer_url, 10) or ()
        own = instance.own_among(members)
        near = [member.client_url for member in started_voters(members, instance.peer_urls)]
        if own is None or own.is_voter:
            # The running process may still serve the port that it was started with.
            near.insert(0, own.client_url if own and own.started else instance.client_url)
        self.choose(near)

    def call(
        self, method: str, body: Mapping[str, Any], url: str = "", seconds: float = 10
    ) -> dict[str, Any]:
        """One call, at the endpoint or at another member, which is logged in at where it must be.

        Threads may call at different members. Raises ApiError; Refusal where no password is right.
        """
        url = url or self.endpoint
        connection = self.client.connection(url)
        try:
            return connection.call(method, body, self.token_at(url), seconds)
        except (TokenInvalid, NoLogin) as error:
            # Without a login: authentication was switched on since.
            try:
                token = self._token_of(url)
            except ApiError:
                raise error from None
            self._tokens[url] = token
            if url == self.endpoint:
                self.token = token
            return connection.call(method, body, token, seconds)

    def token_at(self, url: str) -> str:
        """The token that this member takes, as far as is known."""
        return self._tokens.get(url, self.token)

    def settle(
        self, method: str, body: Mapping[str, Any], done_before: type[EtcdError] | None = None
    ) -> dict[str, Any] | None:
        """One call, made again while what stops it may pass: an election, a restart, a new login.

        None where etcd answers `done_before`. Raises Refusal.
        """
        end = time.monotonic() + self.waits.access
        while True:
            try:
                return self.call(method, body)
            except ApiError as error:
                if done_before is not None and isinstance(error, done_before):
                    return None
                if not may_pass(error) or time.monotonic() >= end:
                    refuse(f"etcd refuses {method}: {error}. It is safe to run this again")
                # A token that is out of date needs a new login, and no waiting.
                if not isinstance(error, TokenInvalid):
                    time.sleep(0.3)
            self.choose_again()

    def status(self, url: str = "") -> MemberStatus:
        """Of the endpoint, or of another member. Raises ApiError."""
        return parse_status(self.call("maintenance/status", {}, url))

    def alarms(self) -> tuple[Alarm, ...]:
        """All that are raised. Raises ApiError."""
        return parse_alarms(self.call("maintenance/alarm", {"action": "GET"}))

    def list_members(self) -> tuple[Member, ...]:
        """As voters agree on them. Raises ApiError."""
        return parse_members(self.call("cluster/member/list", {}))

    def members(self) -> tuple[Member, ...]:
        """The same, with patience. Raises Refusal."""
        end = time.monotonic() + self.waits.members
        while True:
            try:
                return self.list_members()
            except ApiError as error:
                if time.monotonic() >= end:
                    refuse(f"{self.endpoint} does not give the member list: {error}")
            time.sleep(0.3)
            self.choose_again()

    def go_to_leader(self, members: Sequence[Member]) -> None:
        """Talk to the leader from now on. Raises Refusal where there is none."""
        try:
            leader = self.status().leader
        except ApiError as error:
            refuse(f"{self.endpoint} does not give its status: {error}")
        url = next((one.client_url for one in members if one.id == leader), "")
        if not url:
            refuse(
                "the cluster has no leader now; look at `etcd-node status` on its nodes and run"
                " `pulumi up` again"
            )
        self.endpoint = url
