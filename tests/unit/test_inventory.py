"""The inventory: what makes a cluster, which mistakes are found, and how they are told."""

import dataclasses
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component import inventory, versions
from etcd_component.inventory.site import Site
from etcd_component.inventory.values import Said
from etcd_component.mistake import InvalidInventory, Mistake
from etcd_component.model import Cluster
from tests.authority import Authority, unlocked

Read = Callable[..., tuple[tuple[Cluster, ...], tuple[str, ...]]]
Mistakes = Callable[..., tuple[Mistake, ...]]
MakeCluster = Callable[..., Cluster]

THREE = """
    etcd:
      hosts:
        10.10.10.10: { etcd_seq: 1 }
        10.10.10.11: { etcd_seq: 2 }
        10.10.10.12: { etcd_seq: 3 }
      vars:
        etcd_cluster: etcd
"""


def group(hosts: Mapping[Any, Any] | None = None, **vars_: Any) -> dict[str, Any]:
    """An inventory of one group."""
    return {"etcd": {"hosts": hosts or {"10.10.10.10": {"etcd_seq": 1}}, "vars": vars_}}


def seats(*addresses: Any, **more: Any) -> dict[Any, Any]:
    """Hosts numbered from one."""
    return {address: {"etcd_seq": seq, **more} for seq, address in enumerate(addresses, 1)}


# --- clusters


def test_the_cluster_models_fragment_is_a_cluster_as_it_stands(read: Read) -> None:
    (cluster,), warnings = read(THREE)
    assert cluster.name == "etcd"
    assert [one.name for one in cluster.instances] == ["etcd-1", "etcd-2", "etcd-3"]
    assert [one.node.address for one in cluster.instances] == [
        "10.10.10.10",
        "10.10.10.11",
        "10.10.10.12",
    ]
    assert warnings == ()


def test_what_is_not_said_is_as_in_pigsty(cluster: MakeCluster) -> None:
    made = cluster()
    (instance,) = made.instances
    assert made.name == "etcd"
    assert (instance.data_dir, instance.client_port, instance.peer_port, instance.learner) == (
        "/data/etcd",
        2379,
        2380,
        False,
    )
    settings = made.settings
    assert settings.version == versions.newest("3.6")
    assert (settings.election_timeout, settings.heartbeat_interval) == (1000, 100)
    assert (settings.quota_bytes, settings.compaction_retention) == (8 * 1024**3, "24h")
    assert (settings.safeguard, settings.rm_data, settings.rm_pkg) == (False, True, False)
    assert settings.root_password is None
    assert settings.archive_url_for("amd64") == (
        f"https://github.com/etcd-io/etcd/releases/download/v{settings.version}"
        f"/etcd-v{settings.version}-linux-amd64.tar.gz"
    )
    assert settings.archive_sha256 == versions.published()[settings.version]


def test_a_group_without_seats_is_no_cluster(read: Read) -> None:
    clusters, _ = read(THREE + "\n    infra: {hosts: {10.10.10.9: {infra_seq: 1}}}\n    empty:\n")
    assert [one.name for one in clusters] == ["etcd"]


def test_groups_may_stand_below_all_children(read: Read) -> None:
    (cluster,), _ = read(
        """
        all:
          vars: { etcd_port: 1, etcd_peer_port: 2, etcd_election_timeout: 2000 }
          children:
            etcd:
              hosts: { 10.10.10.10: { etcd_seq: 1, etcd_peer_port: 4 } }
              vars: { etcd_cluster: meta, etcd_port: 3 }
        """
    )
    (instance,) = cluster.instances
    assert (cluster.name, cluster.settings.election_timeout) == ("meta", 2000)
    assert (instance.client_port, instance.peer_port) == (3, 4)


def test_a_host_may_be_described_elsewhere(read: Read) -> None:
    (cluster,), _ = read(
        """
        all:
          hosts: { 10.10.10.10: { ansible_user: dba } }
          children:
            infra: { hosts: { 10.10.10.10: { infra_seq: 1, ansible_host: 192.0.2.1 } } }
            etcd: { hosts: { 10.10.10.10: { etcd_seq: 1, ansible_port: 2222 } } }
        """
    )
    login = cluster.instances[0].node.login
    assert (login.user, login.host, login.port, login.sudo) == ("dba", "192.0.2.1", 2222, True)
    assert cluster.instances[0].client_url == "https://10.10.10.10:2379"


def test_all_may_itself_be_the_cluster(read: Read) -> None:
    (cluster,), _ = read("all: {hosts: {10.10.10.10: {etcd_seq: 1}}, vars: {etcd_cluster: meta}}")
    assert cluster.name == "meta"


def test_several_clusters_may_share_a_node(read: Read) -> None:
    clusters, _ = read(
        """
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        events:
          hosts: {10.10.10.10: {etcd_seq: 1}}
          vars: {etcd_cluster: events, etcd_port: 1, etcd_peer_port: 2, etcd_data: /data/events}
        """
    )
    assert [one.unit for one in clusters] == ["etcd.service", "etcd-events.service"]


