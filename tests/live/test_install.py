"""Where etcd comes from, and what is given instead of made."""

from __future__ import annotations

import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from lab import Lab
from lab.releases import VERSIONS
from tests.authority import dated, named, pem_of, unlocked
from tests.live.cluster import served_certificate
from tests.live.conftest import Ask, inventory
from tests.live.nodes import FIRST, process, shell, traces
from tests.live.stack import Project

VERSION = VERSIONS[0]
ODD_PASSWORD = 'it\'s a "$(secret)" `\\` pässwörd #{}&;% !'


def archive(lab: Lab) -> str:
    """The lab's archive of the release, on this machine."""
    (file,) = (lab.home / "archive" / f"v{VERSION}").glob("*.tar.gz")
    return str(file)


@pytest.mark.parametrize("login", ["root", "admin"])
def test_an_archive_is_uploaded_where_nodes_reach_no_server(
    nodes: Lab, project: Project, ask: Ask, login: str
) -> None:
    variables = {"etcd_install": "upload", "etcd_archive_file": archive(nodes)}
    stack = project.stack({"sshUser": login} | inventory(nodes, 1, **variables))
    # In a directory of everybody a link could stand where the archive goes.
    shell(nodes, FIRST, "echo untouched >/srv/victim; chmod 644 /srv/victim")
    name = f"etcd-{VERSION}-etcd-1-{nodes.address(0)}.tar.gz"
    plant = f"ln -sfn /srv/victim /var/tmp/{name}; ln -sfn /srv/victim /tmp/{name}"
    shell(nodes, FIRST, f"setpriv --reuid=nobody --clear-groups sh -c '{plant}'")
    stack.up()
    assert shell(nodes, FIRST, "cat /srv/victim").strip() == "untouched"
    assert shell(nodes, FIRST, "ls /root/etcd-* /home/admin/etcd-* 2>/dev/null; :") == ""
    shell(nodes, FIRST, f"rm /srv/victim /var/tmp/{name} /tmp/{name}")
    ask(stack).assert_one_healthy_cluster("etcd-1")
    before = process(nodes, FIRST)
    assert stack.up().changed == {}
    assert process(nodes, FIRST) == before


def test_programs_that_are_there_already_are_used(nodes: Lab, project: Project, ask: Ask) -> None:
    url = nodes.archive_url.format(version=VERSION, arch="amd64")
    shell(
        nodes,
        FIRST,
        f"curl -fsS {url} | tar -xzf - -C /usr/local/bin --no-same-owner --strip-components=1"
        " --wildcards '*/etcd' '*/etcdctl' '*/etcdutl'",
    )
    stack = project.stack(inventory(nodes, 1, etcd_install="preinstalled", etcd_version=VERSION))
    stack.up()
    ask(stack).assert_one_healthy_cluster("etcd-1")
    # Ours must not lie over what the machine has.
    assert shell(nodes, FIRST, "/usr/local/bin/etcd --version").startswith("etcd Version")
    stack.destroy()
    assert shell(nodes, FIRST, "/usr/local/bin/etcd --version").startswith("etcd Version")
    assert shell(nodes, FIRST, "/usr/local/bin/etcdctl version").startswith("etcdctl version")


def test_an_archive_with_another_checksum_is_not_installed(nodes: Lab, project: Project) -> None:
    sums = {"amd64": "0" * 64, "arm64": "0" * 64}
    stack = project.stack(inventory(nodes, 1, etcd_archive_sha256=sums))
    refused = stack.up(check=False)
    assert refused.status != 0
    assert re.search(rf"SHA-256 is [0-9a-f]{{64}}, but {'0' * 64} is expected", refused.text)
    assert not [trace for trace in traces(nodes, FIRST) if "versions" in trace]
    assert shell(nodes, FIRST, "ls /opt/etcd/versions 2>/dev/null || :") == ""


def test_the_newest_line_runs_too(nodes: Lab, project: Project, ask: Ask) -> None:
    # The oldest is where test_versions begins.
    version = VERSIONS[2]
    stack = project.stack(inventory(nodes, 1, etcd_version=version))
    stack.up()
    asked = ask(stack)
    asked.assert_one_healthy_cluster("etcd-1")
    assert asked.statuses()[0]["version"] == version


def own_authority() -> tuple[str, str]:
    """A CA's certificate and key, as a person has them from elsewhere."""
    key, name = ec.generate_private_key(ec.SECP384R1()), named("pigsty-ca")
    certificate = (
        dated(name, name, key, days=7000)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return pem_of(certificate), unlocked(key)


def test_a_given_ca_and_a_given_password_with_odd_characters_are_used(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    certificate, key = own_authority()
    stack = project.stack(inventory(nodes, 1))
    stack.set_secret("etcd_root_password", ODD_PASSWORD)
    stack.set_secret("etcd_ca_key", key)
    stack.write(stack.config | {"etcd_ca_cert": certificate})
    stack.up()

    asked = ask(stack)
    asked.assert_one_healthy_cluster("etcd-1")
    assert asked.environment["ETCDCTL_PASSWORD"] == ODD_PASSWORD
    assert stack.client_environment() == asked.environment
    assert stack.output("ca_cert").strip() == certificate.strip()
    served = served_certificate(nodes.address(0))
    served.verify_directly_issued_by(x509.load_pem_x509_certificate(certificate.encode()))
    before = process(nodes, FIRST)
    assert stack.up().changed == {}
    assert process(nodes, FIRST) == before
