"""A client's certificates: the one in use, and the serial numbers of all there ever were."""

from collections.abc import Sequence

import pulumi

from etcd_component.model import Client as Model
from etcd_component.pki import Identity, Pki, Revoked
from etcd_component.remote import collect


class Client(pulumi.ComponentResource):
    """A program that uses the cluster, as far as its certificates go.

    etcd refuses by serial number, and a certificate that is renewed gets another one while the
    former is still valid. So all of a generation are remembered, for as long as the client is
    declared.
    """

    revoked: pulumi.Output[list[Revoked]]
    """What was ever issued in those of its generations that are revoked."""

    def __init__(self, cluster: str, model: Model, opts: pulumi.ResourceOptions) -> None:
        """Recall the former generations. Names of clusters and clients have no colon."""
        super().__init__("etcd:index:Client", f"{cluster}:{model.name}", None, opts)
        self._model = model
        self._name = f"{cluster}:{model.name}"
        own = pulumi.ResourceOptions(parent=self)
        former = {
            one: collect(self._serials(one), opts=own) for one in range(1, model.cert_generation)
        }
        self.revoked = pulumi.Output.all(*(former[one].stdout for one in model.revoked)).apply(
            lambda lists: [
                Revoked(f"{model.name}:{generation}", serial)
                for generation, serials in zip(model.revoked, lists, strict=True)
                for serial in dict.fromkeys((serials or "").split())
            ]
        )

    def certify(self, pki: Pki, after: Sequence[pulumi.Resource]) -> Identity:
        """The certificate and key in use, made or renewed once all in `after` are done."""
        identity = pki.client(
            self._name,
            pulumi.ResourceOptions(parent=self, depends_on=list(after)),
            common_name=self._model.name,
            generation=self._model.cert_generation,
        )
        collect(
            self._serials(self._model.cert_generation),
            word=identity.serial,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
        return identity

    def _serials(self, generation: int) -> str:
        return f"{self._name}:serials-{generation}"
