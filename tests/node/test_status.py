"""What a person on the node is told, without a password; and what `make status` asks for."""

from __future__ import annotations

import base64
import hashlib

from etcd_component import contact, packing, render
from etcd_component.etcd_api.connection import dial
from etcd_component.status.asked import ask, ask_cluster
from etcd_component.status.facts import Facts, parse
from tests.node.conftest import Cluster
from tests.node.members import PASSWORD, Members, eventually, in_parallel


def status(members: Members, seq: int = 1) -> str:
    return members.run(seq, "status", check=False).stdout


def test_a_healthy_member_is_described(three: Members) -> None:
    three.make_leader(2)
    said = status(three)

    assert "instance    etcd-1 of cluster etcd, data in /data/etcd\n" in said
    assert "unit        etcd.service is active (running) since " in said
    assert "version     3.6.16, serving 3.6.16, cluster at 3.6.0\n" in said
    assert "files       are what the running process was started with\n" in said
    assert "certificate valid until " in said
    assert "seat        taken\n" in said
    lines = {line.split()[0]: line for line in said.splitlines() if line.startswith("  etcd-")}
    assert sorted(lines) == ["etcd-1", "etcd-2", "etcd-3"]
    assert f"voter   runs, this one at {three.instance(1).peer_url}" in lines["etcd-1"]
    assert f"leader  runs at {three.instance(2).peer_url}" in lines["etcd-2"]
    assert f"{int(three.member_id(3)):016x}" in lines["etcd-3"]
    assert "quorum      3 of 3 voters up, 2 needed; etcd-2 leads\n" in said
    assert three.run(1, "status").returncode == 0


def test_what_is_not_well_is_described(cluster: Cluster) -> None:
    three = cluster(3).found()
    three.change(snapshot_count=9998)
    in_parallel(three.stop, [2, 3])
    # A leader that has lost its followers steps down when its election timeout is over.
    eventually("nobody leads", lambda: "leader" not in status(three))
    said = status(three)
    assert "files       differ from what runs; `pulumi up` rolls them out\n" in said
    assert f"voter   not-running at {three.instance(2).peer_url}" in said
    assert "leader" not in said
    assert "quorum      1 of 3 voters up, 2 needed; nobody leads; away: etcd-2, etcd-3\n" in said
    assert three.run(1, "status", check=False).returncode == 1

    three.shell(2, "systemctl disable -q etcd; rm -rf /data/etcd/member")
    said = status(three, 2)
    assert "unit        etcd.service is inactive (dead); does not start at boot\n" in said
    assert "seat        LOST: /data/etcd holds no member any more" in said
    assert "members     this one does not answer" in said
    # It still knows where the others are.
    assert f"etcd-1 at {three.instance(1).peer_url}: formed" in said


def test_a_machine_without_an_instance_says_so(cluster: Cluster) -> None:
    one = cluster(1)
    one.send_program(1)
    refused = one.run(1, "status", check=False)
    assert refused.returncode == 1
    assert "this machine has no instance of cluster etcd" in refused.stderr


def test_an_instance_without_a_seat_says_so(cluster: Cluster) -> None:
    one = cluster(1)
    one.prepare(1)
    assert "seat        not taken; `pulumi up` takes it\n" in status(one)


def facts(members: Members, seq: int) -> Facts:
    return parse(members.run(seq, "facts").stdout)


def test_a_program_is_told_what_is_on_the_machine(cluster: Cluster) -> None:
    two = cluster(2).found(access=True)
    said = facts(two, 1)
    model, instance = two.model, two.instance(1)
    assert said.configuration == said.settings == render.etcd_config(model, instance)
    assert said.unit_file == render.unit(model, instance)
    assert said.program == packing.sha256()
    assert said.ca == hashlib.sha256(two.authority.bundle.encode()).hexdigest()
    assert base64.b64decode(said.revoked) == two.authority.crl()
    assert (said.version, said.reported) == (two.version, two.version)
    assert (said.unit, said.stage, said.data) == ("active", "joined", "whole")
    assert all((said.is_enabled, said.is_loaded, said.runs_the_files, said.is_composed))
    assert [one.is_voter for one in said.members] == [True, True]
    assert {one.name for one in said.members} == {"etcd-1", "etcd-2"}
    # The program of a checkout looks too, where the one on the machine is gone, and stays nowhere.
    two.shell(1, "rm /usr/local/sbin/etcd-node")
    found = loaded_facts(two, "--cluster", "etcd")
    assert (found.program, found.stage) == ("", "joined")
    found = loaded_facts(two, "--cluster", "gone", "--data", "/data/etcd")
    assert (found.owner, found.stage, found.data) == ("", "none", "whole")


