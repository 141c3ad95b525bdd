"""`etcd_monitor`: what is read from it, and how mistakes in it are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component.inventory import Plan, load
from etcd_component.mistake import InvalidInventory
from etcd_component.model import Monitor

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n"
HOST = {"host": "10.10.10.20"}
STACK = {
    "inventory": {"etcd": {"hosts": {"10.10.10.10": {"etcd_seq": 1}}}},
    "sshPrivateKey": KEY,
    "sshHostKeyChecking": "false",
}

Load = Callable[..., Plan]


@pytest.fixture
def loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a stack with this `etcd_monitor`, in a directory of its own."""
    monkeypatch.chdir(tmp_path)

    def run(monitor: Any, site: Mapping[str, Any] | None = None, **stack: Any) -> Plan:
        environ = {"HOME": str(tmp_path)}
        if site:
            (tmp_path / "site.yaml").write_text(yaml.safe_dump(dict(site)))
            environ["ETCD_SITE"] = str(tmp_path / "site.yaml")
        return load({**STACK, "etcd_monitor": monitor, **stack}.get, environ)

    return run


@pytest.fixture
def read(loading: Load) -> Callable[[Any], Monitor]:
    def one(written: Any) -> Monitor:
        found = loading(written).monitor
        assert found
        return found

    return one


def told(loading: Load, monitor: Any, **more: Any) -> list[str]:
    with pytest.raises(InvalidInventory) as invalid:
        loading(monitor, **more)
    return [str(one) for one in invalid.value.mistakes]


def test_a_stack_has_no_monitor_unless_it_says_so(loading: Load) -> None:
    assert loading(None).monitor is None
    assert loading({}).monitor is None


def test_a_host_is_enough(read: Callable[[Any], Monitor]) -> None:
    found = read(HOST)
    assert found == Monitor(found.node)
    assert (found.node.address, found.node.login.host) == ("10.10.10.20", "10.10.10.20")
    assert found.is_local


def test_everything_can_be_said(read: Callable[[Any], Monitor]) -> None:
    found = read(
        {
            "host": "fd00::20",
            "listen": "[fd00::20]:9428",
            "retention": "2y",
            "data": "/srv/metrics/etcd",
            "alertmanager": ["http://10.10.10.30:9093/", "https://alerts.example.com"],
            "rm_data": True,
            "lost": True,
            "ansible_host": "10.9.9.9",
            "ansible_ssh_user": "ops",
            "ansible_port": 2222,
        }
    )
    assert found == Monitor(
        found.node,
        retention="2y",
        data_dir="/srv/metrics/etcd",
        listen_address="fd00::20",
        port=9428,
        alertmanagers=("http://10.10.10.30:9093", "https://alerts.example.com"),
        rm_data=True,
        lost=True,
    )
    login = found.node.login
    assert (login.host, login.user, login.port, login.sudo) == ("10.9.9.9", "ops", 2222, True)