def test_order_in_the_yaml_means_nothing(read: Read, mistakes: Mistakes) -> None:
    def shuffled(value: Any, order: random.Random) -> Any:
        if not isinstance(value, dict):
            return value
        items = [(key, shuffled(one, order)) for key, one in value.items()]
        order.shuffle(items)
        return dict(items)

    good = yaml.safe_load(THREE) | {
        "all": {"vars": {"etcd_metrics": "basic"}, "hosts": {"10.10.10.11": {"ansible_port": 23}}},
        "events": group(seats("10.10.10.20"), etcd_cluster="events")["etcd"],
    }
    bad = group(seats("10.10.10.10", "bad_name", "0.0.0.0"), etcd_port=2380, etcd_foo=1)
    bad["other"] = group(seats("10.10.10.10"))["etcd"]
    for seed in range(20):
        order = random.Random(seed)
        assert read(shuffled(good, order)) == read(good)
        assert mistakes(shuffled(bad, order)) == mistakes(bad)


def test_instances_are_in_the_order_of_their_numbers(cluster: MakeCluster) -> None:
    made = cluster({"c": {"etcd_seq": 10}, "a": {"etcd_seq": 9}, "b": {"etcd_seq": 1}})
    assert [one.name for one in made.instances] == ["etcd-1", "etcd-9", "etcd-10"]


# --- values


@pytest.mark.parametrize(
    ("name", "written", "read_as"),
    [
        ("election_timeout", "2000", 2000),
        ("election_timeout", 2000.0, 2000),
        ("quota", 1073741824, 1024**3),
        ("quota", "2GiB", 2 * 1024**3),
        ("quota", "512 MiB", 512 * 1024**2),
        ("compaction_retention", "90m", "90m"),
        ("compaction_retention", 12, "12h"),
        ("compaction_retention", "0", "0h"),
        ("snapshot_count", 50000, 50000),
        ("metrics", "basic", "basic"),
        ("log_level", "warn", "warn"),
        ("version", "v3.6.13", "3.6.13"),
        ("safeguard", "yes", True),
        ("safeguard", "False", False),
        ("rm_data", "off", False),
        ("rm_pkg", 1, True),
        ("cert_days", 30, 30),
        ("options", {"max-txn-ops": 1024}, {"max-txn-ops": 1024}),
        ("root_password", "with space and {brace}", "with space and {brace}"),
    ],
)
def test_a_setting_is_read(cluster: MakeCluster, name: str, written: Any, read_as: Any) -> None:
    field = {"quota": "quota_bytes"}.get(name, name)
    vars_ = {f"etcd_{name}": written} | (
        {"etcd_cert_renew_days": 10} if name == "cert_days" else {}
    )
    assert getattr(cluster(**vars_).settings, field) == read_as


AUTHORITY = Authority()
PEM_CERT, PEM_KEY = AUTHORITY.pem, unlocked(AUTHORITY.key)


def test_a_ca_of_ones_own_is_certificate_and_key(cluster: MakeCluster) -> None:
    settings = cluster(etcd_ca_cert=PEM_CERT, etcd_ca_key=PEM_KEY).settings
    assert (settings.ca_cert, settings.ca_key) == (PEM_CERT, PEM_KEY)


BOTH = {"etcd_ca_cert": PEM_CERT, "etcd_ca_key": PEM_KEY}


@pytest.mark.parametrize(
    ("vars_", "trusted", "signer"),
    [
        ({}, (1,), 1),
        ({"etcd_ca_trusted": [2]}, (2,), 2),
        ({"etcd_ca_trusted": [2, 1], "etcd_ca_signing": 1}, (1, 2), 1),
        ({"etcd_ca_trusted": ["1", "2"], "etcd_ca_signing": "2"}, (1, 2), 2),
        (BOTH, ("given",), "given"),
        ({**BOTH, "etcd_ca_trusted": [1]}, (1,), 1),
        (
            {**BOTH, "etcd_ca_trusted": [1, "given"], "etcd_ca_signing": "given"},
            ("given", 1),
            "given",
        ),
        (
            {
                "etcd_ca_cert": PEM_CERT,
                "etcd_ca_trusted": ["given", 1],
                "etcd_ca_signing": 1,
            },
            ("given", 1),
            1,
        ),
    ],
)
def test_cas_are_trusted_in_one_order_and_one_of_them_signs(
    cluster: MakeCluster, vars_: dict[str, Any], trusted: Any, signer: Any
) -> None:
    settings = cluster(**vars_).settings
    assert (settings.authorities, settings.signer) == (trusted, signer)


@pytest.mark.parametrize(
    ("vars_", "place", "problem"),
    [
        ({"etcd_ca_trusted": []}, "etcd_ca_trusted", "it is empty"),
        ({"etcd_ca_trusted": 1}, "etcd_ca_trusted", "1 is not a list"),
        ({"etcd_ca_trusted": "given"}, "etcd_ca_trusted", "is not a list"),
        ({"etcd_ca_trusted": [1, "1"]}, "etcd_ca_trusted", "names a CA twice"),
        ({"etcd_ca_trusted": [0]}, "etcd_ca_trusted", "0 is neither a number from 1"),
        ({"etcd_ca_trusted": [True]}, "etcd_ca_trusted", "true is neither a number"),
        ({"etcd_ca_trusted": ["gegeben"]}, "etcd_ca_trusted", "nor the word given"),
        ({"etcd_ca_trusted": [1, 2]}, "etcd_ca_trusted", "which of the CAs 1, 2 signs"),
        ({"etcd_ca_signing": 2}, "etcd_ca_signing", "CA 2 would sign, but only 1 is trusted"),
        (
            {"etcd_ca_trusted": [1, 2], "etcd_ca_signing": 3},
            "etcd_ca_signing",
            "CA 3 would sign, but only 1, 2 is trusted",
        ),
        ({"etcd_ca_trusted": ["given"]}, "etcd_ca_trusted", "no CA is given"),
        ({"etcd_ca_key": PEM_KEY}, "etcd_ca_key", "it has no partner"),
        (
            {
                "etcd_ca_cert": PEM_CERT,
                "etcd_ca_trusted": ["given", 1],
                "etcd_ca_signing": "given",
            },
            "etcd_ca_cert",
            "this CA signs, but its key is missing",
        ),
    ],
)
def test_cas_that_cannot_stand_are_said_once_with_their_place(
    mistakes: Mistakes, vars_: dict[str, Any], place: str, problem: str
) -> None:
    hosts = {"10.10.10.10": {"etcd_seq": 1}}
    (found,) = mistakes({"etcd": {"hosts": hosts, "vars": vars_}})
    assert found.place == f"etcd.vars.{place}"
    assert problem in found.problem


HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("written", "sums"),
    [
        (HEX.upper(), {"amd64": HEX, "arm64": HEX}),
        ({"arm64": HEX}, {"arm64": HEX}),
    ],
)
def test_a_checksum_of_ones_own_wins(cluster: MakeCluster, written: Any, sums: Any) -> None:
    made = cluster(etcd_version="3.6.999", etcd_archive_sha256=written)
    assert made.settings.archive_sha256 == sums


@pytest.mark.parametrize("install", ["package", "preinstalled"])
def test_without_an_archive_no_checksum_is_needed(cluster: MakeCluster, install: str) -> None:
    settings = cluster(etcd_install=install, etcd_version="3.6.999").settings
    assert (settings.install, settings.archive_sha256) == (install, {})


def test_an_uploaded_archive_is_found_from_the_inventorys_folder(
    cluster: MakeCluster, tmp_path: Path
) -> None:
    (tmp_path / "etcd-3.6.14-arm64").touch()
    settings = cluster(
        seats("10.10.10.1", etcd_arch="arm64"),
        etcd_install="upload",
        etcd_archive_file="etcd-{version}-{arch}",
    ).settings
    assert settings.archive_file_for("arm64") == f"{tmp_path}/etcd-3.6.14-arm64"


def test_the_newest_release_that_the_site_has_is_the_default(read: Read, site: Site) -> None:
    mirror = dataclasses.replace(site, checksums={"3.6.99": {"amd64": HEX}, "3.7.9": {}})
    (cluster,), _ = read(THREE, site=mirror)
    assert cluster.settings.version == "3.6.99"
    assert cluster.settings.archive_sha256 == {"amd64": HEX}


def test_the_inventory_wins_over_the_stack_and_all_clusters_share_the_stacks(
    read: Read, site: Site
) -> None:
    site = dataclasses.replace(site, archive_url=Said("https://mirror/{arch}", "etcd:archiveUrl"))
    (own, shared), _ = read(
        {
            "a": group(etcd_cluster="a", etcd_root_password="own", etcd_archive_url="https://own")[
                "etcd"
            ],
            "b": group(seats("10.10.10.20"), etcd_cluster="b")["etcd"],
        },
        site=site,
        secrets={"etcd_root_password": "shared"},
    )
    assert (own.settings.root_password, shared.settings.root_password) == ("own", "shared")
    assert own.settings.archive_url == "https://own"
    assert shared.settings.archive_url == "https://mirror/{arch}"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("FD00:0:0::1", "fd00::1"),
        ("fd00::1", "fd00::1"),
        ("Node-1.Example.COM", "node-1.example.com"),
        ("10.10.10.10", "10.10.10.10"),
    ],
)
def test_an_address_has_one_form(cluster: MakeCluster, written: str, address: str) -> None:
    assert cluster(seats(written)).instances[0].node.address == address


def test_a_lone_member_may_be_on_loopback(cluster: MakeCluster) -> None:
    assert cluster(seats("127.0.0.1")).instances[0].node.address == "127.0.0.1"


def test_a_learner_is_an_instance_that_does_not_vote(cluster: MakeCluster) -> None:
    made = cluster(seats("10.10.10.1") | {"10.10.10.2": {"etcd_seq": 2, "etcd_learner": True}})
    assert [one.learner for one in made.instances] == [False, True]


def test_a_machine_is_not_looked_for_where_it_is_not(read: Read, site: Site) -> None:
    checked = dataclasses.replace(site.access, check_host_keys=True)
    with pytest.raises(InvalidInventory) as invalid:
        read(
            group({"10.10.10.1": {"etcd_seq": 1, "ansible_host": "host_1"}}),
            site=dataclasses.replace(site, access=checked),
        )
    (mistake,) = invalid.value.mistakes
    assert mistake.place == "etcd.hosts.10.10.10.1.ansible_host"


def test_ansibles_second_names_are_understood(cluster: MakeCluster) -> None:
    login = cluster({"a": {"etcd_seq": 1, "ansible_ssh_host": "b", "ansible_ssh_user": "c"}})
    assert login.instances[0].node.login.host == "b"
    assert login.instances[0].node.login.user == "c"


@pytest.mark.parametrize(
    ("first", "second"),
    [("ansible_host", "ansible_ssh_host"), ("ansible_ssh_user", "ansible_user")],
)
def test_two_names_of_one_variable_must_agree(
    mistakes: Mistakes, cluster: MakeCluster, first: str, second: str
) -> None:
    (mistake,) = mistakes(group({"a": {"etcd_seq": 1, first: "b", second: "c"}}))
    assert mistake.place == f"etcd.hosts.a.{second}"
    assert mistake.problem == f"etcd.hosts.a.{first} says something else"
    cluster({"a": {"etcd_seq": 1, first: "b", second: "b"}})


