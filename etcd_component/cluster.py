"""EtcdCluster: genesis, instances in order, access, and what clients need."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_command import remote

from etcd_component import absence, access, desired, mistaken, outcome, previous, rotation
from etcd_component.client import Client
from etcd_component.given import Given
from etcd_component.instance import Belonging, Instance
from etcd_component.model import Cluster
from etcd_component.monitoring import Watched, bundle
from etcd_component.pki import Identity, Pki
from etcd_component.remote import remember
from etcd_component.root import root_of


class EtcdCluster(pulumi.ComponentResource):
    """An etcd cluster on Linux machines, as its model says.

    Raft membership is the resource lifecycle: an instance that is created joins, one
    that is updated is restarted safely, one that is deleted leaves.
    """

    client_urls: str
    """Comma list of the voters' client URLs."""
    endpoints: list[str]
    """The voters as `host:port`."""
    ca_cert: pulumi.Output[str]
    """PEM of all CAs to trust."""
    client: Identity
    """The certificate and key of who looks after the cluster."""
    clients: dict[str, Identity]
    """Those of each declared client, by its name."""
    watcher: Identity
    """The certificate and key of who reads the metrics; without a password it gets no further."""
    finished: pulumi.Resource
    """Registered when all else of the cluster is."""
    root_password: pulumi.Output[str]
    passwords: dict[str, pulumi.Output[str]]
    """Of every declared user and client, by name; known when etcd takes it."""

    def __init__(self, model: Cluster, opts: pulumi.ResourceOptions | None = None) -> None:
        """`model` is valid: `inventory.load` has found its mistakes before."""
        super().__init__("etcd:index:Cluster", model.name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=model.settings.safeguard)
        self._model = model
        clients = {one.name: Client(model.name, one, child) for one in model.settings.clients}
        pki = Pki(model, [one.revoked for one in clients.values()], child)
        this_run = secrets.token_hex(8)
        owner = remember(f"{model.name}-owner", this_run, opts=kept).output
        root = root_of(model, owner, this_run, child)
        self.root_password = root.password
        belonging = Belonging(model, pki, owner, root.login)
        instances, removed = self._instances(belonging, child)
        genesis = self._bootstrap_record(instances, kept)
        # One member after another is rolled out, and none before all have joined.
        # A learner joins what the voters have formed, and may be the first in line.
        voting = {one.name: instances[one.name].join(genesis, removed) for one in model.voters}
        members = {
            name: voting.get(name) or one.join(genesis, [*removed, *voting.values()])
            for name, one in instances.items()
        }
        done: list[pulumi.Resource] = [*removed, *members.values()]
        rollouts = _roll_out(instances, after=done)
        done += rollouts.values()
        absence.tell(model, members, [*rollouts.values()])
        outcome.tell(model, members, rollouts)
        done.append(
            access.switch_on(
                model, owner, root.login, pulumi.ResourceOptions(parent=self, depends_on=done)
            )
        )
        # What is taken away goes by way of the first voter, so before that one leaves. The engine
        # sees this only where it is said: not by way of what stays.
        first = members[model.voters[0].name]
        declared = access.Declaration(
            model,
            owner,
            root.login,
            genesis,
            pulumi.ResourceOptions(parent=self, depends_on=[first, done[-1]]),
        )
        self.passwords = declared.passwords
        done += declared.done

        self.client_urls = ",".join(model.client_urls)
        self.endpoints = list(model.endpoints)
        # A node refuses certificates that would cut members off; clients do not get them either.
        certified = [one.certified for one in instances.values()]
        self.ca_cert = pulumi.Output.all(pki.bundle, *(one.urn for one in certified)).apply(_first)
        self.client = pki.client(
            f"{model.name}-client", pulumi.ResourceOptions(parent=self, depends_on=certified)
        )
        self.watcher = pki.client(
            f"{model.name}-monitoring",
            pulumi.ResourceOptions(parent=self, depends_on=certified),
            common_name="monitoring",
        )
        self.clients = {name: one.certify(pki, certified) for name, one in clients.items()}
        done += rotation.follow(
            model,
            certified=[
                *certified,
                *(one.resource for one in (self.client, self.watcher, *self.clients.values())),
            ],
            rolled_out=[*rollouts.values()],
            opts=child,
        )
        self.finished = Safeguard(
            f"{model.name}-safeguard",
            pulumi.ResourceOptions.merge(
                kept,
                pulumi.ResourceOptions(
                    depends_on=[
                        *done,
                        self.client.resource,
                        self.watcher.resource,
                        *clients.values(),
                    ]
                ),
            ),
        )
        # The rest is among the stack's outputs, and would be in the state twice.
        self.register_outputs(
            {"endpoints": self.endpoints, "desired": desired.access(model, declared.done)}
        )

    def _instances(
        self, belonging: Belonging, child: pulumi.ResourceOptions
    ) -> tuple[dict[str, Instance], list[pulumi.Resource]]:
        """All instances, and the removals that must be done before anybody joins.

        etcd takes nobody in while a voter is down, so the lost go first; and so does who was
        expected elsewhere and never came.
        """
        model = self._model
        away = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        strays = mistaken.strays(previous.found(), model)
        made: dict[str, Instance] = {}
        removed: dict[str, pulumi.Resource] = {}
        # Another member removes them, before their machines are uninstalled.
        for one in sorted(model.instances, key=lambda one: one.name in strays.urls):
            if one.name in strays.urls:
                url = strays.urls[one.name]
                removed[one.name] = made[strays.survivor].remove(one.name, url, "former")
            after = [removed[one.name]] if one.name in removed else []
            made[one.name] = Instance(one, belonging, away if one.lost else child, after=after)
        survivor = made[model.voters[0].name]
        for name in sorted(strays.urls.keys() - made.keys()):
            removed[name] = made[strays.survivor].remove(name, strays.urls[name], "former")
        # As long as there is no cluster, none knows the lost.
        if previous.found().formed(model.name):
            removed |= {
                one.name: survivor.remove(one.name, one.peer_url, "lost")
                for one in model.instances
                if one.lost
            }
        return {one.name: made[one.name] for one in model.instances}, list(removed.values())

    def _bootstrap_record(
        self, instances: Mapping[str, Instance], kept: pulumi.ResourceOptions
    ) -> pulumi.Stash:
        """Token and founders, which hold for ever once they have founded the cluster."""
        model = self._model
        corrected = mistaken.founders_are(previous.found(), model)
        # They are recorded only when their machines are known to be fit: a wrong address is found
        # before. What is protected is not replaced.
        own = pulumi.ResourceOptions(
            depends_on=[one.checked for one in instances.values()],
            protect=False if corrected else None,
        )
        return remember(
            f"{model.name}-genesis",
            [f"{model.name}-{secrets.token_hex(4)}", *mistaken.founders(model)],
            for_ever=not corrected,
            opts=pulumi.ResourceOptions.merge(kept, own),
        )

    @property
    def outputs(self) -> dict[str, Any]:
        """What a stack exports for this cluster; keys and passwords are secret."""
        return {
            "endpoints": self.endpoints,
            "client_urls": self.client_urls,
            "ca_cert": self.ca_cert,
            "client_cert": self.client.certificate,
            "client_key": self.client.key,
            "root_password": self.root_password,
            "clients": self.given,
            "user_passwords": self.user_passwords,
            "monitoring": self.monitoring,
            "members": [
                {
                    "instance": one.name,
                    "ip": one.node.address,
                    "client_url": one.client_url,
                    "peer_url": one.peer_url,
                }
                for one in self._model.instances
                if not one.lost
            ],
        }

    @property
    def given(self) -> pulumi.Output[dict[str, Any]]:
        """What each declared client is given, by name, once it can log in."""
        declared = self._model.settings.clients
        needed = [
            pulumi.Output.all(
                self.passwords[one.name],
                self.ca_cert,
                self.clients[one.name].certificate,
                self.clients[one.name].key,
            )
            for one in declared
        ]
        return pulumi.Output.secret(
            pulumi.Output.all(*needed).apply(
                lambda known: {
                    client.name: Given.to(client, self._model, *each).output
                    for client, each in zip(declared, known, strict=True)
                }
            )
        )

    @property
    def user_passwords(self) -> pulumi.Output[dict[str, str]]:
        """The passwords of declared users and clients, by name."""
        return pulumi.Output.secret(pulumi.Output.all(**self.passwords))

    @property
    def watched(self) -> pulumi.Output[Watched]:
        """What watches the cluster needs to know of it; secret, since it has a key."""
        return pulumi.Output.secret(
            pulumi.Output.all(self.ca_cert, self.watcher.certificate, self.watcher.key).apply(
                lambda found: Watched.of(self._model, *found)
            )
        )

    @property
    def monitoring(self) -> pulumi.Output[dict[str, Any]]:
        """What watches the cluster is given: values, and texts that are ready to use."""
        return self.watched.apply(bundle.output)


def by_cluster(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What a stack exports: each output as a map from the cluster's name to the value.

    One cluster gives a map of one entry: no reader may meet a bare value in one stack and a map
    in another.
    """
    names = next(iter(outputs.values()), {})
    return {name: {cluster: own[name] for cluster, own in outputs.items()} for name in names}


def _roll_out(
    instances: Mapping[str, Instance], after: Sequence[pulumi.Resource]
) -> dict[str, remote.Command]:
    """One member after another."""
    rollouts: dict[str, remote.Command] = {}
    for name, one in instances.items():
        rollouts[name] = one.roll_out(after=[*after, *rollouts.values()])
    return rollouts


def _first(known: Sequence[str]) -> str:
    return known[0]


class Safeguard(pulumi.ComponentResource):
    """Nothing but a name for the engine's refusal to delete what `etcd_safeguard` protects.

    It depends on everything, so it is the first that a destroy meets.
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        """Register it."""
        super().__init__("etcd:index:Safeguard", name, None, opts)
        self.register_outputs({})
