"""New keys at once, and the rotation of CAs: each step is one edit and one `pulumi up`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from bench.writer import Writer
from tests.authority import Authority, unlocked
from tests.live.cluster import served_certificate
from tests.live.conftest import inventory
from tests.live.nodes import processes

if TYPE_CHECKING:
    from lab import Lab
    from tests.live.cluster import Asked
    from tests.live.conftest import Ask
    from tests.live.stack import Outcome, Project, Stack

NAMES = ("etcd-1", "etcd-2", "etcd-3")


def serials(lab: Lab, count: int) -> set[int]:
    """Serial numbers as served now, the same on both ports of a member."""
    found = set()
    for position in range(count):
        address = lab.address(position)
        clients, peers = (served_certificate(address, port) for port in (2379, 2380))
        assert clients == peers
        found.add(clients.serial_number)
    assert len(found) == count
    return found


def keys(lab: Lab, count: int) -> set[bytes]:
    """Public keys as served now."""
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    served = (served_certificate(lab.address(position)) for position in range(count))
    return {one.public_key().public_bytes(*form) for one in served}


def signers(lab: Lab, count: int) -> set[str]:
    """Names of the CAs that signed what the members serve."""
    issuers = (served_certificate(lab.address(position)).issuer for position in range(count))
    return {one.rfc4514_string().split("CN=")[1].split(",")[0] for one in issuers}


def kept_aside(asked: Asked, place: Path) -> Asked:
    """The same client, with copies of its files: it does not hear of what changes later."""
    place.mkdir()
    copies = {}
    for name in ("ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"):
        copies[name] = str(place / name)
        Path(copies[name]).write_bytes(Path(asked.environment[name]).read_bytes())
    return replace(asked, environment=asked.environment | copies)


def refused(stack: Stack, **variables: object) -> str:
    """What a preview says to an edit that it refuses. The edit is taken back."""
    before = stack.config
    stack.edit(**variables)
    outcome = stack.preview(check=False)
    stack.write(before)
    assert outcome.status != 0, outcome.text
    return outcome.text


def up_under_a_writer(stack: Stack, asked: Asked) -> Outcome:
    """`pulumi up` while this client writes; no acknowledged write is lost."""
    with Writer(asked.access()) as writer:
        outcome = stack.up()
    assert not writer.lost()
    print(f"longest gap {writer.longest_gap() * 1000:.0f} ms, {writer.failed} attempts failed")
    return outcome


def test_a_raised_generation_makes_new_keys_without_a_restart(
    three: Stack, lab: Lab, ask: Ask
) -> None:
    before, running = serials(lab, 3) | keys(lab, 3), processes(lab, 3)
    client = Path(ask(three).environment["ETCDCTL_KEY"]).read_text()

    three.edit(etcd_cert_generation=2)
    # Keys have other names; requests and certificates are made again under their own.
    assert three.preview().changed == {"create": 5, "update": 3, "delete": 5, "replace": 10}
    three.up()

    assert not (serials(lab, 3) | keys(lab, 3)) & before
    assert processes(lab, 3) == running
    ask(three).assert_one_healthy_cluster(*NAMES)
    assert Path(ask(three).environment["ETCDCTL_KEY"]).read_text() != client
    assert three.up().changed == {}


def test_a_ca_takes_over_from_another_under_a_writer(
    nodes: Lab, project: Project, ask: Ask, tmp_path: Path
) -> None:
    stack = project.stack(inventory(nodes, 3, etcd_safeguard=True))
    stack.up()
    cluster_id = ask(stack).assert_one_healthy_cluster(*NAMES)
    first = kept_aside(ask(stack), tmp_path / "first")
    begun = processes(nodes, 3)
    assert "only CA 2 would be trusted" in refused(stack, etcd_ca_trusted=[2])
    assert "CA 2 cannot sign yet" in refused(stack, etcd_ca_trusted=[1, 2], etcd_ca_signing=2)

    # Trusted, in two attempts: until all members run with it, it may not sign.
    stack.edit(etcd_ca_trusted=[1, 2], etcd_ca_signing=1)
    assert stack.preview().changed == {"create": 3, "update": 6}
    stack.killed_when(" etcd-1-rollout updated ")
    assert "CA 2 cannot sign yet" in refused(stack, etcd_ca_signing=2)
    up_under_a_writer(stack, first)
    assert all(new != old for new, old in zip(processes(nodes, 3), begun, strict=True))
    assert signers(nodes, 3) == {"etcd-ca"}
    assert stack.up().changed == {}

    # It signs: no restart, and clients of either CA get in.
    both = kept_aside(ask(stack), tmp_path / "both")
    begun = processes(nodes, 3)
    assert "only CA 2 would be trusted" in refused(stack, etcd_ca_trusted=[2], etcd_ca_signing=2)
    stack.edit(etcd_ca_signing=2)
    signed = up_under_a_writer(stack, both)
    assert signed.changed == {"created": 1, "updated": 3, "deleted": 1, "replaced": 5}
    assert processes(nodes, 3) == begun
    assert signers(nodes, 3) == {"etcd-ca-2"}
    ask(stack).assert_one_healthy_cluster(*NAMES)
    both("get", "asked")

    # The first goes, and with it whoever has a certificate of it.
    second = kept_aside(ask(stack), tmp_path / "second")
    assert "only CA 1 would be trusted" in refused(stack, etcd_ca_trusted=[1], etcd_ca_signing=1)
    stack.edit(etcd_ca_trusted=[2])
    dropped = up_under_a_writer(stack, second)
    assert dropped.changed == {"updated": 6, "deleted": 3}
    assert len(re.findall(r"^ -  tls:\S+ etcd-ca deleted", dropped.text, re.MULTILINE)) == 2
    assert ask(stack).assert_one_healthy_cluster(*NAMES) == cluster_id
    second("get", "asked")
    assert both.run("get", "asked").returncode != 0
    assert stack.up().changed == {}


def test_a_given_ca_gives_way_to_our_own_and_comes_back(
    nodes: Lab, project: Project, ask: Ask
) -> None:
    given = Authority(name="given CA")
    stack = project.stack(inventory(nodes, 1))
    stack.set_secret("etcd_ca_key", unlocked(given.key))
    stack.write(stack.config | {"etcd_ca_cert": given.pem})
    stack.up()
    assert signers(nodes, 1) == {"given CA"}

    # A node refuses by itself what a preview would have refused.
    stack.edit(etcd_ca_trusted=[1])
    skipped = stack.up(check=False)
    assert "a CA that members trust now is not in the new bundle" in skipped.text
    assert "Nothing was changed" in skipped.text
    ask(stack).assert_one_healthy_cluster("etcd-1")

    steps: list[tuple[list[object], object, str]] = [
        (["given", 1], "given", "given CA"),
        (["given", 1], 1, "etcd-ca"),
        ([1], 1, "etcd-ca"),
        ([1, "given"], 1, "etcd-ca"),
        ([1, "given"], "given", "given CA"),
    ]
    for trusted, signing, signer in steps:
        stack.edit(etcd_ca_trusted=trusted, etcd_ca_signing=signing)
        said = stack.up().text
        # Valid for 30 days, so it ends soon wherever it is trusted.
        assert ("the CA in etcd_ca_cert ends on" in said) == ("given" in trusted), said
        assert signers(nodes, 1) == {signer}
        ask(stack).assert_one_healthy_cluster("etcd-1")
    other = Authority(name="another CA")
    stack.set_secret("etcd_ca_key", unlocked(other.key))
    stack.write(stack.config | {"etcd_ca_cert": other.pem})
    assert "not exchanged for another in place" in stack.preview(check=False).text


def test_what_ends_soon_is_told_until_it_is_renewed(nodes: Lab, project: Project) -> None:
    brief = {"etcd_cert_days": 20, "etcd_cert_renew_days": 1, "etcd_ca_days": 20}
    stack = project.stack(inventory(nodes, 1, **brief))
    made, seen = stack.up().text, stack.preview().text
    for what in ("the certificate of etcd-1", "the certificate of etcd-client", "CA 1 of"):
        assert what in made, made
        assert what in seen, seen
    stack.edit(etcd_cert_days=300, etcd_cert_renew_days=60, etcd_ca_days=400)
    told = stack.preview().text
    assert "the certificate of" not in told
    assert "CA 1 of cluster etcd ends on" in told