def loaded_facts(members: Members, *options: str) -> Facts:
    """As `make status` gets them."""
    line, sent = contact.loaded(["facts", *options])
    stdin = base64.b64encode(sent).decode()
    return parse(members.shell(1, f"base64 -d | {line}", stdin=stdin))


def test_what_etcd_itself_says_is_asked_of_each_member(cluster: Cluster) -> None:
    three = cluster(3, learners=frozenset({3}))
    three.prepare_all()
    in_parallel(lambda seq: three.join(seq, founders=[1, 2]), [1, 2])
    urls = {seq: three.instance(seq).client_url for seq in three.everyone}

    open_to_all = ask_cluster([(urls[1], dial)], three.tls, ["any password"])
    assert not open_to_all.rbac
    assert open_to_all.members is not None
    three.access()
    assert (
        "invalid user ID or password"
        in ask_cluster([(urls[1], dial)], three.tls, ["wrong"]).refusal
    )

    eventually("another member is taken", lambda: three.join(3, check=False).returncode == 0)
    answers = {seq: ask(url, three.tls) for seq, url in urls.items()}
    assert [answers[seq].learner for seq in three.everyone] == [False, False, True]
    assert [answers[seq].healthy for seq in (1, 2)] == [True, True]
    assert [seq for seq in three.everyone if answers[seq].leads] == [three.leader()]
    for one in answers.values():
        assert (one.version, one.cluster_version) == ("3.6.16", "3.6.0")
        assert one.index >= one.applied > 0
        assert one.quota >= one.size >= one.in_use > 0
    listing = ask_cluster([(urls[1], dial)], three.tls, [PASSWORD])
    assert listing.rbac
    assert {(one.name, one.id) for one in listing.members or ()} == {
        (f"etcd-{seq}", answers[seq].id) for seq in three.everyone
    }

    three.stop(2)
    eventually("nobody leads", lambda: not ask(urls[1], three.tls).has_leader)
    alone, gone = ask(urls[1], three.tls), ask(urls[2], three.tls)
    assert (alone.error, alone.healthy) == ("", False)
    assert alone.size > 0
    assert gone.error == "nothing listens there"
    stranger = Members(three.lab, 3)
    assert "is not trusted" in ask(urls[1], stranger.tls).error


def test_a_program_that_was_replaced_is_not_what_runs(cluster: Cluster) -> None:
    one = cluster(1).found(access=True)
    etcd = f"/opt/etcd/versions/{one.version}/bin/etcd"
    before = one.pid(1)
    # The same content in another file is no reason for a restart.
    one.shell(1, f"cp {etcd} {etcd}.new && mv {etcd}.new {etcd}")
    assert facts(one, 1).runs_the_files
    one.shell(1, f"cp {etcd} {etcd}.new && echo >>{etcd}.new && mv {etcd}.new {etcd}")
    try:
        assert not facts(one, 1).runs_the_files
        assert "restarted" in one.rollout(1).stdout
        assert one.pid(1) != before
    finally:
        one.shell(1, f"rm -r /opt/etcd/versions/{one.version}")
    assert facts(one, 1).reported == ""
    one.put_binary(1)
    assert "restarted" in one.rollout(1).stdout


def test_an_edited_etcd_yaml_is_found_and_put_back(cluster: Cluster) -> None:
    one = cluster(1).found(access=True)
    one.shell(
        1,
        "sed -i 's/^snapshot-count: .*/snapshot-count: 5000/' /etc/etcd/etcd/etcd.yaml"
        " && systemctl restart etcd",
    )
    said = facts(one, 1)
    assert (said.is_composed, said.runs_the_files) == (False, False)
    assert "files       differ from what was put here: etcd.yaml was changed by hand" in status(one)
    one.put_config(1)
    said = facts(one, 1)
    assert (said.is_composed, said.runs_the_files) == (True, False)
    assert "restarted" in one.rollout(1, "--repair", "1").stdout
    assert facts(one, 1).runs_the_files


def test_all_clusters_of_a_machine_are_described(cluster: Cluster) -> None:
    one = cluster(1).found()
    other = Members(
        one.lab, 1, name="other", client_port=2400, peer_port=2401, data_dir="/srv/data"
    )
    other.prepare(1)
    one.shell(1, "mkdir -p /etc/etcd/others /etc/etcd/PKI")
    said = one.lab.exec(one.node(1), render.NODE_PROGRAM, "status", check=False)
    assert said.returncode == 1, "one of them has not begun"
    assert "instance    etcd-1 of cluster etcd, data in /data/etcd\n" in said.stdout
    assert "\n\ninstance    other-1 of cluster other, data in /srv/data\n" in said.stdout
    assert "other-1" not in one.run(1, "status").stdout
