"""The monitor's program on a real machine, with real VictoriaMetrics and no etcd."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from etcd_component.model import Monitor, Node
from etcd_component.monitoring import units
from etcd_component.ssh import Login
from lab import Lab
from lab.monitor import NUMBER
from tests.node.members import program

OURS = "0123456789abcdef"
DATA = "/var/lib/etcd-monitor"
SENT = "/var/tmp/etcd-monitor"
PLACE = ("--listen", "127.0.0.1", "--data", DATA)
RULES = "groups: [{name: one, rules: [{record: one, expr: vector(1)}]}]\n"

# By force: a test must not depend on `uninstall`.
_CLEAN = """
for unit in etcd-monitor-alerts etcd-monitor victoria-metrics; do
  systemctl kill -s KILL $unit 2>/dev/null; systemctl disable -q --now $unit 2>/dev/null
done
rm -rf /etc/systemd/system/etcd-monitor* /etc/etcd-monitor /run/etcd-monitor /var/lib/etcd-monitor \
  /usr/local/sbin/etcd-monitor /srv/other /usr/sbin/policy-rc.d
systemctl daemon-reload; systemctl reset-failed
"""


@dataclass(frozen=True)
class Machine:
    """The machine that is to be the monitor, and the program on standard input or in its place."""

    lab: Lab

    def shell(self, script: str, *, stdin: str = "", check: bool = True) -> str:
        done = self.lab.exec(NUMBER, "sh", "-c", script, stdin=stdin, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return (done.stdout + done.stderr).strip()

    def run(
        self, *words: str, stdin: str = "", program: str = "etcd-monitor"
    ) -> subprocess.CompletedProcess[str]:
        return self.lab.exec(NUMBER, *program.split(), *words, stdin=stdin, check=False)

    def says(self, *words: str, stdin: str = "") -> str:
        """What a run that succeeds says."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def refuses(self, *words: str, stdin: str = "") -> str:
        """What a run that fails says."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def send(self) -> None:
        """Put the program where the first contact runs it."""
        text = base64.b64encode(program()).decode()
        self.shell(f"base64 -d >{SENT} && chmod 755 {SENT}", stdin=text)

    def preflight(self, *words: str, owner: str = OURS) -> subprocess.CompletedProcess[str]:
        """As the first contact runs it: nothing is there yet."""
        self.send()
        return self.run("preflight", *PLACE, "--owner", owner, *words, program=SENT)

    def claim(self, owner: str = OURS) -> None:
        self.send()
        place = " ".join(PLACE)
        self.shell(f"{SENT} claim {place} --owner {owner}")

    def configure(self, **files: str) -> None:
        """Give it units of a monitor on loopback, no target, and these rules."""
        model = Monitor(Node("127.0.0.1", LOGIN))
        texts = {
            units.STORE: units.store(model),
            units.ALERTS: units.alerts(model),
            "url": f"{model.own_url}\n",
            "scrape.yml": "scrape_configs: []\n",
            **{f"rules/{name}.yml": text for name, text in files.items()},
        }
        self.says("files", "--kind", "config", "--data", DATA, stdin=sections(texts))


LOGIN = Login("127.0.0.1", 22, "root", False, None, None, False, None)


def sections(files: dict[str, str]) -> str:
    return "".join(f"--- {name}\n{text}" for name, text in files.items()) + "--- end\n"


@pytest.fixture(scope="module")
def node(lab: Lab) -> Iterator[Lab]:
    try:
        lab.up_with_monitor()
        yield lab
    finally:
        lab.remove(NUMBER)


@pytest.fixture
def machine(node: Lab) -> Machine:
    found = Machine(node)
    found.shell(_CLEAN, check=False)
    return found


def test_all_that_makes_a_machine_unfit_is_told_at_once_and_nothing_is_changed(
    machine: Machine,
) -> None:
    machine.shell(f"mkdir -p {DATA} && echo other >{DATA}/file")
    machine.shell(
        "systemd-run -q --unit=foreign-monitor --collect"
        " systemd-socket-activate -l 127.0.0.1:8428 /bin/true"
    )
    machine.shell("until ss -Hltn | grep -q :8428; do sleep 0.1; done")
    machine.shell("echo '[Service]' >/etc/systemd/system/etcd-monitor.service")
    done = machine.preflight("--listen", "10.99.99.99")
    assert done.returncode == 1
    for fault in (
        "the address 10.99.99.99, on which it is to listen, is not on this machine",
        "port 8428 is held by `systemd-socket-",
        f"{DATA} is not empty and was not made by etcd-monitor",
        "/etc/systemd/system/etcd-monitor.service is somebody else's",
    ):
        assert fault in done.stderr
    assert "this machine cannot be the monitor yet; nothing was changed" in done.stderr
    machine.shell("systemctl stop foreign-monitor")
    assert (
        machine.shell("ls -d /etc/etcd-monitor /usr/local/sbin/etcd-monitor 2>/dev/null; :") == ""
    )


def test_another_stack_s_monitor_is_neither_taken_over_nor_erased(machine: Machine) -> None:
    machine.claim("f" * 16)
    assert "another stack's monitor is here" in machine.preflight().stderr
    said = machine.says("uninstall", "--owner", OURS, "--remove-data")
    assert "which holds the monitor of another stack. Nothing was removed" in said
    said = machine.refuses("files", "--kind", "dashboards", "--owner", OURS, stdin=sections({}))
    assert "holds the monitor of another stack; no changes were made" in said
    assert machine.shell("cat /etc/etcd-monitor/owner") == "f" * 16
    # As the message says, by hand.
    assert "To confirm: etcd-monitor uninstall --yes" in machine.refuses("uninstall")
    assert "is off this machine" in machine.says("uninstall", "--yes")
    assert machine.shell("ls -d /etc/etcd-monitor 2>/dev/null; :") == ""


def test_the_package_s_own_service_never_starts(machine: Machine) -> None:
    machine.claim()
    machine.shell("dpkg --purge victoria-metrics >/dev/null 2>&1; :")
    assert "is installed" in machine.says("software")
    assert "is here already" in machine.says("software")
    # A run that was killed while apt was at work leaves this mark.
    machine.shell("systemctl enable -q victoria-metrics; touch /etc/etcd-monitor/installing")
    assert "is installed" in machine.says("software")
    state = "systemctl is-active victoria-metrics; systemctl is-enabled victoria-metrics; :"
    assert machine.shell(state).split() == ["inactive", "disabled"]
    assert machine.shell("ls /usr/sbin/policy-rc.d 2>/dev/null; :") == ""


def test_files_that_did_not_come_whole_change_nothing(machine: Machine) -> None:
    machine.claim()
    key, other = "pki/etcd/client.key", "pki/dev/client.key"
    machine.says("files", "--kind", "secrets", stdin=sections({key: "one\n", other: "two\n"}))
    for broken in (f"--- {key}\nthr", "", f"--- {key}\nthree\n--- en"):
        said = machine.refuses("files", "--kind", "secrets", stdin=broken)
        assert "does not end with `--- end`; nothing was changed" in said
    assert machine.shell(f"cat /etc/etcd-monitor/{key} /etc/etcd-monitor/{other}") == "one\ntwo"
    modes = machine.shell(f"stat -c '%a %U' /etc/etcd-monitor/{key}")
    assert modes == "600 etcd-monitor"
    for outside in ("../passwd", "/etc/passwd"):
        said = machine.refuses("files", "--kind", "secrets", stdin=sections({outside: "x\n"}))
        assert "is no name of a file" in said


def test_what_is_gone_from_the_stack_is_gone_from_the_machine(machine: Machine) -> None:
    machine.claim()
    for names in (["etcd", "dev"], ["etcd"]):
        machine.says(
            *("files", "--kind", "secrets"),
            stdin=sections({f"pki/{name}/client.key": "key\n" for name in names}),
        )
    assert machine.shell("ls /etc/etcd-monitor/pki") == "etcd"


def started(machine: Machine) -> list[str]:
    show = "systemctl show --value -p MainPID etcd-monitor etcd-monitor-alerts"
    return machine.shell(show).split()


def test_only_what_needs_it_is_restarted_and_rules_that_cannot_be_read_are_told(
    machine: Machine,
) -> None:
    machine.claim()
    machine.says("software")
    machine.configure(one=RULES)
    assert "all 0 targets are scraped" in machine.says("serve")
    first = started(machine)
    assert "all 0 targets are scraped" in machine.says("serve")
    machine.configure(one=RULES, two=RULES.replace("one", "two"))
    machine.says("serve")
    assert started(machine) == first
    ask = "curl -s http://127.0.0.1:8880/api/v1/rules"
    machine.shell(f"until {ask} | grep -q '\"two\"'; do sleep 0.2; done")

    machine.configure(one=RULES, two="groups: [{name: two, rules: [{record: two, expr: '('}]}]\n")
    said = machine.refuses("serve")
    assert "the rules cannot be read, and what ran before goes on as it was" in said
    assert "rules/two.yml" in said
    assert started(machine) == first
    machine.configure(one=RULES)
    assert "all 0 targets are scraped" in machine.says("serve")

    # Its data stay where they are, and are found again.
    assert f"has its data in {DATA} and cannot be moved to /srv/other" in (
        machine.preflight("--data", "/srv/other").stderr
    )
    assert f"What it collected stays in {DATA}." in machine.says("uninstall", "--owner", OURS)
    assert machine.shell(f"ls -d {DATA}/data /etc/etcd-monitor 2>/dev/null; :") == f"{DATA}/data"
    assert machine.preflight().returncode == 0
    machine.claim()
    machine.configure(one=RULES)
    machine.says("uninstall", "--owner", OURS, "--remove-data")
    assert machine.shell(f"ls -d {DATA} 2>/dev/null; :") in ("", DATA)


def test_one_that_fails_again_and_again_is_told_with_the_reason(machine: Machine) -> None:
    machine.claim()
    machine.says("software")
    machine.configure(one=RULES)
    machine.shell(f"chown root {DATA} && chmod 700 {DATA}")
    said = machine.refuses("serve")
    assert "etcd-monitor.service: it fails and is started again and again" in said
    assert "permission denied" in said


def test_data_behind_a_link_are_looked_at_and_removed_where_they_are(machine: Machine) -> None:
    machine.shell(
        f"mkdir -p /srv/other/real {DATA} && rmdir {DATA} && ln -s /srv/other/real {DATA}"
    )
    machine.shell("echo mine >/srv/other/real/photo")
    assert "/srv/other/real is not empty and was not made" in machine.preflight().stderr
    machine.shell("rm /srv/other/real/photo")
    machine.claim()
    machine.configure(one=RULES)
    machine.shell(f"mkdir /srv/other/next && ln -sfn /srv/other/next {DATA}")
    said = machine.refuses("files", "--kind", "config", "--data", DATA, stdin=sections({}))
    assert f"{DATA} leads to /srv/other/next, but led to /srv/other/real" in said
    machine.shell(f"ln -sfn /srv/other/real {DATA}")
    machine.says("uninstall", "--owner", OURS, "--remove-data")
    assert machine.shell(f"find /srv/other/real -mindepth 1; readlink {DATA}") == "/srv/other/real"
    machine.shell(f"rm {DATA}")


def test_what_has_no_claim_is_neither_changed_nor_erased(machine: Machine) -> None:
    machine.claim()
    machine.configure(one=RULES)
    before = machine.shell("find /etc/etcd-monitor -type f | sort")
    machine.shell("mv /etc/etcd-monitor/owner /tmp/owner")
    for words in (("software",), ("serve",), ("files", "--kind", "dashboards")):
        said = machine.refuses(*words, "--owner", OURS, stdin=sections({}))
        assert "this machine holds no claim of this stack; no changes were made" in said
    said = machine.says("uninstall", "--owner", OURS, "--remove-data")
    assert "which holds no claim of this stack. Nothing was removed" in said
    machine.shell("mv /tmp/owner /etc/etcd-monitor/owner")
    assert machine.shell("find /etc/etcd-monitor -type f | sort") == before