# --- mistakes


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("etcd_cluster", "etcd_main", "is not a DNS name"),
        ("etcd_cluster", "Etcd", "is not a DNS name"),
        ("etcd_cluster", "-etcd", "is not a DNS name"),
        ("etcd_cluster", "a..b", "is not a DNS name"),
        ("etcd_cluster", "x" * 51, "has 51 characters"),
        ("etcd_cluster", "localhost", "every machine has that name"),
        ("etcd_cluster", 7, "7 is not text"),
        ("etcd_cluster", "", "it is empty"),
        ("etcd_cluster", None, "it has no value"),
        ("etcd_cluster", "{{ name }}", "a Jinja expression is worked out by Ansible only"),
        ("etcd_port", 0, "0 is not between 1 and 65535"),
        ("etcd_port", 65536, "65536 is not between 1 and 65535"),
        ("etcd_port", "0x94b", '"0x94b" is not a whole number'),
        ("etcd_port", "010", '"010" is not a whole number'),
        ("etcd_port", 23.5, "23.5 is not a whole number"),
        ("etcd_port", True, "true is not a whole number"),
        ("etcd_learner", "maybe", "is neither true nor false"),
        ("etcd_init", "now", "is not one of new, existing"),
        ("etcd_version", 3.6, '"3.6" is a line of releases, not a release'),
        ("etcd_version", "3.4.23", "end of life"),
        ("etcd_version", "3.6.999", "no checksum of etcd 3.6.999 is known"),
        ("etcd_install", "docker", "is not one of archive, upload, package, preinstalled"),
        ("etcd_install", "package", "with etcd_install: package it must be said"),
        ("etcd_install", "preinstalled", "with etcd_install: preinstalled it must be said"),
        ("etcd_install", "upload", "with etcd_install: upload it must be said"),
        ("etcd_archive_url", "ftp://a/b", "is not a URL that a node can fetch"),
        ("etcd_archive_url", "/srv/etcd.tgz", "is not a URL that a node can fetch"),
        ("etcd_archive_url", "https://me:secret@a/b", "it has an @, as after a login"),
        ("etcd_archive_url", "https://a/{os}", "has other braces"),
        ("etcd_archive_sha256", "abc", "is not a SHA-256"),
        ("etcd_archive_sha256", {"s390x": HEX}, "is not for amd64 or arm64"),
        ("etcd_archive_sha256", {}, "is not for amd64 or arm64"),
        ("etcd_election_timeout", 50001, "50001 ms is not between 10 and 50000"),
        ("etcd_election_timeout", 499, "499 ms is less than 5 heartbeats of 100 ms"),
        ("etcd_heartbeat_interval", 201, "1000 ms is less than 5 heartbeats of 201 ms"),
        ("etcd_quota", "8GB", "is not a size"),
        ("etcd_quota", "1MiB", "is not between 16MiB and 100GiB"),
        ("etcd_quota", -1, "is not a size"),
        ("etcd_compaction_retention", "1day", "is not a duration"),
        ("etcd_compaction_retention", -1, "is not a duration"),
        ("etcd_snapshot_count", 1, "1 is not between 100 and 10000000"),
        ("etcd_metrics", "all", "is not one of basic, extensive"),
        ("etcd_log_level", "warning", "is not one of debug, info, warn"),
        ("etcd_options", ["a"], "it is a list, not a mapping"),
        ("etcd_options", {"no-such-key": 1}, "etcd 3.6 does not know it"),
        # What would make a certificate alone a login, or put another list in the place of ours.
        ("etcd_options", {"client-transport-security": {"client-cert-auth": True}}, "writes it"),
        ("etcd_options", {"client-cert-auth": True}, "etcd 3.6 does not know it"),
        ("etcd_options", {"ClientTLSInfo": {"CRLFile": ""}}, "etcd 3.6 does not know it"),
        ("etcd_root_password", "", "it is empty"),
        ("etcd_root_password", 12345678, "it is not text"),
        ("etcd_root_password", "é" * 37, "it has 74 bytes"),
        ("etcd_root_password", "a\nb", "it has a line break"),
        ("etcd_root_password", "a\ud83db", "another character that does not print"),
        ("etcd_root_password", "a\0b", "another character that does not print"),
        ("etcd_ca_cert", PEM_CERT, "this CA signs, but its key is missing"),
        ("etcd_ca_key", PEM_KEY, "it has no partner"),
        ("etcd_ca_cert", PEM_KEY, "it is not a certificate in PEM form"),
        ("etcd_ca_key", PEM_CERT, "it is not a private key in PEM form"),
        ("etcd_ca_key", PEM_KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"), "the key is encrypted"),
        ("etcd_cert_days", 365, "valid for 365 days would be renewed 365 days before their end"),
        ("etcd_cert_renew_days", 1825, "would be renewed 1825 days before"),
        ("etcd_ca_days", 1824, "a CA valid for 1824 days cannot vouch for 1825 days"),
        ("etcd_data", "data/etcd", "is not an absolute path"),
        ("etcd_data", "/", "is shared with others"),
        ("etcd_data", "/data", "is shared with others"),
        ("etcd_data", "/data/", "is shared with others"),
        ("etcd_data", "/var/lib", "is shared with others"),
        ("etcd_data", "/etc/etcd", "belongs to the system"),
        ("etcd_data", "/usr/local/etcd", "belongs to the system"),
        ("etcd_data", "/run/etcd", "belongs to the system or is lost at a reboot"),
        ("etcd_data", "/var/tmp/etcd", "lost at a reboot"),
        ("etcd_data", "/data/../etc", "leads up"),
        ("etcd_data", "/data/my etcd", "more than letters"),
        ("etcd_peer_port", 2379, "clients and peers cannot share port 2379"),
        ("etcd_seq", 1, "etcd_seq belongs to one host, not to all"),
        ("ansible_host", "10.0.0.1", "ansible_host belongs to one host, not to all"),
        ("ansible_user", "-oProxyCommand=x", "is not a login name"),
        ("ansible_port", "ssh", "is not a whole number"),
    ],
)
def test_a_value_that_cannot_stand_is_said_where_it_stands(
    mistakes: Mistakes, name: str, value: Any, problem: str
) -> None:
    (mistake,) = mistakes(group(**{name: value}))
    assert problem in mistake.problem
    assert mistake.place.startswith("etcd.") or mistake.place == "etcd"
    assert mistake.cure


