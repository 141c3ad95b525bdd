"""etcd as a service of systemd."""

from __future__ import annotations

import json
import re

from tests.node.conftest import SUBNET, Cluster
from tests.node.members import Members, eventually


def show(members: Members, name: str) -> str:
    return members.shell(1, f"systemctl show -p {name} --value etcd")


def test_the_unit_is_hardened(three: Members) -> None:
    verdict = three.shell(1, "systemd-analyze security --no-pager etcd.service").splitlines()[-1]
    found = re.search(r"Overall exposure level for etcd.service: ([\d.]+)", verdict)
    assert found, verdict
    assert float(found[1]) <= 2.0


def test_etcd_runs_as_its_own_user_with_its_own_data(three: Members) -> None:
    assert three.shell(1, f"ps -o user= -p {three.pid(1)}") == "etcd"
    assert three.shell(1, "stat -c '%a %U' /data/etcd /data/etcd/member") == "700 etcd\n700 etcd"
    # Nothing that root writes stands where etcd's user could put a link.
    assert (
        three.shell(
            1, "find /etc/etcd /run/etcd-node /opt/etcd -user etcd | grep -v /pki-", check=False
        )
        == ""
    )


def test_etcd_is_restarted_after_it_was_killed(three: Members) -> None:
    killed = three.pid(1)
    three.shell(1, f"kill -9 {killed}")
    eventually("etcd is back", lambda: three.is_active(1) and three.pid(1) not in (0, killed))
    eventually("it is in the cluster", three.is_well)
    # It was started with the files that are there, so nothing is to be rolled out.
    assert "no restart" in three.rollout(1).stdout


def test_no_limit_keeps_a_member_from_starting(three: Members) -> None:
    assert show(three, "StartLimitIntervalUSec") == "0"
    assert show(three, "TimeoutStartUSec") == "infinity"
    assert show(three, "Restart") == "on-failure"
    assert show(three, "OOMScoreAdjust") == "-1000"
    assert three.shell(1, "systemctl is-enabled etcd") == "enabled"


def test_etcdctl_works_without_flags_and_keeps_no_password(three: Members) -> None:
    assert "user name is empty" in three.shell(1, "etcdctl member list 2>&1", check=False)
    password = three.shell(
        1, "env ETCDCTL_USER=root ETCDCTL_PASSWORD=x etcdctl member list 2>&1; true"
    )
    assert "invalid user ID or password" in password
    # A flag of the caller's stands before our settings instead of clashing with them.
    other = three.shell(
        1,
        f"etcdctl --endpoints https://{SUBNET}.99:2379 --dial-timeout 1s \
      --command-timeout 1s endpoint status 2>&1; true",
    )
    assert f"{SUBNET}.99" in other
    assert "conflicting" not in other


def test_each_line_of_etcd_in_the_journal_is_json_and_has_the_labels_of_its_metrics(
    three: Members,
) -> None:
    found = three.shell(2, "journalctl CLS=etcd INS=etcd-2 _COMM=etcd -n 20 -o json").splitlines()
    assert len(found) == 20
    lines = [json.loads(line) for line in found]
    assert {(one["IP"], one["JOB"]) for one in lines} == {(f"{SUBNET}.11", "etcd")}
    assert all({"level", "ts", "msg"} <= json.loads(one["MESSAGE"]).keys() for one in lines)
    assert "No entries" in three.shell(2, "journalctl CLS=etcd INS=etcd-1 -n 1")


def test_a_proxy_for_all_services_is_not_between_members(cluster: Cluster) -> None:
    three = cluster(3)
    proxies = " ".join(
        f"{name}=http://127.0.0.1:9" for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY")
    )
    directory = "/etc/systemd/system.conf.d"
    # etcd with a file reads no variable of its own either.
    text = f"[Manager]\nDefaultEnvironment={proxies} ETCD_NAME=another ETCD_DATA_DIR=/nowhere\n"
    try:
        for seq in three.everyone:
            three.shell(seq, f"mkdir -p {directory}; cat >{directory}/proxy.conf", stdin=text)
            three.shell(seq, "systemctl daemon-reexec")
        three.found(access=True)
        assert three.is_well()
        environment = three.shell(1, f"tr '\\0' '\\n' </proc/{three.pid(1)}/environ")
        assert "ETCD_NAME=another" in environment
        assert "127.0.0.1:9" not in environment
    finally:
        for seq in three.everyone:
            three.shell(seq, f"rm -rf {directory}; systemctl daemon-reexec")
