"""The cluster's certificates: the only user of pulumi_tls."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from etcd_component import expiry
from etcd_component.model import GIVEN, Authority, Cluster, Instance

_HOURS = 24
_ORGANISATION = "etcd"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, PEM, and the resource that is the last of their making."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    resource: pulumi.Resource


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The pair that signs tokens and proves them, PEM: the same on all members."""

    private: pulumi.Output[str]
    public: pulumi.Output[str]


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: pulumi.Output[str]
    key: pulumi.Output[str] | None
    """None for one that is given without its key: it does not sign."""


class Pki(pulumi.ComponentResource):
    """The CAs of a cluster: made once, or given. `bundle` is what members and clients trust."""

    bundle: pulumi.Output[str]
    """PEM certificates of all trusted CAs, one after another."""
    token_keys: TokenKeys | None
    """None where tokens are not signed."""

    def __init__(self, cluster: Cluster, opts: pulumi.ResourceOptions) -> None:
        """Make the CAs that the cluster's settings trust and do not give."""
        super().__init__("etcd:index:Pki", cluster.name, None, opts)
        self._cluster = cluster
        self._settings = cluster.settings
        authorities = {one: self._authority(one) for one in self._settings.authorities}
        self._signer = authorities[self._settings.signer]
        self.bundle = pulumi.Output.all(*(one.certificate for one in authorities.values())).apply(
            lambda pems: "".join(_ended(pem) for pem in pems)
        )
        self.token_keys = self._token_keys()
        self.register_outputs({"bundle": self.bundle})

    def _token_keys(self) -> TokenKeys | None:
        if self._settings.auth_token != "jwt":  # noqa: S105 - the name of a kind
            return None
        generation = self._settings.auth_token_generation
        key = tls.PrivateKey(
            f"{self._cluster.name}-token" + (f"-{generation}" if generation > 1 else ""),
            algorithm="ECDSA",
            ecdsa_curve="P256",
            opts=pulumi.ResourceOptions(parent=self),
        )
        return TokenKeys(pulumi.Output.secret(key.private_key_pem), key.public_key_pem)

    def _authority(self, authority: Authority) -> _Authority:
        return self._given() if authority == GIVEN else self._own(authority)

    def _given(self) -> _Authority:
        pem, key = self._settings.ca_cert or "", self._settings.ca_key
        expiry.tell_pem("the CA in etcd_ca_cert", pem, _ROTATE)
        return _Authority(
            pulumi.Output.from_input(pem), None if key is None else pulumi.Output.secret(key)
        )

    def _own(self, number: int) -> _Authority:
        # The first keeps the name that it had when there was no other.
        name = f"{self._cluster.name}-ca" + (f"-{number}" if number > 1 else "")
        # One that does not sign is either new or on its way out, and may go.
        signs = number == self._settings.signer
        child = pulumi.ResourceOptions(parent=self, protect=self._settings.safeguard and signs)
        key = tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve="P256", opts=child)
        made = tls.SelfSignedCert(
            name,
            private_key_pem=key.private_key_pem,
            subject=tls.SelfSignedCertSubjectArgs(common_name=name, organization=_ORGANISATION),
            allowed_uses=["cert_signing", "crl_signing", "digital_signature"],
            validity_period_hours=self._settings.ca_days * _HOURS,
            is_ca_certificate=True,
            set_subject_key_id=True,
            # Another validity would replace it, and with it every certificate at once.
            opts=pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(ignore_changes=["validityPeriodHours"])
            ),
        )
        expiry.tell(f"CA {number} of cluster {self._cluster.name}", made.validity_end_time, _ROTATE)
        return _Authority(made.cert_pem, key.private_key_pem)

    def member(self, instance: Instance, parent: pulumi.Resource) -> Identity:
        """One key and certificate for a member's two ports and for its calls to others.

        Server and client use: the gateway and the peers dial with the certificate they serve.
        """
        return self._issue(
            instance.name,
            pulumi.ResourceOptions(parent=parent),
            uses=("client_auth", "digital_signature", "server_auth"),
            dns_names=instance.dns_names,
            ip_addresses=instance.ip_addresses,
        )

    def client(self, name: str, opts: pulumi.ResourceOptions) -> Identity:
        """A key and certificate for a client. It opens the door; a password is still needed."""
        return self._issue(name, opts, uses=("client_auth", "digital_signature"))

    def _issue(
        self,
        name: str,
        opts: pulumi.ResourceOptions,
        *,
        uses: Sequence[str],
        dns_names: Sequence[str] = (),
        ip_addresses: Sequence[str] = (),
    ) -> Identity:
        # A key of another name is a new key, and request and certificate follow it.
        generation = self._settings.cert_generation
        key = tls.PrivateKey(
            name + (f"-g{generation}" if generation > 1 else ""),
            algorithm="ECDSA",
            ecdsa_curve="P256",
            opts=opts,
        )
        request = tls.CertRequest(
            name,
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(common_name=name, organization=_ORGANISATION),
            dns_names=list(dns_names) or None,
            ip_addresses=list(ip_addresses) or None,
            opts=opts,
        )
        certificate = tls.LocallySignedCert(
            name,
            ca_cert_pem=self._signer.certificate,
            ca_private_key_pem=self._signer.key,
            cert_request_pem=request.cert_request_pem,
            allowed_uses=list(uses),
            validity_period_hours=self._settings.cert_days * _HOURS,
            early_renewal_hours=self._settings.cert_renew_days * _HOURS,
            set_subject_key_id=True,
            opts=opts,
        )
        expiry.tell(f"the certificate of {name}", certificate.validity_end_time, _RENEW)
        return Identity(
            certificate.cert_pem, pulumi.Output.secret(key.private_key_pem), certificate
        )


_RENEW = "raise etcd_cert_generation, or etcd_cert_renew_days above the days that are left"
_ROTATE = "have another CA take over: see `Renew certificates, rotate the CA` in the README"


def _ended(pem: str) -> str:
    return pem if pem.endswith("\n") else f"{pem}\n"