@pytest.mark.parametrize("place", ["vars", "hosts.10.10.10.10"])
@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("etcd_sequence", "etcd_seq"),
        ("etcd_elction_timeout", "etcd_election_timeout"),
        ("etcd_data_dir", "etcd_data"),
        ("ectd_seq", "etcd_seq"),
        ("etcdd_port", "etcd_port"),
        ("etcd-port", "etcd_port"),
        ("ETCD_PORT", "etcd_port"),
        ("ansible_hosts", "ansible_host"),
    ],
)
def test_a_misspelt_parameter_is_told_the_nearest(
    mistakes: Mistakes, place: str, written: str, nearest: str
) -> None:
    made = group({"10.10.10.10": {"etcd_seq": 1}})
    (made["etcd"]["vars"] if place == "vars" else made["etcd"]["hosts"]["10.10.10.10"])[written] = 1
    assert mistakes(made) == (
        Mistake(
            f"etcd.{place}.{written}", "there is no such parameter", f"did you mean {nearest}?"
        ),
    )


def test_what_other_modules_and_ansible_say_is_passed_over(read: Read) -> None:
    others = [
        "node_cluster",
        "node_data",
        "pg_seq",
        "pg_port",
        "pg_etcd_password",
        "redis_port",
        "minio_cluster",
        "minio_data",
        "infra_seq",
        "vip_address",
        "nginx_port",
        "patroni_port",
        "haproxy_services",
        "repo_url_packages",
        "ansible_connection",
        "ansible_python_interpreter",
        "ansible_become_method",
        "ansible_user_id",
    ]
    _, warnings = read(
        {
            "all": {"vars": dict.fromkeys(others, "{{ anything }}")},
            **group(seats("10.10.10.10", pg_role="primary")),
        }
    )
    assert warnings == ()


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        (10, "10 is not an address"),
        (10.1, "10.1 is not an address"),
        ("10.10.10", "is not an IPv4 address"),
        ("10.10.10.256", "is not an IPv4 address"),
        ("10.10.10.010", "is not an IPv4 address"),
        ("10.10.10.10:22", "has a port"),
        ("10.10.10.[10:12]", "is a range of Ansible"),
        ("[fd00::1]", "has brackets"),
        ("fe80::1%eth0", "has a zone"),
        ("fe80::1", "is valid on one link only"),
        ("169.254.1.1", "is valid on one link only"),
        ("fd00:::1", "is not an IPv6 address"),
        ("::ffff:10.0.0.1", "is IPv4 in disguise"),
        ("0.0.0.0", "means every address"),
        ("::", "means every address"),
        ("224.0.0.1", "is a multicast address"),
        ("ff02::1", "is a multicast address"),
        ("255.255.255.255", "is reserved"),
        ("node_1", "is neither an IP address nor a DNS name"),
        ("-node", "is neither an IP address nor a DNS name"),
        ("a" * 64, "is neither an IP address nor a DNS name"),
        ("node..lab", "is neither an IP address nor a DNS name"),
    ],
)
def test_an_address_that_cannot_be_dialled_is_refused(
    mistakes: Mistakes, host: Any, problem: str
) -> None:
    (mistake,) = mistakes(group(seats(host)))
    assert mistake.place == f"etcd.hosts.{host}"
    assert problem in mistake.problem


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.1.1", "::1", "localhost"])
def test_members_that_must_meet_are_not_on_loopback(mistakes: Mistakes, host: str) -> None:
    (mistake,) = mistakes(group(seats(host, "10.10.10.11", "10.10.10.12")))
    assert mistake.problem == "other members cannot reach a loopback address"


@pytest.mark.parametrize(
    ("seq", "problem"),
    [
        (0, "0 is not between 1"),
        (-1, "-1 is not between 1"),
        ("one", '"one" is not a whole number'),
        ("01", '"01" is not a whole number'),
        (1.5, "1.5 is not a whole number"),
        (True, "true is not a whole number"),
        (None, "it has no value"),
    ],
)
def test_a_seat_number_is_natural(mistakes: Mistakes, seq: Any, problem: str) -> None:
    (mistake,) = mistakes(group({"10.10.10.10": {"etcd_seq": seq}}))
    assert mistake.place == "etcd.hosts.10.10.10.10.etcd_seq"
    assert problem in mistake.problem


