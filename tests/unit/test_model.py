"""What follows from the cluster model: names, URLs, certificates' names, the arithmetic of loss."""

import dataclasses

import pytest

from etcd_component.model import Cluster, Instance, Node, Settings
from etcd_component.ssh import Login


def login(host: str = "10.10.10.10") -> Login:
    return Login(host, 22, "root", False, "private", "phrase", False, None)


def node(address: str) -> Node:
    return Node(address, login(address))


def cluster_of(voters: int, learners: int = 0, name: str = "etcd") -> Cluster:
    instances = tuple(
        Instance(name, seq, node(f"10.10.10.{seq}"), learner=voters < seq)
        for seq in range(1, voters + learners + 1)
    )
    return Cluster(name, instances, Settings(version="3.6.14", archive_url="https://a/{version}"))


@pytest.mark.parametrize(
    ("voters", "quorum", "tolerance"),
    [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 2), (6, 4, 2), (7, 4, 3)],
)
def test_more_than_half_of_the_voters_must_agree(voters: int, quorum: int, tolerance: int) -> None:
    cluster = cluster_of(voters)
    assert (cluster.quorum, cluster.fault_tolerance) == (quorum, tolerance)


def test_learners_do_not_count_for_the_quorum() -> None:
    cluster = cluster_of(voters=3, learners=1)
    assert (len(cluster.instances), len(cluster.voters), cluster.quorum) == (4, 3, 2)
    assert cluster.endpoints == ("10.10.10.1:2379", "10.10.10.2:2379", "10.10.10.3:2379")
    assert cluster.client_urls[0] == "https://10.10.10.1:2379"


def test_an_instance_is_named_after_its_cluster_and_number() -> None:
    assert Instance("etcd", 3, node("10.10.10.12")).name == "etcd-3"


@pytest.mark.parametrize(
    ("address", "url_host", "listen_host"),
    [
        ("10.10.10.10", "10.10.10.10", "10.10.10.10"),
        ("fd00::1", "[fd00::1]", "[fd00::1]"),
        ("node-1.example.com", "node-1.example.com", "0.0.0.0"),
    ],
)
def test_an_address_stands_in_urls_as_urls_want_it(
    address: str, url_host: str, listen_host: str
) -> None:
    instance = Instance("etcd", 1, node(address), client_port=12379, peer_port=12380)
    assert instance.client_url == f"https://{url_host}:12379"
    assert instance.peer_url == f"https://{url_host}:12380"
    assert instance.endpoint == f"{url_host}:12379"
    assert instance.node.listen_host == listen_host


@pytest.mark.parametrize(
    ("address", "dns_names", "ip_addresses"),
    [
        ("10.10.10.10", ("etcd", "etcd-1", "localhost"), ("10.10.10.10", "127.0.0.1", "::1")),
        ("fd00::1", ("etcd", "etcd-1", "localhost"), ("127.0.0.1", "::1", "fd00::1")),
        ("127.0.0.1", ("etcd", "etcd-1", "localhost"), ("127.0.0.1", "::1")),
        ("db.example.com", ("db.example.com", "etcd", "etcd-1", "localhost"), ("127.0.0.1", "::1")),
    ],
)
def test_a_certificate_names_everything_that_is_dialled_in_a_fixed_order(
    address: str, dns_names: tuple[str, ...], ip_addresses: tuple[str, ...]
) -> None:
    instance = Instance("etcd", 1, node(address))
    assert instance.dns_names == dns_names
    assert instance.ip_addresses == ip_addresses


def test_clusters_on_one_node_have_units_of_their_own() -> None:
    assert cluster_of(1).unit == "etcd.service"
    assert cluster_of(1, name="events").unit == "etcd-events.service"


def test_an_archive_template_is_filled_for_each_architecture() -> None:
    settings = Settings(
        version="3.6.14",
        archive_url="https://a/v{version}/{arch}.tgz",
        archive_file="/srv/etcd-{version}-{arch}",
    )
    assert settings.archive_url_for("arm64") == "https://a/v3.6.14/arm64.tgz"
    assert settings.archive_file_for("amd64") == "/srv/etcd-3.6.14-amd64"
    assert settings.minor == "3.6"
    assert dataclasses.replace(settings, archive_file=None).archive_file_for("amd64") is None


def test_no_secret_shows_when_the_model_is_printed() -> None:
    settings = Settings(version="3.6.14", archive_url="u", root_password="hunter2", ca_key="cakey")
    cluster = dataclasses.replace(cluster_of(1), settings=settings)
    for secret in ("hunter2", "cakey", "private'", "phrase'"):
        assert secret not in repr(cluster)


def test_the_model_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        cluster_of(1).name = "other"  # type: ignore[misc]
