"""What etcd does not know of itself is told by its node, to anybody, at no risk to the node."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import re
import socket
import time
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.authority import pem_of
from tests.node.conftest import Cluster
from tests.node.members import Members, eventually
from tests.node.test_preflight import LISTEN
from tests.node.test_uninstall import look

PORT = 2381
END = "certificate_not_after_timestamp_seconds"
SAMPLE = re.compile(r"etcd_node_(\w+)\{(.*)\} (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str, members: Members, seq: int = 1) -> Samples:
    """By name and by those labels that not all of them have."""
    instance = members.instance(seq)
    common = {("cls", members.name), ("ins", instance.name), ("ip", instance.node.address)}
    found: Samples = {}
    explained: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            explained.append(line.split()[2])
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert explained[-2:] == [f"etcd_node_{sample[1]}"] * 2, "its HELP and its TYPE come first"
        labels = set(LABEL.findall(sample[2]))
        assert labels >= common, line
        found[sample[1], frozenset(labels - common)] = float(sample[3])
    return found


def told(members: Members, seq: int = 1) -> Samples:
    """What `etcd-node metrics` prints."""
    return samples(members.run(seq, "metrics").stdout, members, seq)


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def seat(found: Samples) -> str:
    (state,) = (dict(labels)["state"] for name, labels in found if name == "seat")
    return state


def asked(members: Members, seq: int = 1) -> str:
    """What the listener answers, as a scraper gets it."""
    connection = http.client.HTTPConnection(members.lab_address(seq), PORT, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return text


def answers(members: Members) -> bool:
    try:
        return "etcd_node_info" in asked(members)
    except (OSError, http.client.HTTPException):
        return False


def test_a_node_tells_what_etcd_does_not_know(cluster: Cluster) -> None:
    three = cluster(3, exporter_port=PORT)
    three.found()
    for seq in three.everyone:
        three.put_exporter(seq)
    for seq in three.everyone:
        found = samples(asked(three, seq), three, seq)
        assert value(found, "info", version=three.version) == 1
        assert seat(found) == "taken"
        assert value(found, "unit_active") == 1
        assert value(found, "unit_restarts") == 0
        assert value(found, "restart_pending") == 0
        assert value(found, "files_changed_by_hand") == 0
        assert value(found, "members") == 3
        assert 0 < (value(found, "data_free_bytes") or 0) < (value(found, "data_size_bytes") or 0)
        assert value(found, "clock_synchronized") in {0, 1}
        assert abs((value(found, "time_seconds") or 0) - time.time()) < 60
        own = x509.load_pem_x509_certificate(
            three.shell(seq, "cat /etc/etcd/etcd/pki/server.crt").encode()
        )
        assert value(found, END, certificate="server") == own.not_valid_after_utc.timestamp()
        ca = three.authority.certificate.not_valid_after_utc.timestamp()
        assert value(found, END, certificate="ca", number="1") == ca


def authority(end: dt.datetime, name: x509.Name, key: Any) -> x509.Certificate:
    """A CA as somebody else may have made it."""
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=2**158 + 1,
        not_valid_before=dt.datetime(1999, 12, 31, tzinfo=dt.UTC),
        not_valid_after=end,
    )
    return builder.sign(key, hashes.SHA256())


def test_the_end_of_any_certificate_is_read_without_openssl(cluster: Cluster) -> None:
    one = cluster(1)
    one.prepare_all()
    short = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
    long = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{at:60}") for at in range(20)]
    )
    keys = [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)]
    ends = [
        (2000, 2, 29, 23, 59, 59),
        (2026, 3, 1, 0, 0, 0),
        (2049, 12, 31, 23, 59, 59),
        (2050, 1, 1, 0, 0, 0),
        (2096, 2, 29, 12, 34, 56),
        (2100, 2, 28, 1, 2, 3),
        (9999, 12, 31, 23, 59, 59),
    ]
    certificates = [
        authority(dt.datetime(*end, tzinfo=dt.UTC), name, key)
        for end in ends
        for name, key in zip((short, long), keys, strict=True)
    ]
    pems = [pem_of(each) for each in certificates]
    broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    windows = pems[1].replace("\n", "\r\n")
    bundle = "".join(["# of the company\n", pems[0], windows, broken, "text\n", *pems[2:]])
    one.shell(1, "cat >/etc/etcd/etcd/pki/ca.crt", stdin=bundle)
    found = {
        int(dict(labels)["number"]): at
        for (name, labels), at in told(one).items()
        if name == END and ("certificate", "ca") in labels
    }
    expected = [each.not_valid_after_utc.timestamp() for each in certificates]
    assert found == dict(enumerate(expected[:2], 1)) | dict(enumerate(expected[2:], 4))


def test_what_is_not_as_it_should_be_is_told(cluster: Cluster) -> None:
    three = cluster(3)
    three.found(access=True)
    three.change(snapshot_count=9998)
    found = told(three)
    assert (value(found, "restart_pending"), value(found, "files_changed_by_hand")) == (1, 0)
    for file in ("etcd.yaml", "settings.yaml", "pki/server.crt", "pki/revoked.crl"):
        place = f"/etc/etcd/etcd/{file}"
        kept = three.shell(1, f"base64 {place} && echo '#' >>{place}")
        assert value(told(three), "files_changed_by_hand") == 1, file
        three.shell(1, f"base64 -d >{place}", stdin=kept)
        assert value(told(three), "files_changed_by_hand") == 0, file

    first = three.member_id(1)
    three.stop(1)
    three.shell(1, "mv /data/etcd/member /data/moved")
    found = told(three)
    assert (value(found, "unit_active"), seat(found)) == (0, "lost")
    assert value(found, "members") is None
    three.shell(1, "mv /data/moved /data/etcd/member")
    assert seat(told(three)) == "taken"
    three.call(2, "cluster/member/remove", {"ID": first}, three.token(2))
    assert seat(told(three)) == "gone"
    assert value(told(three, 2), "members") == 2


def test_the_listener_outlives_whatever_connects(cluster: Cluster) -> None:
    one = cluster(1, exporter_port=PORT).found()
    one.put_exporter(1)
    where = (one.lab_address(1), PORT)

    # Nobody of these says anything, and more than are let in.
    silent = [socket.create_connection(where, timeout=10) for _ in range(40)]
    eventually("who says nothing is shown out", lambda: answers(one))
    for each in silent:
        each.close()

    # More than anybody reads, of bytes and of lines, to somebody who takes no answer.
    for text in (b"x" * 4096, b"GET /../../etc/shadow HTTP/1.1\r\n" * 128):
        with contextlib.suppress(OSError), socket.create_connection(where, timeout=10) as each:
            for _ in range(1024):
                each.sendall(text)
    eventually("it answers after megabytes", lambda: answers(one))

    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(where, timeout=10).close()
    eventually("it answers after two hundred at once", lambda: answers(one))

    # A flood closes it, and the next run of the timer opens it again.
    for _ in range(400):
        with contextlib.suppress(OSError):
            socket.create_connection(where, timeout=10).close()
    state = "systemctl is-active etcd_exporter.socket"
    eventually("a flood closes it", lambda: one.shell(1, state, check=False) != "active")
    eventually("it answers after a flood", lambda: answers(one), 90)
    assert one.is_well()
    assert one.shell(1, "systemctl list-units --failed --plain --no-legend 'etcd*'") == ""
    # Nothing of all that is told in the journal, where etcd's own words are looked for.
    assert "Started etcd_exporter@" not in one.shell(1, "journalctl -q -o cat --no-pager")


def test_who_answers_can_do_nothing_else(cluster: Cluster) -> None:
    one = cluster(1, exporter_port=PORT).found()
    one.put_exporter(1)
    with socket.create_connection((one.lab_address(1), PORT), timeout=10):
        find = "pgrep -o -f '[e]tcd-node answer'"
        process = eventually("somebody attends", lambda: one.shell(1, find, check=False))
        status = one.shell(1, f"cat /proc/{process}/status").splitlines()
        of = {name: rest.split() for name, _, rest in (line.partition(":") for line in status)}
        network = one.shell(1, f"readlink /proc/{process}/ns/net /proc/1/ns/net").split()
    assert "0" not in of["Uid"]
    assert of["CapEff"] == of["CapBnd"] == ["0" * 16]
    assert of["NoNewPrivs"] == ["1"]
    assert of["Seccomp"] == ["2"]
    assert network[0] != network[1]


def test_textfiles_of_a_node_exporter_follow_what_is_wanted(cluster: Cluster) -> None:
    one = cluster(1, textfile_dir="/srv/other/textfiles").found()
    refused = one.put_exporter(1, check=False)
    assert refused.returncode == 1
    assert "there is no directory /srv/other/textfiles" in refused.stderr
    one.shell(1, "mkdir -p /srv/other/textfiles /srv/other/more")
    one.put_exporter(1)
    text = one.shell(1, "cat /srv/other/textfiles/etcd-etcd.prom")
    assert seat(samples(text, one)) == "taken"
    assert one.shell(1, "stat -c %a /srv/other/textfiles/*") == "644"
    # Nobody listens where no port is asked for.
    assert one.shell(1, f"ss -Hltn sport = :{PORT}") == ""

    one.textfile_dir = "/srv/other/more"
    one.put_exporter(1)
    assert one.shell(1, "cd /srv/other; ls textfiles more").split() == [
        *("more:", "etcd-etcd.prom", "textfiles:")
    ]
    one.run(1, "exporter", "--remove")
    assert one.shell(1, "ls /srv/other/more") == ""


def test_a_port_is_checked_taken_moved_and_given_back(cluster: Cluster) -> None:
    one = cluster(1)
    one.shell(1, "rm -rf /opt/etcd; userdel etcd", check=False)
    before = look(one)
    one.found()
    one.shell(1, LISTEN.replace("2380", str(PORT)))
    one.exporter_port = PORT
    refused = one.put_exporter(1, check=False)
    assert refused.returncode == 1
    assert f"the port {PORT}, on which it would tell of its node" in refused.stderr
    assert "is held by `perl` (process " in refused.stderr
    assert one.shell(1, "ls /etc/systemd/system | grep _exporter || :") == ""
    one.shell(1, "systemctl stop foreign-listener")

    for _ in range(2):
        one.put_exporter(1)
    one.exporter_port = PORT + 1
    one.put_exporter(1)
    assert one.shell(1, f"ss -Hltn sport = :{PORT}") == ""
    assert f":{PORT + 1}" in one.shell(1, f"ss -Hltn sport = :{PORT + 1}")
    one.uninstall(1, "--remove-data", "--remove-software")
    assert look(one) - before == set()


def test_two_clusters_of_one_node_tell_each_its_own(cluster: Cluster) -> None:
    one = cluster(1, exporter_port=PORT).found()
    other = cluster_beside(one)
    other.prepare_all()
    other.join(1, founders=[1])
    for each in (one, other):
        each.put_exporter(1)
    connection = f"curl -sS http://{one.lab_address(1)}"
    for each in (one, other):
        text = one.shell(1, f"{connection}:{each.exporter_port}/metrics")
        assert seat(samples(text, each)) == "taken"
    one.run(1, "exporter", "--remove")
    assert "etcd_node_info" in one.shell(1, f"{connection}:{other.exporter_port}")
    assert one.shell(1, f"ss -Hltn sport = :{PORT}") == ""


def cluster_beside(one: Members) -> Members:
    """Another cluster on the same nodes."""
    return Members(
        one.lab,
        1,
        name="other",
        client_port=2400,
        peer_port=2401,
        data_dir="/srv/other/data",
        exporter_port=2402,
    )