def test_every_host_of_a_cluster_has_a_number(mistakes: Mistakes) -> None:
    (mistake,) = mistakes("etcd: {hosts: {10.10.10.10: {etcd_seq: 1}, 10.10.10.11: }}")
    assert mistake.place == "etcd.hosts.10.10.10.11.etcd_seq"
    assert "it is missing" in mistake.problem


def test_a_number_is_given_once_in_a_cluster(mistakes: Mistakes) -> None:
    (mistake,) = mistakes(
        group({"a": {"etcd_seq": 1}, "b": {"etcd_seq": "1"}, "c": {"etcd_seq": 2}})
    )
    assert mistake == Mistake(
        "etcd.hosts.b.etcd_seq", "1 is the number of a too", "give each host its own, such as 3"
    )


def test_an_address_is_given_once_in_a_cluster_however_it_is_written(mistakes: Mistakes) -> None:
    (mistake,) = mistakes(group(seats("fd00::1", "FD00:0::1")))
    assert mistake.place == "etcd.hosts.fd00::1"
    assert mistake.problem == "this is the address of etcd.hosts.FD00:0::1 too"


def test_two_members_of_a_cluster_are_not_one_machine(mistakes: Mistakes) -> None:
    hosts = seats("10.10.10.1", "10.10.10.2", "10.10.10.3")
    hosts["10.10.10.2"]["ansible_host"] = "10.10.10.1"
    (mistake,) = mistakes(group(hosts))
    assert mistake.place == "etcd.hosts.10.10.10.2"
    assert "one machine cannot hold two members" in mistake.problem


@pytest.mark.parametrize(
    ("more", "places"),
    [
        ({}, ["etcd_data", "etcd_peer_port", "etcd_port"]),
        ({"etcd_port": 2380, "etcd_peer_port": 2381}, ["etcd_data", "etcd_port"]),
        ({"etcd_port": 3379, "etcd_peer_port": 3380}, ["etcd_data"]),
        ({"etcd_port": 3379, "etcd_peer_port": 3380, "etcd_data": "/data/etcd/b"}, ["etcd_data"]),
        ({"etcd_port": 3379, "etcd_data": "/data/b"}, ["etcd_peer_port"]),
        ({"etcd_port": 3379, "etcd_peer_port": 3380, "etcd_data": "/data/etcd-b"}, []),
    ],
)
@pytest.mark.parametrize("reached", ["same address", "same login"])
def test_clusters_on_one_machine_share_neither_port_nor_directory(
    mistakes: Mistakes, more: dict[str, Any], places: list[str], reached: str
) -> None:
    second = {"10.10.10.10": {"etcd_seq": 1}}
    if reached == "same login":
        second = {"10.10.10.99": {"etcd_seq": 1, "ansible_host": "10.10.10.10"}}  # type: ignore[dict-item]
    made = {**group(), "second": group(second, etcd_cluster="second", **more)["etcd"]}
    found = [one.place for one in mistakes(made)]
    (host,) = second
    assert found == [f"second.hosts.{host}.{place}" for place in places]


def test_a_cluster_has_a_name_of_its_own(mistakes: Mistakes) -> None:
    (mistake,) = mistakes({**group(), "more": group(seats("10.10.10.20"))["etcd"]})
    assert mistake.place == "more.vars.etcd_cluster"
    assert mistake.problem == "etcd is a cluster named etcd too"


def test_a_cluster_is_not_named_like_an_instance(mistakes: Mistakes) -> None:
    more = group(seats("10.10.10.20"), etcd_cluster="etcd-1")["etcd"]
    (mistake,) = mistakes({**group(), "more": more})
    assert mistake.place == "more.vars.etcd_cluster"
    assert "etcd-1 is the name of the instance at etcd.hosts.10.10.10.10 too" in mistake.problem


def test_a_clusters_parameter_on_a_host_must_say_what_the_cluster_says(mistakes: Mistakes) -> None:
    same = group(seats("10.10.10.10", etcd_cluster="a", etcd_metrics="basic"), etcd_cluster="a")
    (mistake,) = mistakes(same)
    assert mistake == Mistake(
        "etcd.hosts.10.10.10.10.etcd_metrics",
        "etcd_metrics belongs to the cluster, not to one host",
        "put it in etcd.vars",
    )


@pytest.mark.parametrize("why", ["etcd_learner", "etcd_lost"])
def test_a_cluster_needs_a_voter(mistakes: Mistakes, why: str) -> None:
    (mistake,) = mistakes(group(seats("10.10.10.1", **{why: True})))
    assert mistake.problem == "no instance votes: all are learners or lost"


def test_a_lost_machine_is_not_looked_for(read: Read, site: Site) -> None:
    checked = dataclasses.replace(
        site, access=dataclasses.replace(site.access, check_host_keys=True)
    )
    with pytest.raises(InvalidInventory) as invalid:
        read(
            group({**seats("10.10.10.1"), "10.10.10.2": {"etcd_seq": 2, "etcd_lost": 1}}),
            site=checked,
        )
    assert [one.place for one in invalid.value.mistakes] == ["etcd.hosts.10.10.10.1"]


