"""The cluster's certificates: the only user of pulumi_tls."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from etcd_component.model import Cluster, Instance

_HOURS = 24
_ORGANISATION = "etcd"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, PEM, and the resource that is the last of their making."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    resource: pulumi.Resource


class Pki(pulumi.ComponentResource):
    """The CA of a cluster: made once, or given. `bundle` is what members and clients trust."""

    bundle: pulumi.Output[str]
    """PEM certificates of all trusted CAs, one after another."""

    def __init__(self, cluster: Cluster, opts: pulumi.ResourceOptions) -> None:
        """Make the CA, unless the cluster's settings give one."""
        super().__init__("etcd:index:Pki", cluster.name, None, opts)
        self._settings = cluster.settings
        child = pulumi.ResourceOptions(parent=self, protect=cluster.settings.safeguard)
        if self._settings.ca_cert is not None and self._settings.ca_key is not None:
            self._signing_key = pulumi.Output.secret(self._settings.ca_key)
            self._signing_certificate = pulumi.Output.from_input(self._settings.ca_cert)
        else:
            key = tls.PrivateKey(
                f"{cluster.name}-ca", algorithm="ECDSA", ecdsa_curve="P256", opts=child
            )
            ca = tls.SelfSignedCert(
                f"{cluster.name}-ca",
                private_key_pem=key.private_key_pem,
                subject=tls.SelfSignedCertSubjectArgs(
                    common_name=f"{cluster.name}-ca", organization=_ORGANISATION
                ),
                allowed_uses=["cert_signing", "crl_signing", "digital_signature"],
                validity_period_hours=self._settings.ca_days * _HOURS,
                is_ca_certificate=True,
                set_subject_key_id=True,
                opts=child,
            )
            self._signing_key = key.private_key_pem
            self._signing_certificate = ca.cert_pem
        authorities: list[pulumi.Output[str]] = [self._signing_certificate]
        self.bundle = pulumi.Output.all(*authorities).apply(
            lambda pems: "".join(_ended(pem) for pem in pems)
        )
        self.register_outputs({"bundle": self.bundle})

    def member(self, instance: Instance, parent: pulumi.Resource) -> Identity:
        """One key and certificate for a member's two ports and for its calls to others.

        Server and client use: the gateway and the peers dial with the certificate they serve.
        """
        return self._issue(
            instance.name,
            parent,
            uses=("client_auth", "digital_signature", "server_auth"),
            dns_names=instance.dns_names,
            ip_addresses=instance.ip_addresses,
        )

    def client(self, name: str, parent: pulumi.Resource) -> Identity:
        """A key and certificate for a client. It opens the door; a password is still needed."""
        return self._issue(name, parent, uses=("client_auth", "digital_signature"))

    def _issue(
        self,
        name: str,
        parent: pulumi.Resource,
        *,
        uses: Sequence[str],
        dns_names: Sequence[str] = (),
        ip_addresses: Sequence[str] = (),
    ) -> Identity:
        child = pulumi.ResourceOptions(parent=parent)
        key = tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve="P256", opts=child)
        request = tls.CertRequest(
            name,
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(common_name=name, organization=_ORGANISATION),
            dns_names=list(dns_names) or None,
            ip_addresses=list(ip_addresses) or None,
            opts=child,
        )
        certificate = tls.LocallySignedCert(
            name,
            ca_cert_pem=self._signing_certificate,
            ca_private_key_pem=self._signing_key,
            cert_request_pem=request.cert_request_pem,
            allowed_uses=list(uses),
            validity_period_hours=self._settings.cert_days * _HOURS,
            early_renewal_hours=self._settings.cert_renew_days * _HOURS,
            set_subject_key_id=True,
            opts=child,
        )
        return Identity(
            certificate.cert_pem, pulumi.Output.secret(key.private_key_pem), certificate
        )


def _ended(pem: str) -> str:
    return pem if pem.endswith("\n") else f"{pem}\n"
