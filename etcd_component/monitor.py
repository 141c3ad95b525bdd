"""The monitor: one machine that watches all clusters of the stack."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from etcd_component import delivery, packing, pki
from etcd_component.cluster import EtcdCluster
from etcd_component.logins import Texts
from etcd_component.model import Cluster
from etcd_component.model import Monitor as Model
from etcd_component.monitoring import Watched, bundle, configuration, units
from etcd_component.remote import Machine, in_name, remember
from etcd_component.root import generated_password


class Monitor(pulumi.ComponentResource):
    """VictoriaMetrics and vmalert on a machine of their own.

    It waits for the clusters, so that what it is to scrape is there; no cluster waits for it.
    """

    def __init__(
        self,
        model: Model,
        clusters: Sequence[tuple[Cluster, EtcdCluster]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`model` is valid; `clusters` are all that the stack has, as model and as resource."""
        # What is in the state of a machine that is lost stays as it is, and goes without a word.
        self._kept = pulumi.ResourceOptions(
            ignore_changes=["*"] if model.lost else None, retain_on_delete=model.lost or None
        )
        opts = pulumi.ResourceOptions.merge(self._kept, opts)
        super().__init__("etcd:index:Monitor", "monitor", None, opts)
        self._model = model
        self._machine = Machine(model.node, away=model.lost)
        # Another machine is another monitor: the former is taken away from the one it was on.
        self._name = f"monitor-{in_name(model.node.address)}"
        self._owner = remember(
            "monitor-owner",
            secrets.token_hex(8),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._password = self._listener = None
        if not model.is_local:
            self._password = remember(
                "monitor-password",
                pulumi.Output.secret(generated_password()),
                opts=pulumi.ResourceOptions(parent=self),
            ).output
            self._listener = pki.listener(model, self)
        plain = [Watched.of(one, "", "", "") for one, _ in clusters]
        config = _sections(configuration.files(model, plain))
        made = [one for _, one in clusters]
        # Nothing is done before the clusters are: a monitor that fails must hold up none of them.
        checked = self._check_machine(made)
        in_place = [
            self._install(checked),
            self._put_dashboards(plain, checked),
            self._put_secrets(made, checked),
            self._put_config(config, checked),
        ]
        self._serve(config, made, in_place)
        self.register_outputs({"url": model.url})

    @property
    def outputs(self) -> dict[str, Any]:
        """What a stack exports for its monitor; the password is secret."""
        return {
            "monitor_url": self._model.url,
            "monitor_ca": self._listener.authority if self._listener else "",
            "monitor_user": units.USER if self._password else "",
            "monitor_password": self._password or "",
        }

    def _child(
        self, needed: Sequence[pulumi.Resource], *, hidden: Sequence[str] = ()
    ) -> pulumi.ResourceOptions:
        own = pulumi.ResourceOptions(
            parent=self, depends_on=list(needed), hide_diffs=list(hidden) or None
        )
        return pulumi.ResourceOptions.merge(own, self._kept)

    @property
    def _mark(self) -> pulumi.Output[tuple[str, str]]:
        return self._owner.output.apply(lambda owner: ("--owner", owner))

    def _command(self, subcommand: str, *options: str | Sequence[str]) -> pulumi.Output[str]:
        """A run for the monitor of this stack, which leaves another's alone."""
        return self._mark.apply(lambda own: self._machine.etcd_monitor(subcommand, own, *options))

    def _check_machine(self, needed: Sequence[pulumi.Resource]) -> pulumi.Resource:
        model = self._model
        options = [
            ("--listen", model.listen_address),
            ("--port", str(model.port)),
            ("--alerts-port", str(model.alerts_port)),
            ("--data", model.data_dir),
        ]
        removal = ["--remove-data"] if model.rm_data else []
        mark = self._mark

        def texts(path: pulumi.Output[str]) -> Texts:
            known, command = pulumi.Output.all(path, mark), self._machine.first_contact
            return Texts(
                create=known.apply(
                    lambda found: command("claim", (found[0], packing.sha256()), found[1], *options)
                ),
                delete=known.apply(
                    lambda found: command(
                        "uninstall", (found[0], "/etc/etcd-monitor/owner"), found[1], *removal
                    )
                ),
            )

        return delivery.claim(
            self._machine,
            "etcd-monitor",
            self._name,
            texts=texts,
            ready=mark,
            options=lambda after: self._child([*needed, *after]),
        )

    def _install(self, checked: pulumi.Resource) -> pulumi.Resource:
        return self._machine.run(
            f"{self._name}-software",
            create=self._command("software"),
            opts=self._child([checked]),
        )

    def _put_dashboards(
        self, plain: Sequence[Watched], checked: pulumi.Resource
    ) -> pulumi.Resource:
        return self._machine.run(
            f"{self._name}-dashboards",
            create=self._command("files", ("--kind", "dashboards")),
            stdin=_sections(bundle.boards(plain)),
            # Thousands of lines that nobody reads.
            opts=self._child([checked], hidden=["stdin"]),
        )

    def _put_secrets(
        self, clusters: Sequence[EtcdCluster], checked: pulumi.Resource
    ) -> pulumi.Resource:
        known = pulumi.Output.all(
            pulumi.Output.all(*(one.watched for one in clusters)),
            self._own_secrets(),
        ).apply(lambda found: _sections({**bundle.certificates(found[0]), **found[1]}))
        return self._machine.run(
            f"{self._name}-secrets",
            create=self._command("files", ("--kind", "secrets")),
            stdin=pulumi.Output.secret(known),
            opts=self._child([checked]),
        )

    def _own_secrets(self) -> dict[str, pulumi.Input[str]]:
        if self._listener is None or self._password is None:
            return {}
        return {
            "tls/ca.crt": self._listener.authority,
            "tls/server.crt": self._listener.certificate,
            "tls/server.key": self._listener.key,
            "login/password": self._password.apply(lambda known: f"{known}\n"),
        }

    def _put_config(self, config: str, checked: pulumi.Resource) -> pulumi.Resource:
        return self._machine.run(
            f"{self._name}-config",
            create=self._command("files", ("--kind", "config"), ("--data", self._model.data_dir)),
            # Not secret: a preview shows which targets and rules change.
            stdin=config,
            opts=self._child([checked]),
        )

    def _serve(
        self,
        config: str,
        clusters: Sequence[EtcdCluster],
        needed: Sequence[pulumi.Resource],
    ) -> None:
        # Certificates are read again without a word; whether they open every door is then asked.
        doors = pulumi.Output.all(*(one.ca_cert for one in clusters)).apply("".join)
        keys = pulumi.Output.all(*(one.watcher.certificate for one in clusters)).apply("".join)
        self._machine.run(
            f"{self._name}-serve",
            create=pulumi.Output.all(doors, keys).apply(
                lambda found: self._command(
                    "serve",
                    ("--of", _fingerprint(config)),
                    ("--after", _fingerprint("".join(found))),
                )
            ),
            opts=self._child(needed),
        )


def _sections(files: Mapping[str, str]) -> str:
    """Files as the monitor's program reads them; the last line says that nothing is missing."""
    return "".join(f"--- {path}\n{text}" for path, text in files.items()) + "--- end\n"


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