def test_an_upload_needs_the_archive_of_every_architecture(
    mistakes: Mistakes, tmp_path: Path
) -> None:
    (tmp_path / "etcd-amd64").write_bytes(b"archive")
    hosts = seats("10.10.10.1") | {"10.10.10.2": {"etcd_seq": 2, "etcd_arch": "arm64"}}
    file = f"{tmp_path}/etcd-{{arch}}"
    (mistake,) = mistakes(group(hosts, etcd_install="upload", etcd_archive_file=file))
    assert mistake.problem == f"there is no file {tmp_path}/etcd-arm64"


def test_an_archive_cannot_have_a_name_that_no_file_has(mistakes: Mistakes) -> None:
    file = f"/srv/{'x' * 300}"
    (mistake,) = mistakes(group(etcd_install="upload", etcd_archive_file=file))
    assert mistake.problem == f"there is no file {file}"


def test_etcd_takes_one_learner_unless_told(mistakes: Mistakes, cluster: MakeCluster) -> None:
    hosts = {
        **seats("10.10.10.1"),
        "10.10.10.2": {"etcd_seq": 2, "etcd_learner": True},
        "10.10.10.3": {"etcd_seq": 3, "etcd_learner": True},
    }
    (mistake,) = mistakes(group(hosts))
    assert mistake.problem == "2 learners, where etcd 3.6 takes 1"
    assert "{max-learners: 2}" in mistake.cure
    assert cluster(hosts, etcd_options={"max-learners": 2}).quorum == 1


@pytest.mark.parametrize(
    "written",
    [{}, {"etcd": None}, {"etcd": {"hosts": {"10.10.10.10": None}}}, {"all": {"children": {}}}],
)
def test_an_inventory_without_a_cluster_is_a_mistake(mistakes: Mistakes, written: Any) -> None:
    (mistake,) = mistakes(written)
    assert mistake.problem == "no host has an etcd_seq, so there is no cluster"
    assert "etcd_seq: 1" in mistake.cure


@pytest.mark.parametrize(
    ("written", "place", "problem"),
    [
        ("etcd: {hosts: [10.10.10.10]}", "etcd.hosts", "it is a list, not a mapping"),
        ("etcd: 10.10.10.10", "etcd", "it is text, not a mapping"),
        ("etcd: {hosts: {a: 1}}", "etcd.hosts.a", "it is a number, not a mapping"),
        ("etcd: {10.10.10.10: {etcd_seq: 1}}", "etcd.10.10.10.10", "a group has no such key"),
        ("all: {children: [etcd]}", "all.children", "it is a list, not a mapping"),
    ],
)
def test_a_shape_that_is_no_inventory_is_shown(
    mistakes: Mistakes, written: str, place: str, problem: str
) -> None:
    assert (place, problem) in [(one.place, one.problem) for one in mistakes(written)]


def test_hosts_that_are_described_twice_must_agree(mistakes: Mistakes) -> None:
    made = {
        **group(),
        "a": {"hosts": {"10.10.10.10": {"ansible_port": 22}}},
        "b": {"hosts": {"10.10.10.10": {"ansible_port": 23}}},
    }
    (mistake,) = mistakes(made)
    assert mistake.place == "etcd.hosts.10.10.10.10.ansible_port"
    assert (
        "a.hosts.10.10.10.10.ansible_port and b.hosts.10.10.10.10.ansible_port" in mistake.problem
    )
    made["etcd"]["hosts"]["10.10.10.10"]["ansible_port"] = 24
    assert mistakes(made) == ()


def test_all_mistakes_are_told_at_once_and_nothing_was_touched(read: Read) -> None:
    with pytest.raises(InvalidInventory) as invalid:
        read(
            """
            all:
              vars: { etcd_root_password: 12345 }
              children:
                etcd:
                  hosts:
                    10.10.10.10: { etcd_seq: 1, etcd_cluster: other }
                    10.10.10.11: { etcd_seq: 1 }
                    10.10.10.300: { etcd_seq: 3 }
                    10.10.10.13:
                    10.10.10.14: { etcd_sq: 5 }
                    "fd00::1": { etcd_seq: x, etcd_port: 2380 }
                  vars:
                    etcd_cluster: Etcd
                    etcd_heartbeat_interval: 500
                    etcd_data: /etc
                    etcd_options: { election-timeout: 1, no-such: 1 }
                    etcd_version: 3.6
            """
        )
    heading, *lines = str(invalid.value).splitlines()
    assert heading == "15 mistakes to correct; nothing was touched:"
    assert lines == [f"  {number}. {one}" for number, one in enumerate(invalid.value.mistakes, 1)]
    assert [one.place.removeprefix("all.children.etcd.") for one in invalid.value.mistakes] == [
        "hosts.10.10.10.10.etcd_cluster",
        "hosts.10.10.10.11.etcd_seq",
        "hosts.10.10.10.13.etcd_seq",
        "hosts.10.10.10.14.etcd_seq",
        "hosts.10.10.10.14.etcd_sq",
        "hosts.10.10.10.300",
        "hosts.fd00::1.etcd_peer_port",
        "hosts.fd00::1.etcd_seq",
        "vars.etcd_cluster",
        "vars.etcd_data",
        "vars.etcd_heartbeat_interval",
        "vars.etcd_options.election-timeout",
        "vars.etcd_options.no-such",
        "vars.etcd_version",
        "all.vars.etcd_root_password",
    ]


SECRET = "hunter2-and-more"


