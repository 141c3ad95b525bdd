"""The bare limit: the least that plain parallel ssh needs to put the same cluster on the machines.

The same archive, configuration, unit, kind of certificates and access as the project's, but
nothing is checked, nothing is recorded, and nothing could be changed or taken away later.
"""

import base64
import datetime as dt
import ipaddress
import secrets
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bench.process import Failed
from bench.site import Site
from etcd_component import Cluster, Instance, crl, load
from etcd_component.render import etcd_config, unit

_SCRIPT = """\
set -eu
(curl -fsSL {url} | {{ mkdir -p /opt/etcd/versions/{version}/bin; \
tar -xzf - -C /opt/etcd/versions/{version}/bin --strip-components=1 --no-same-owner; }}) &
mkdir -p /opt/etcd/clusters /etc/etcd/{cluster}/pki {data}
ln -s ../versions/{version} /opt/etcd/clusters/{cluster}
useradd --system --user-group --no-create-home etcd
cat >/etc/etcd/{cluster}/etcd.yaml <<'END'
{config}
initial-cluster-state: new
initial-cluster: {founders}
END
cat >/etc/systemd/system/{unit_name} <<'END'
{unit}
END
cd /etc/etcd/{cluster}/pki
cat >ca.crt <<'END'
{ca}
END
echo {crl} | base64 -d >revoked.crl
cat >server.crt <<'END'
{certificate}
END
(umask 077 && cat >server.key) <<'END'
{key}
END
chown -R etcd:etcd . {data}
chmod 700 {data}
systemctl daemon-reload
systemctl enable -q {unit_name}
wait
systemctl start {unit_name}
"""

_ACCESS = """\
export ETCDCTL_ENDPOINTS={url} ETCDCTL_CACERT=ca.crt ETCDCTL_CERT=server.crt ETCDCTL_KEY=server.key
etcdctl=/opt/etcd/versions/{version}/bin/etcdctl
echo {password} | $etcdctl user add root --interactive=false
$etcdctl auth enable
"""


def put_cluster(site: Site, inventory: Mapping[str, Any]) -> float:
    """Put the inventory's cluster on fresh machines; the seconds it took until RBAC was on."""
    settings = {"inventory": inventory}
    (cluster,) = load(settings.get, site.environ).clusters
    start = time.monotonic()
    scripts = _scripts(cluster)
    with ThreadPoolExecutor(len(scripts)) as pool:
        for done in pool.map(lambda item: _run(site.directory, *item), scripts.items()):
            if done.returncode != 0:
                raise Failed(f"the bare limit's script failed: {done.stderr.strip()}")
    return time.monotonic() - start


def _scripts(cluster: Cluster) -> dict[Instance, str]:
    authority = _Authority(cluster.name)
    founders = ",".join(f"{one.name}={one.peer_url}" for one in cluster.instances)
    scripts = {}
    for instance in cluster.instances:
        certificate, key = authority.issue(instance)
        scripts[instance] = _SCRIPT.format(
            url=cluster.settings.archive_url_for("amd64"),
            version=cluster.settings.version,
            cluster=cluster.name,
            data=instance.data_dir,
            config=etcd_config(cluster, instance).rstrip(),
            founders=founders,
            unit_name=cluster.unit,
            unit="\n".join(
                line
                for line in unit(cluster, instance).splitlines()
                if not line.startswith("ExecStartPre=")
            ),
            ca=authority.certificate.rstrip(),
            crl=authority.crl,
            certificate=certificate.rstrip(),
            key=key.rstrip(),
        )
    first = cluster.instances[0]
    scripts[first] += _ACCESS.format(
        url=first.client_url,
        version=cluster.settings.version,
        password=secrets.token_urlsafe(24),
    )
    return scripts


def _run(directory: Path, instance: Instance, script: str) -> subprocess.CompletedProcess[str]:
    login = instance.node.login
    key = directory / f"key-{instance.name}"
    key.touch(mode=0o600)
    key.write_text(login.private_key or "")
    known = directory / f"known-{instance.name}"
    known.write_text(f"{login.host} {login.host_key}\n")
    options = [
        *("-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-F", "none"),
        *("-o", "IdentitiesOnly=yes", "-i", str(key), "-p", str(login.port)),
    ]
    return subprocess.run(
        ["ssh", *options, f"{login.user}@{login.host}", "sh -s"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )


class _Authority:
    """A CA for the time of one measurement."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(f"{name}-ca")
        self._certificate = (
            _dated(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def certificate(self) -> str:
        """PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def crl(self) -> str:
        """A list without an entry, DER in base64: members let nobody in without one."""
        return base64.b64encode(crl.signed(self.certificate, _pem(self._key), ())).decode()

    def issue(self, instance: Instance) -> tuple[str, str]:
        """Certificate and key of a member, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [
            *(x509.DNSName(name) for name in instance.dns_names),
            *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in instance.ip_addresses),
        ]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _dated(_named(instance.name), self._name, key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), _pem(key)


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _dated(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
    )