def test_the_site_file_may_have_it_and_the_stack_s_own_wins(loading: Load) -> None:
    site = {"etcd_monitor": {"host": "10.10.10.21"}}
    for written, address in ((None, "10.10.10.21"), (HOST, "10.10.10.20")):
        found = loading(written, site).monitor
        assert found
        assert found.node.address == address


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"retention": "90d"}, "etcd:etcd_monitor: it has no host; name its machine"),
        (
            HOST | {"retention": "90"},
            'what was measured; write days, weeks or years, such as "90d", "26w" or "2y"',
        ),
        (HOST | {"retention": 90}, "etcd:etcd_monitor.retention: 90 does not say how long"),
        (HOST | {"retention": "0d"}, 'etcd:etcd_monitor.retention: "0d" does not say how long'),
        (
            HOST | {"listen": "monitor.example.com:8428"},
            "is not an IP address with a port; write an address of that machine and a port",
        ),
        (HOST | {"listen": "127.0.0.1"}, "is not an IP address with a port"),
        (HOST | {"listen": "127.0.0.300:8428"}, "etcd:etcd_monitor.listen:"),
        (HOST | {"listen": "127.0.0.1:70000"}, "70000 is not between 1 and 65535"),
        (HOST | {"listen": "127.0.0.1:8880"}, "port 8880 is vmalert's; choose another"),
        (HOST | {"data": "/etc/etcd-monitor"}, "etcd:etcd_monitor.data:"),
        (HOST | {"alertmanager": "http://10.10.10.30:9093"}, "is not a list"),
        (HOST | {"alertmanager": ["10.10.10.30:9093"]}, "is not the URL of an Alertmanager"),
        (HOST | {"alertmanagers": []}, "there is no such field; did you mean alertmanager?"),
        (HOST | {"host": "10.10.10"}, "etcd:etcd_monitor.host:"),
        ("10.10.10.20", "etcd:etcd_monitor: it is text, not a mapping; name its machine"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_cure(
    loading: Load, written: Any, message: str
) -> None:
    (mistake,) = told(loading, written)
    assert message in mistake


def test_two_names_of_one_variable_must_agree(
    loading: Load, read: Callable[[Any], Monitor]
) -> None:
    both = {"ansible_user": "admin", "ansible_ssh_user": "dba"}
    (mistake,) = told(loading, HOST | both)
    assert mistake == (
        "etcd:etcd_monitor.ansible_ssh_user: etcd:etcd_monitor.ansible_user says something else;"
        " keep one"
    )
    assert read(HOST | both | {"ansible_ssh_user": "admin"}).node.login.user == "admin"


@pytest.mark.parametrize(
    "written",
    [
        ["http://ops:hidden@10.10.10.30:9093"],
        ["http://ops:hid/den@10.10.10.30:9093", "http://ops:#hidden@10.10.10.30:9093"],
        ["ops:hidden@10.10.10.30:9093"],
        "http://ops:hidden@10.10.10.30:9093",
        [["http://ops:hidden@10.10.10.30:9093"]],
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(loading: Load, written: Any) -> None:
    (mistake,) = told(loading, HOST | {"alertmanager": written})
    assert "a URL has an @, as after a login" in mistake
    assert "den@" not in mistake
    assert "hidden" not in mistake


def test_its_mistakes_are_told_with_those_of_the_inventory(loading: Load) -> None:
    inventory = {"etcd": {"hosts": {"10.10.10.10": {"etcd_seq": 0}}}}
    found = told(loading, {"listen": "x", "retention": "x"}, inventory=inventory)
    assert len([one for one in found if one.startswith("etcd:etcd_monitor")]) == 3
    assert len([one for one in found if one.startswith("etcd.hosts.10.10.10.10.etcd_seq")]) == 1


def test_on_a_member_s_machine_it_is_allowed_and_advised_against(loading: Load) -> None:
    plan = loading({"host": "10.10.10.10"})
    assert plan.monitor
    (warning,) = (one for one in plan.warnings if "monitor" in one)
    assert "the monitor is on the machine of etcd-1" in warning
    assert not [one for one in loading(HOST).warnings if "monitor" in one]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"listen": "127.0.0.1:2379"}, "listen: port 2379 is used by etcd-1 on the same machine"),
        ({"listen": "127.0.0.1:2381"}, "listen: port 2381 is used by etcd-1 on the same machine"),
        ({"data": "/data/etcd/metrics"}, "data: /data/etcd/metrics and the /data/etcd of etcd-1"),
        ({"data": "/data/etcd"}, "choose a directory outside the other"),
    ],
)
def test_it_shares_neither_port_nor_directory_with_a_member(
    loading: Load, written: Mapping[str, Any], message: str
) -> None:
    (mistake,) = told(loading, {"host": "10.10.10.10", **written})
    assert message in mistake


def test_a_machine_is_one_by_its_way_in_too(loading: Load) -> None:
    plan = loading({"host": "monitor.example.com", "ansible_host": "10.10.10.10"})
    assert [one for one in plan.warnings if "the monitor is on the machine of etcd-1" in one]