@pytest.mark.parametrize("name", ["etcd_root_password", "etcd_ca_cert", "etcd_ca_key"])
@pytest.mark.parametrize(
    "value",
    [
        f"{SECRET}\n",
        [SECRET],
        {"k": SECRET},
        f"{SECRET} ENCRYPTED\n",
        SECRET * 9,
        f"{{{{{SECRET}}}}}",
    ],
)
def test_no_mistake_repeats_a_secret(mistakes: Mistakes, name: str, value: Any) -> None:
    found = mistakes({"etcd": {"hosts": {"a": {"etcd_seq": 1}}, "vars": {name: value}}})
    assert found
    assert SECRET not in str(found)


def test_no_warning_repeats_a_secret(read: Read) -> None:
    _, warnings = read(group(etcd_root_password="Etcd.Root"))
    assert warnings
    assert "Etcd.Root" not in "".join(warnings)


def test_vars_that_are_no_mapping_are_not_repeated(mistakes: Mistakes) -> None:
    text = f"etcd_root_password: {SECRET}"
    found = mistakes({"etcd": {"hosts": {"a": {"etcd_seq": 1}}, "vars": text}})
    assert [one.place for one in found] == ["etcd.vars"]
    assert SECRET not in str(found)


# --- warnings


@pytest.mark.parametrize(
    ("voters", "said"),
    [
        (1, []),
        (2, ["2 voters have a quorum of 2 and tolerate 0 lost, as 1 with a quorum of 1 do"]),
        (3, []),
        (4, ["4 voters have a quorum of 3 and tolerate 1 lost, as 3 with a quorum of 2 do"]),
        (5, []),
        (7, []),
        (8, ["as 7 with a quorum of 4 do", "every write waits for 5 of them"]),
        (9, ["9 voters have a quorum of 5 and tolerate 4 lost, but every write waits for 5"]),
    ],
)
def test_a_size_that_brings_nothing_comes_with_the_arithmetic(
    read: Read, voters: int, said: list[str]
) -> None:
    _, warnings = read(group(seats(*(f"10.10.10.{n}" for n in range(1, voters + 1)))))
    assert len(warnings) == len(said)
    assert all(part in warning for part, warning in zip(said, warnings, strict=True))


@pytest.mark.parametrize(
    ("vars_", "said"),
    [
        ({"etcd_init": "existing"}, "etcd_init is not needed"),
        ({"etcd_version": "3.6.13"}, "GHSA-xg4h-6gfc-h4m8"),
        ({"etcd_root_password": "Etcd.Root"}, "Pigsty's published default"),
        ({"etcd_quota": "16GiB"}, "a quota of 16 GiB is more than the 8 GiB"),
        (
            {"etcd_options": {"experimental-memory-mlock": True}},
            "etcd 3.6 calls experimental-memory-mlock otherwise; written is memory-mlock: True",
        ),
        ({"ansible_ssh_common_args": "-J gate"}, "etcd:sshBastion"),
        ({"ansible_become_password": "x"}, "sudo is used without a password"),
    ],
)
def test_what_may_stand_but_should_be_known_is_said_once(
    read: Read, vars_: dict[str, Any], said: str
) -> None:
    (cluster,), (warning,) = read({"all": {"vars": vars_}, **group()})
    assert said in warning
    assert cluster.instances


# --- files


def test_a_pigsty_inventory_is_read_as_it_is(yaml_file: Callable[..., Path], read: Read) -> None:
    file = yaml_file(
        """
        all:
          children:
            infra: { hosts: { 10.10.10.10: { infra_seq: 1 } } }
            etcd: { hosts: { 10.10.10.10: { etcd_seq: 1 } }, vars: { etcd_cluster: etcd } }
            pg-meta:
              hosts: { 10.10.10.10: { pg_seq: 1, pg_role: primary } }
              vars: { pg_cluster: pg-meta, pg_users: [{ name: dbuser, password: "{{ secret }}" }] }
          vars:
            version: v4.0.0
            admin_ip: 10.10.10.10
            ansible_user: vagrant
            region: default
            node_tune: oltp
            repo_modules: infra,node,pgsql
            etcd_root_password: Etcd.Root
            vaulted: !vault |
              $ANSIBLE_VAULT;1.1;AES256
            plain: !unsafe "{{ x }}"
        """
    )
    (cluster,), warnings = read(inventory.read_file(file), source=str(file))
    assert cluster.instances[0].node.login.user == "vagrant"
    assert len(warnings) == 1


def test_places_name_the_file(yaml_file: Callable[..., Path], mistakes: Mistakes) -> None:
    file = yaml_file("etcd: {hosts: {10.10.10.10: {etcd_seq: 010}}}")
    (mistake,) = mistakes(inventory.read_file(file), source="pigsty.yml")
    assert mistake.place == "pigsty.yml: etcd.hosts.10.10.10.10.etcd_seq"
    assert '"010" is not a whole number' in mistake.problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("etcd_root_password: !vault abc", "!vault is read by Ansible only"),
        ('etcd_root_password: "{{ lookup(1) }}"', "Jinja"),
        ("etcd_cluster: true", "true is not text"),
        ("etcd_port: 0x10", '"0x10" is not a whole number'),
        ("etcd_port: 1:30", '"1:30" is not a whole number'),
    ],
)
def test_what_only_ansible_or_yaml_understands_is_refused_where_it_counts(
    yaml_file: Callable[..., Path], mistakes: Mistakes, content: str, problem: str
) -> None:
    file = yaml_file(f"etcd: {{hosts: {{a: {{etcd_seq: 1}}}}, vars: {{{content}}}}}")
    (mistake,) = mistakes(inventory.read_file(file))
    assert problem in mistake.problem
