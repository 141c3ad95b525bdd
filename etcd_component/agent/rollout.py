"""Restarting a member safely, if it runs something else than its files say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etcd_component.agent import (
    downgrade,
    drift,
    files,
    membership,
    old_entries,
    readiness,
    snapshot,
    software,
    start,
    systemd,
    version_change,
    version_switch,
)
from etcd_component.agent.client import Client
from etcd_component.agent.composition import compose, is_composed
from etcd_component.agent.decide.version import Change, is_change
from etcd_component.agent.gate import pass_gate, settle
from etcd_component.agent.instance import Instance
from etcd_component.agent.leadership import hand_over
from etcd_component.agent.output import doing, refuse, say, warn
from etcd_component.agent.paths import RUN, VERSIONS, Paths
from etcd_component.agent.session import Credentials, Session
from etcd_component.agent.survey import await_survey
from etcd_component.etcd_api.errors import ApiError

if TYPE_CHECKING:
    from etcd_component.agent.decide.gate import Pass
    from etcd_component.agent.frame import Run


def run(run: Run) -> None:
    """Restart it behind the gate, or say that no restart is needed."""
    instance = Instance.load(Paths(run.options.cluster))
    credentials = Credentials(run.stdin)
    client = Client(instance.paths.pki)
    _take_part(run, instance, client)
    start.require_joined(instance)
    Rollout(run, instance, client, credentials).do()


def _take_part(run: Run, instance: Instance, client: Client) -> None:
    """A founder is left to the others as soon as it runs, and has joined when they are there."""
    paths = instance.paths
    if (
        not instance.has_joined
        and files.has_content(paths.membership)
        and instance.holds_member
        and not paths.left.exists()
    ):
        readiness.start_member(run, instance, client, run.waits.start)


class Rollout:
    """One member's."""

    def __init__(
        self, run: Run, instance: Instance, client: Client, credentials: Credentials
    ) -> None:
        """Nothing is asked yet."""
        self.run = run
        self.instance = instance
        self.client = client
        self.paths = instance.paths
        self.version = run.options.version or software.linked_version(self.paths) or "none"
        self._credentials = credentials
        self._session: Session | None = None
        self._wanted_peer_url = instance.new_peer_url
        self._handed_to = ""

    def session(self) -> Session:
        """Root's, at this member or near it. One login serves all; etcd takes 0.1 s for each."""
        if self._session is None:
            self._session = Session(self.client, self._credentials, self.run.waits)
            self._session.choose_near(self.instance)
        return self._session

    def do(self) -> None:
        """Raises Refusal."""
        name, paths = self.instance.name, self.paths
        self._compare_files()
        if self.run.options.repair:
            # Now all files are as the stack says.
            files.atomic_write(paths.repaired, f"{self.run.options.repair}\n")
        if software.is_linked(paths, self.version) and start.runs_what_the_files_say(paths):
            readiness.await_member(self.run, self.instance, self.client, self.run.waits.start)
            self._use_new_peer_url()
            readiness.remember_peers(self.instance, self.client)
            say(f"{name}: runs what the files say; no restart")
            if version_change.kept_version(paths):
                self._confirm_version()
        else:
            if not software.is_program(VERSIONS / self.version / "bin" / "etcd"):
                refuse(f"etcd {self.version} is not on this machine; `pulumi up` puts it there")
            self._restart_safely()
        files.remove(paths.former_configuration)

    def _compare_files(self) -> None:
        """Warn of changes by hand. Raises Refusal where the files are not this update's."""
        name, paths, declared = self.instance.name, self.paths, self.run.options.to
        if not declared:
            return
        differs = declared != start.fingerprint(paths)
        if differs and (
            drift.is_as_put(paths, "config", "tls")
            or start.repair_is_asked(paths, self.run.options)
        ):
            # Once this update had passed, no later one would restart it.
            refuse(
                f"{name} is not restarted: the files on this machine are those of an earlier"
                f" update, because {name}-config or {name}-tls was left out of this one (--target,"
                " --exclude). Run `pulumi up` without these options; if it says this again, as"
                " after an earlier state was restored, raise etcd_repair on its host"
            )
        if differs or (software.is_linked(paths, self.version) and not is_composed(paths)):
            warn(
                f"{name}: {paths.configuration}, {paths.unit_file} or"
                f" {paths.pki}/ca.crt was changed by hand; `make status` says what, and a raised"
                " etcd_repair puts it back"
            )

    # ---- the restart

    def _restart_safely(self) -> None:
        name, paths = self.instance.name, self.paths
        mine = version_change.own_version(self.instance, self.client)
        passed = None
        if self._is_active():
            passed = self._prepare(mine)
        if old_entries.must_be_left_behind(self.instance, mine, self.version):
            self._hand_over(passed)
            old_entries.leave_behind(self.run, self.instance, self.client, mine)
            passed = self._pass_gate()
        elif passed is None and self._is_active():
            # One that was down has come up meanwhile: about that one nobody was asked.
            passed = self._prepare(mine)
        if passed is not None and self._is_active():
            self._announce_peer_url()
            self._hand_over(passed)
        if mine == self.version:
            compose(paths)
            software.link_version(paths, self.version)
            readiness.restart_member(self.run, self.instance, self.client)
        else:
            version_switch.switch(self.run, self.instance, self.client, mine, self.version)
        self._use_new_peer_url()
        own = settle(self.run, self.instance, self.client)
        if not files.has_content(paths.started):
            refuse(
                f"{name} was restarted, but what it was started with is not noted in {RUN}, so"
                " every update would restart it again. Free space there and run `pulumi up` again"
            )
        after = f" after {self._handed_to} took over as leader" if self._handed_to else ""
        role = "voter" if own.is_voter else "learner"
        say(f"{name}: restarted{after}; {role}, in sync")
        self._confirm_version()

    def _is_active(self) -> bool:
        return systemd.is_active(self.paths.unit)

    def _pass_gate(self) -> Pass | None:
        return pass_gate(self.run, self.instance, self.client, self.session())

    def _prepare(self, mine: str) -> Pass | None:
        """Pass the gate, with all done that a change of the minor version needs before it."""
        passed = self._pass_gate()
        if passed is None or not is_change(mine, self.version):
            return passed
        survey, fault = await_survey(
            self.instance, self.client, self.run.waits.survey, self.run.options.peers
        )
        if fault:
            refuse(
                f"{self.instance.name} is not restarted: {fault}. Mend that and run `pulumi up`"
                " again"
            )
        change = Change(self.instance.name, mine, self.version, survey)
        # What takes a while makes what was seen before old.
        return self._pass_gate() if self._prepare_data(change) else passed

    def _prepare_data(self, change: Change) -> bool:
        """Whether that took a while."""
        if not change.is_upgrade:
            return downgrade.begin(self.run, self.instance, self.client, self.session(), change)
        downgrade.call_off(self.instance, self.client, self.session())
        return not change.has_begun and snapshot.ensure(self.session(), self.instance, change)

    def _hand_over(self, passed: Pass | None) -> None:
        if passed is None or passed.heir is None or not passed.leads:
            return
        doing("handing the leadership over")
        try:
            hand_over(self.session(), passed.own.client_url, passed.heir.id)
        except ApiError as error:
            refuse(
                f"{self.instance.name} is the leader and could not hand over to"
                f" {passed.heir.name}: {error}"
            )
        self._handed_to = passed.heir.name

    # ---- another peer port

    def _announce_peer_url(self) -> None:
        """The others must know the new peer URL before the member listens there.

        One that is down cannot be asked who it is, and is announced when it runs.
        """
        if not files.has_content(self.paths.former_peer_url):
            return
        name, url = self.instance.name, self._wanted_peer_url
        doing(f"announcing the peer URL {url}")
        own = self.instance.own_among(self.session().members())
        if own is None:
            refuse(f"{name} is not in the member list, so its peer URL {url} cannot be announced")
        if own.peer_url == url:
            return
        body = {"ID": str(own.id), "peerURLs": [url]}
        try:
            membership.change(
                self.session(), self.instance, self.run.waits.announce, "update", body
            )
        except ApiError as error:
            refuse(
                f"the cluster does not take {url} as the peer URL of {name}: {error}. It was not"
                " restarted; run `pulumi up` again"
            )
        say(f"{name}: the cluster knows it at {url}")

    def _use_new_peer_url(self) -> None:
        """Once the process listens there."""
        if not files.has_content(self.paths.former_peer_url):
            return
        # It answers at the new one, and the cluster may still know it by the former one.
        now, former = self._wanted_peer_url, self.instance.peer_url
        self.instance = replace(self.instance, peer_url=now, new_peer_url=former)
        self._announce_peer_url()
        files.remove(self.paths.former_peer_url)
        self.instance = Instance.load(self.paths)

    # ---- after the last member

    def _confirm_version(self) -> None:
        version_change.confirm(self.run, self.instance, self.client, self.version, self.session)
