"""Certificates of clusters and of the monitor: the only user of pulumi_tls."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from etcd_component import crl, expiry
from etcd_component.model import GIVEN, Authority, Cluster, Instance, Monitor

_HOURS = 24
_ORGANISATION = "etcd"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, PEM, and the resource that is the last of their making."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    resource: tls.LocallySignedCert

    @property
    def serial(self) -> pulumi.Output[str]:
        """The certificate's serial number, lower-case hex without leading zeros."""
        return _serial(self.resource)


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that members refuse."""

    whose: str
    """What a person knows it by; empty when that is its serial number."""
    serial: str
    """As in `Identity`."""

    def __str__(self) -> str:
        return f"{self.whose}={self.serial}" if self.whose else self.serial


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

    revoked: pulumi.Output[list[Revoked]]
    """What members refuse although a CA has signed it."""
    crl: pulumi.Output[str]
    """The same as members read it: DER, in base64."""

    def __init__(
        self,
        cluster: Cluster,
        revoked: Iterable[pulumi.Output[list[Revoked]]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Make the CAs that the cluster's settings trust and do not give.

        `revoked` is of clients; what the settings revoke by serial number is added.
        """
        super().__init__("etcd:index:Pki", cluster.name, None, opts)
        self._cluster = cluster
        self._settings = cluster.settings
        authorities = {one: self._authority(one) for one in self._settings.authorities}
        self._signer = authorities[self._settings.signer]
        self.bundle = pulumi.Output.all(*(one.certificate for one in authorities.values())).apply(
            lambda pems: "".join(_ended(pem) for pem in pems)
        )
        self.token_keys = self._token_keys()
        others = [Revoked("", serial) for serial in cluster.settings.revoked]
        self.revoked = pulumi.Output.all(*revoked).apply(
            lambda of_clients: [*(one for each in of_clients for one in each), *others]
        )
        self.crl = pulumi.Output.all(
            self._signer.certificate, self._signer.key, self.revoked
        ).apply(lambda found: _listed(*found))
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

    def client(
        self,
        name: str,
        opts: pulumi.ResourceOptions,
        *,
        common_name: str | None = None,
        generation: int = 1,
    ) -> Identity:
        """A key and certificate for a client. It opens the door; a password is still needed.

        Another `generation` is another key, as another one of the whole cluster is.
        """
        return self._issue(
            name,
            opts,
            uses=("client_auth", "digital_signature"),
            common_name=common_name,
            own_generation=generation,
        )

    def _issue(
        self,
        name: str,
        opts: pulumi.ResourceOptions,
        *,
        uses: Sequence[str],
        common_name: str | None = None,
        own_generation: int = 1,
        dns_names: Sequence[str] = (),
        ip_addresses: Sequence[str] = (),
    ) -> Identity:
        # A key of another name is a new key, and request and certificate follow it.
        generation = self._settings.cert_generation
        key = tls.PrivateKey(
            name
            + (f":{own_generation}" if own_generation > 1 else "")
            + (f"-g{generation}" if generation > 1 else ""),
            algorithm="ECDSA",
            ecdsa_curve="P256",
            opts=opts,
        )
        request = tls.CertRequest(
            name,
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(
                common_name=common_name or name, organization=_ORGANISATION
            ),
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
        pem = pulumi.Output.all(certificate.cert_pem, _serial(certificate), self.revoked)
        return Identity(
            pem.apply(lambda found: _not_revoked(name, *found)),
            pulumi.Output.secret(key.private_key_pem),
            certificate,
        )


@dataclass(frozen=True, slots=True)
class Listener:
    """What the monitor shows to those who dial it, PEM."""

    authority: pulumi.Output[str]
    certificate: pulumi.Output[str]
    key: pulumi.Output[str]


def listener(monitor: Monitor, parent: pulumi.Resource) -> Listener:
    """A CA for the monitor alone, and the certificate of what listens there."""
    child = pulumi.ResourceOptions(parent=parent)
    authority = tls.PrivateKey("monitor-ca", algorithm="ECDSA", ecdsa_curve="P256", opts=child)
    ca = tls.SelfSignedCert(
        "monitor-ca",
        private_key_pem=authority.private_key_pem,
        subject=tls.SelfSignedCertSubjectArgs(
            common_name="etcd-monitor-ca", organization=_ORGANISATION
        ),
        allowed_uses=["cert_signing", "digital_signature"],
        validity_period_hours=_MONITOR_CA_DAYS * _HOURS,
        is_ca_certificate=True,
        set_subject_key_id=True,
        opts=child,
    )
    key = tls.PrivateKey("monitor", algorithm="ECDSA", ecdsa_curve="P256", opts=child)
    request = tls.CertRequest(
        "monitor",
        private_key_pem=key.private_key_pem,
        subject=tls.CertRequestSubjectArgs(common_name="etcd-monitor", organization=_ORGANISATION),
        dns_names=list(monitor.dns_names),
        ip_addresses=list(monitor.ip_addresses),
        opts=child,
    )
    certificate = tls.LocallySignedCert(
        "monitor",
        ca_cert_pem=ca.cert_pem,
        ca_private_key_pem=authority.private_key_pem,
        cert_request_pem=request.cert_request_pem,
        allowed_uses=["digital_signature", "server_auth"],
        validity_period_hours=_MONITOR_DAYS * _HOURS,
        early_renewal_hours=_MONITOR_RENEW_DAYS * _HOURS,
        set_subject_key_id=True,
        opts=child,
    )
    return Listener(ca.cert_pem, certificate.cert_pem, pulumi.Output.secret(key.private_key_pem))


_MONITOR_CA_DAYS = 7300
# Browsers refuse the certificate of a server that is valid for longer than 825 days.
_MONITOR_DAYS = 800
_MONITOR_RENEW_DAYS = 400

_RENEW = "raise etcd_cert_generation, or etcd_cert_renew_days above the days that are left"
_ROTATE = "have another CA take over: see docs/operations/certificates.md"


def _serial(certificate: tls.LocallySignedCert) -> pulumi.Output[str]:
    # The provider's ID of a certificate is its serial number, in decimal.
    return certificate.id.apply(lambda number: f"{int(number):x}")


def _not_revoked(name: str, pem: str, serial: str, revoked: Sequence[Revoked]) -> str:
    if serial in {one.serial for one in revoked}:
        raise pulumi.RunError(
            f"etcd_revoked has {serial}, which is the certificate of {name} that is in use. Have it"
            " made anew in the same edit: raise etcd_cert_generation, or the client's own"
            " cert_generation"
        )
    return pem


def _listed(ca_cert: str, ca_key: str, revoked: Sequence[Revoked]) -> str:
    list_ = crl.signed(ca_cert, ca_key, (int(one.serial, 16) for one in revoked))
    return base64.b64encode(list_).decode()


def _ended(pem: str) -> str:
    return pem if pem.endswith("\n") else f"{pem}\n"
