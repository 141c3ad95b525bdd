"""One instance: its files, its membership, its rollout."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

from etcd_component import delivery, desired, exporter, packing, previous, render
from etcd_component.logins import Texts
from etcd_component.model import Cluster
from etcd_component.model import Instance as Model
from etcd_component.pki import Pki, Revoked
from etcd_component.remote import Machine, in_name, remember


@dataclass(frozen=True, slots=True)
class Belonging:
    """What an instance needs to know of the cluster it belongs to."""

    cluster: Cluster
    pki: Pki
    owner: pulumi.Output[str]
    """A name for the stack that made the cluster: another one must not touch its machines."""
    login: pulumi.Output[str]
    """Root's credentials, see `root.Root`."""


class Instance(pulumi.ComponentResource):
    """An etcd member on a node. To create it is to join, to delete it is to leave."""

    checked: pulumi.Resource
    """Done when the node is known to be fit; nothing was changed on it before."""
    certified: pulumi.Resource
    """Done when certificate, key and CA bundle are in place."""

    def __init__(
        self,
        model: Model,
        belonging: Belonging,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """Check the node, once all in `after` are done, and put the files in place."""
        super().__init__("etcd:index:Instance", model.name, None, opts)
        self._model = model
        self._belonging = belonging
        self._machine = Machine(model.node, away=model.lost)
        # Every command says which instance of which stack it means.
        self._options = belonging.owner.apply(lambda owner: _options(model, owner))
        # What is in the state of a machine that is lost stays as it is.
        self._frozen = pulumi.ResourceOptions(ignore_changes=["*"] if model.lost else None)
        self._config = render.etcd_config(belonging.cluster, model)
        self._unit = render.unit(belonging.cluster, model)
        before = previous.found()
        binds = model.lost or before.binds(model.name)
        self._former = None if binds else before.instances.get(model.name)
        self._after = after
        self._place = remember(
            f"{model.name}-place",
            [model.node.address, model.data_dir, "learner" if model.learner else "voter"],
            for_ever=binds,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.checked = self._check_node()
        self.certified = self._put_certificate()
        self._files = [self._install(), self.certified, self._put_config()]
        self._put_exporter()
        settings = belonging.cluster.settings
        # Nothing depends on it, so a destroy meets it at first, like the safeguard itself.
        kept = pulumi.ResourceOptions(protect=settings.safeguard and not model.lost)
        DataDirectory(
            model,
            removed=settings.rm_data,
            former=self._former,
            opts=self._child([self.checked], kept),
        )

    def _child(
        self, needed: Sequence[pulumi.Resource], more: pulumi.ResourceOptions | None = None
    ) -> pulumi.ResourceOptions:
        own = pulumi.ResourceOptions(parent=self, depends_on=list(needed))
        return pulumi.ResourceOptions.merge(
            pulumi.ResourceOptions.merge(own, self._frozen), more or pulumi.ResourceOptions()
        )

    def _check_node(self) -> pulumi.Resource:
        settings = self._belonging.cluster.settings
        place = [
            ("--address", self._model.node.address),
            ("--client-port", str(self._model.client_port)),
            ("--peer-port", str(self._model.peer_port)),
            ("--data", self._model.data_dir),
            ("--method", settings.install),
        ]
        # Looked at once, when the node is new: `create` stays as it first was. The peers say
        # whether the cluster has removed what the machine may hold.
        new = [
            ("--clock", str(int(time.time()))),
            ("--peers", self._belonging.cluster.peers_of(self._model)),
            ("--quota", str(settings.quota_bytes)),
        ]

        def claim(found: Sequence[Any], *more: Sequence[str]) -> str:
            path, own = found
            sent = [(path, packing.sha256())]
            return self._machine.first_contact("claim", *sent, *own, *place, *more)

        def uninstall(found: Sequence[Any]) -> str:
            path, own = found
            sent = [(path, f"/etc/etcd/{self._model.cluster}/claim")]
            return self._machine.first_contact("uninstall", *sent, *own, *removal)

        def texts(path: pulumi.Output[str]) -> Texts:
            known = pulumi.Output.all(path, mark)
            create = known.apply(lambda found: claim(found, *new))
            return Texts(create, known.apply(claim), known.apply(uninstall))

        removal = [
            *(["--remove-data"] if settings.rm_data else []),
            *(["--remove-software"] if settings.rm_pkg else []),
        ]
        # Nothing is done on a machine before it is known to be the one where the instance began.
        mark = pulumi.Output.all(self._options, self._place.output).apply(
            lambda found: self._mark(*found)
        )
        return delivery.claim(
            self._machine,
            "etcd-node",
            self._model.name,
            texts=texts,
            ready=mark,
            options=lambda needed: self._child([*needed, *self._after]),
            more=pulumi.ResourceOptions(ignore_changes=None if self._is_corrected else ["create"]),
            raised=self._raised,
        )

    @property
    def _begins_anew(self) -> bool:
        """Whether it began as a founder, and may have to begin with what was corrected since.

        Of an update that was cut off the state has the corrected values already, so they are not
        compared: the agent sees what it began with.
        """
        return self._former is not None and self._former.begun

    @property
    def _is_corrected(self) -> bool:
        """Whether it was tried on another machine, and has not joined."""
        return self._former is not None and self._former.address != self._model.node.address

    @property
    def _raised(self) -> str:
        """What the name of a file ends in that is copied again where a number was raised.

        A machine that rejoins has an empty disk, and one that is repaired may lack anything.
        """
        again = f"-{self._model.reseat}" if self._model.reseat else ""
        return again + (f"-repair-{self._model.repair}" if self._model.repair else "")

    def _mark(self, own: list[Sequence[str]], place: Sequence[str] | None) -> list[Sequence[str]]:
        if not self._model.lost and (reason := moved(self._model, place or [])):
            raise pulumi.RunError(reason)
        return own

    def _command(self, subcommand: str, *options: str | Sequence[str]) -> pulumi.Output[str]:
        return self._options.apply(lambda own: self._machine.etcd_node(subcommand, *own, *options))

    def _install(self) -> pulumi.Resource:
        settings = self._belonging.cluster.settings
        needed = [self.checked]
        options: list[Sequence[str]] = [
            ("--method", settings.install),
            ("--version", settings.version),
        ]
        if settings.install == "archive":
            options.append(("--url", settings.archive_url))
        if settings.install == "upload" and settings.archive_file is not None:
            source = settings.archive_file_for(self._model.arch) or ""
            # Copied again only under another name: a new address is another machine.
            label = f"{self._model.name}-{self._model.node.address}"
            # In the login's own directory: where others can write, a link could be in its place.
            path = f"etcd-{settings.version}-{label}{self._raised}.tar.gz"
            options.append(("--archive", path))
            needed.append(
                self._machine.upload(
                    f"{self._model.name}-archive", source, path, self._child([self.checked])
                )
            )
        for arch, sha256 in sorted(settings.archive_sha256.items()):
            options.append((f"--sha256-{arch}", sha256))
        return self._machine.run(
            f"{self._model.name}-binary",
            create=self._command("binary", *options),
            # A snapshot is taken before an upgrade.
            stdin=self._belonging.login,
            opts=self._child(needed),
        )

    def _put_certificate(self) -> pulumi.Resource:
        pki = self._belonging.pki
        own, keys = pki.member(self._model, self), pki.token_keys

        def create(revoked: Sequence[Revoked]) -> pulumi.Output[str]:
            # The list itself is among secrets, which a preview does not show.
            return self._command("tls", *(("--revoked", str(one)) for one in revoked))

        return self._machine.run(
            f"{self._model.name}-tls",
            create=pki.revoked.apply(create),
            stdin=pulumi.Output.secret(
                pulumi.Output.format(
                    "--- ca.crt\n{0}--- server.crt\n{1}--- server.key\n{2}--- revoked.crl\n{3}\n"
                    + ("--- token.pub\n{4}--- token.key\n{5}" if keys else ""),
                    pki.bundle,
                    own.certificate,
                    own.key,
                    pki.crl,
                    *([keys.public, keys.private] if keys else []),
                )
            ),
            opts=self._child([self.checked]),
        )

    def _put_config(self) -> pulumi.Resource:
        unit = self._belonging.cluster.unit
        return self._machine.run(
            f"{self._model.name}-config",
            create=self._command("config", ("--version", self._belonging.cluster.settings.version)),
            # Not secret: a preview shows which lines change.
            stdin=f"--- etcd.yaml\n{self._config}--- {unit}\n{self._unit}",
            opts=self._child([self.checked]),
        )

    def _put_exporter(self) -> None:
        units = exporter.units(self._belonging.cluster, self._model)
        if not units:
            return
        self._machine.run(
            f"{self._model.name}-exporter",
            create=self._command("exporter"),
            delete=self._command("exporter", "--remove"),
            # Not secret: a preview shows which lines change.
            stdin="".join(f"--- {name}\n{text}" for name, text in units.items()),
            opts=self._child(
                self._files,
                # A machine that is left for good is cleaned of it, too.
                pulumi.ResourceOptions(deleted_with=self.checked),
            ),
        )

    def join(self, genesis: pulumi.Stash, after: Sequence[pulumi.Resource]) -> remote.Command:
        """Found the cluster, join it, or come back, once all in `after` are done.

        Done when the member runs in the cluster. The `output` of `genesis` is the cluster's
        token and then the founders, each as `name=peer-url`.
        """
        cluster = self._belonging.cluster
        learner = ["--learner"] if self._model.learner else []
        joining = [
            ("--version", cluster.settings.version),
            ("--peers", cluster.peers_of(self._model)),
        ]

        def create(first: Sequence[str]) -> pulumi.Output[str]:
            token, *founders = first
            return self._command(
                "join",
                *learner,
                *joining,
                ("--founders", ",".join(founders)),
                ("--token", token),
            )

        return self._machine.run(
            f"{self._model.name}-member",
            create=genesis.output.apply(create),
            # Without founders it can only come back or join, never found. One that only began may
            # begin anew.
            update=genesis.output.apply(create)
            if self._begins_anew
            else self._command(
                "join",
                *learner,
                *(joining if self._model.reseat or self._model.repair else []),
            ),
            delete=self._command("leave"),
            stdin=self._belonging.login,
            opts=self._child(
                [*self._files, *after],
                pulumi.ResourceOptions(
                    # Who the peers were when it joined is history.
                    ignore_changes=["create"],
                    # A whole cluster that is taken down has nobody left to leave.
                    deleted_with=genesis,
                    protect=cluster.settings.safeguard and not self._model.lost,
                ),
            ),
        )

    def remove(self, name: str, peer_url: str, why: str) -> pulumi.Resource:
        """Have this instance's machine remove a member that is gone from the cluster.

        `why` ends the name of the Command that does it.
        """
        options = [
            ("--cluster", self._model.cluster),
            ("--lost", f"{name}={peer_url}"),
            ("--peers", self._belonging.cluster.peers_of(self._model)),
        ]
        return self._machine.run(
            f"{name}-{why}",
            # Without this instance's name: `create` stays as it first was, and runs on the machine
            # of another survivor when this instance is gone or lost, too.
            create=self._belonging.owner.apply(
                lambda owner: self._machine.etcd_node("remove-member", ("--owner", owner), *options)
            ),
            stdin=self._belonging.login,
            # Who the others were when it was removed is history.
            opts=self._child(self._files, pulumi.ResourceOptions(ignore_changes=["create"])),
        )

    def roll_out(self, after: Sequence[pulumi.Resource]) -> remote.Command:
        """Restart the member behind the health gates, once all in `after` are done."""
        settings = self._belonging.cluster.settings
        pki = self._belonging.pki
        keys = [pki.token_keys.public] if pki.token_keys else []
        to = pulumi.Output.all(pki.bundle, *keys).apply(
            lambda files: render.fingerprint(self._config, self._unit, *files)
        )
        create: pulumi.Output[str] = to.apply(
            lambda name: self._command("rollout", ("--version", settings.version), ("--to", name))
        )
        wanted = desired.member(self._model, self._belonging.cluster, self._belonging.owner, create)
        self.register_outputs(
            {
                "client_url": self._model.client_url,
                "peer_url": self._model.peer_url,
                "desired": wanted,
            }
        )
        return self._machine.run(
            f"{self._model.name}-rollout",
            create=create,
            stdin=self._belonging.login,
            opts=self._child(after),
        )


class DataDirectory(pulumi.ComponentResource):
    """Nothing but a line in Pulumi's trees: `pulumi destroy` shows types and names, and no more."""

    _LOST = "left alone"
    _REMOVED = "deleted with it"
    _KEPT = "kept"

    def __init__(
        self,
        model: Model,
        *,
        removed: bool,
        former: previous.Instance | None,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Register it under a name that says what becomes of the data with the instance.

        `former` is where the instance was tried and did not join.
        """
        where = f"{model.name}: {model.data_dir} on {in_name(model.node.address)}, "
        fate = self._LOST if model.lost else self._REMOVED if removed else self._KEPT
        places = {where}
        if former is not None and former.address:
            places.add(f"{model.name}: {former.data_dir} on {in_name(former.address)}, ")
        # Under one name after another it is the same line: data whose fate changes are not deleted.
        aliases = [
            pulumi.Alias(name=place + one)
            for place in sorted(places)
            for one in (self._LOST, self._REMOVED, self._KEPT)
            if place + one != where + fate
        ]
        super().__init__(
            "etcd:index:DataDirectory",
            where + fate,
            None,
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=aliases)),
        )
        self.register_outputs({})


def moved(model: Model, place: Sequence[str]) -> str | None:
    """Why an instance cannot be what the inventory says, given where and as what it began.

    `place` is its first address, data directory and role; nothing where it is not known.
    """
    if not place:
        return None
    address, data_dir, role = place
    if address != model.node.address:
        return (
            f"{model.name} is a member on {address} and cannot be moved to {model.node.address}"
            f" under its number. Leave the line of {address} as it was to keep it; to replace the"
            f" machine, delete that line and give {model.node.address} a new etcd_seq, in one edit:"
            f" the new instance joins first, then {model.name} leaves. Nothing was changed"
        )
    if data_dir != model.data_dir:
        return (
            f"{model.name} has its data in {data_dir}, and etcd_data cannot move them to"
            f" {model.data_dir}. Put it back; or delete the line of {address}, run `pulumi up`, and"
            " add it again with a new etcd_seq and the new etcd_data: it gets its data from the"
            " others. Nothing was changed"
        )
    if role == "voter" and model.learner:
        return (
            f"{model.name} votes, and etcd makes no learner of a voter. Take etcd_learner off its"
            f" host; or delete the line of {address}, run `pulumi up`, and add it again with a new"
            " etcd_seq. Nothing was changed"
        )
    return None


def _options(model: Model, owner: str) -> list[Sequence[str]]:
    """The options of every run for an instance: which one is meant, and of which stack.

    A raised number is in all of them, so that a machine that is new from the ground up, or was
    changed by hand, gets everything again.
    """
    raised = [("--reseat", model.reseat), ("--repair", model.repair)]
    meant = [("--cluster", model.cluster), ("--owner", owner), ("--name", model.name)]
    return [*meant, *((flag, str(to)) for flag, to in raised if to)]
