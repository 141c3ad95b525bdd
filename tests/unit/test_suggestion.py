"""Which guesses are made for a misspelt name, and which are not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_component.inventory.parameters import PARAMETERS
from etcd_component.suggestion import closest


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("etcd_prot", "etcd_port"),
        ("etcd_sq", "etcd_seq"),
        ("etcd_sequence", "etcd_seq"),
        ("ETCD-PORT", "etcd_port"),
        ("ectd_seq", "etcd_seq"),
        ("etcdd_port", "etcd_port"),
        ("etcd_cluser", "etcd_cluster"),
        ("etcd_hartbeat_intervall", "etcd_heartbeat_interval"),
        ("etcd_elction_timeout", "etcd_election_timeout"),
        ("etcd_election_timeout_ms", "etcd_election_timeout"),
        ("etcd_data_dir", "etcd_data"),
        ("etcd_cluster_name", "etcd_cluster"),
        ("etcd_quota_backend_bytes", "etcd_quota"),
        ("etcd_quota_bytes", "etcd_quota"),
        ("etcd_root_passwd", "etcd_root_password"),
        ("etcd_root", "etcd_root_password"),
        ("etcd_heartbeat", "etcd_heartbeat_interval"),
        ("etcd_log", "etcd_log_level"),
        ("etcd_snapshot", "etcd_snapshot_count"),
        ("etcd_user", "etcd_users"),
        ("etcd_option", "etcd_options"),
        ("ansible_hosts", "ansible_host"),
        ("ansible_prot", "ansible_port"),
    ],
)
def test_a_likely_guess_is_made(written: str, meant: str) -> None:
    assert closest(written, PARAMETERS) == meant


@pytest.mark.parametrize(
    "written",
    [
        "etcd_memory_limit",
        "etcd_foo",
        "etcd_x",
        "etcd_",
        "etcd",
        "",
        "etcd_host",
        "etcd_database",
        "etcd_backup",
        "etcd_backup_data",
        "etcd_data_encryption",
        "etcd_portal",
        "etcd_proxy",
        "etcd_tls",
        "etcd_cert",
        "etcd_cert_file",
        "etcd_rm",
        "etcd_metrics_port",
        "etcd_cpu_limit",
        "etcd_exists",
        "etcd_extra_args",
        "etcd_nofile",
        "ansible_connection",
        "ansible_python_interpreter",
        "node_data",
        "minio_cluster",
        "redis_port",
    ],
)
def test_an_unlikely_guess_is_not_made(written: str) -> None:
    assert closest(written, PARAMETERS) is None


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("trap", ["trace", "track"], None),
        ("trac", ["trace", "track"], None),
        ("inf", ["debug", "info", "warn"], "info"),
        ("wran", ["debug", "info", "warn"], "warn"),
        ("warning", ["debug", "info", "warn"], None),
        ("pgmain", ["pg-main", "tool"], "pg-main"),
        ("max_request_bytes", ["max-request-bytes", "max-txn-ops"], "max-request-bytes"),
        (5, ["true", "false"], None),
        ("x", ["y", "z"], None),
    ],
)
def test_other_names_follow_the_same_rule(
    written: object, known: list[str], meant: str | None
) -> None:
    assert closest(written, known) == meant


@pytest.mark.parametrize("written", ["etcd_root", "etcd_data_dir", "ansible_ssh_private_key"])
def test_names_of_others_are_compared_by_their_typing_errors_alone(written: str) -> None:
    assert closest(written, PARAMETERS, typos_only=True) is None


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=4, unique=True))
def test_a_guess_is_one_of_the_known_names(written: str, known: list[str]) -> None:
    assert closest(written, known) in {None, *known}


@pytest.mark.parametrize("name", PARAMETERS)
def test_two_swapped_letters_of_any_parameter_are_understood(name: str) -> None:
    for at in range(name.index("_") + 1, len(name) - 1):
        swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        assert closest(swapped, PARAMETERS) == name
