"""Root follows nobody's link: not to an uploaded archive, and not where others can write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from etcd_component.model import Monitor, Node
from etcd_component.monitoring import units
from tests.node.conftest import Cluster
from tests.node.members import VERSION, Members
from tests.node.test_monitor import LOGIN, sections
from tests.node.test_preflight import preflight

NAME = f"etcd-{VERSION}-etcd-1-10.10.10.10.tar.gz"
HOME = "/home/admin"


@pytest.fixture
def one(cluster: Cluster) -> Iterator[Members]:
    """A machine with the node program and without etcd, and a login that is not root."""
    members = cluster(1)
    members.shell(1, "rm -rf /opt/etcd")
    members.send_program(1)
    yield members
    members.shell(1, f"rm -f {HOME}/etcd-* /root/etcd-*; chmod 755 {HOME}; rm -rf /srv/victim")


def fetch(members: Members, path: str) -> None:
    url = members.lab.archive_url.replace("{version}", VERSION).replace("{arch}", "amd64")
    members.shell(1, f"curl -fsS -o {path} {url}")


def install(members: Members, archive: str = NAME, login: str = "admin") -> tuple[int, str]:
    """Run `binary` as Pulumi does for this login: in its home directory, with sudo."""
    words = f"--version {VERSION} --method upload --archive {archive}"
    command = f"etcd-node binary {words} --sha256-amd64 {members.sha256()}"
    if login != "root":
        command = f"sudo -n /usr/local/sbin/{command}"
    script = f"""su - {login} -c 'timeout 60 {command} 2>&1; echo " status $?"'"""
    said = members.shell(1, script, stdin="{}\n")
    return int(said.rpartition(" status ")[2]), said


@pytest.mark.parametrize(("login", "home"), [("admin", HOME), ("root", "/root")])
def test_an_upload_is_taken_from_the_login_s_own_directory_and_then_removed(
    one: Members, login: str, home: str
) -> None:
    fetch(one, f"{home}/{NAME}")
    one.shell(1, f"chown {login} {home}/{NAME}")
    status, said = install(one, login=login)
    assert (status, f"etcd {VERSION} is installed" in said) == (0, True), said
    assert one.shell(1, f"ls {home}/etcd-*", check=False) == ""
    # Uploaded again for nothing, it does not stay either.
    one.shell(1, f"echo again >{home}/{NAME}")
    status, said = install(one, login=login)
    assert (status, "is here already" in said) == (0, True), said
    assert one.shell(1, f"ls {home}/etcd-*", check=False) == ""


def test_an_archive_that_a_person_names_by_its_path_stays(one: Members) -> None:
    fetch(one, "/root/etcd-own.tar.gz")
    assert install(one, "/root/etcd-own.tar.gz")[0] == 0
    assert one.shell(1, "ls /root/etcd-own.tar.gz")


PLANTED = {
    "a link to a file of root": "ln -s /srv/victim {path}",
    "a link to an archive": "mv {path} /srv/archive && ln -s /srv/archive {path}",
    "a pipe": "rm {path}; mkfifo {path}",
    "somebody else's file": "chown nobody {path}",
    "a directory": "rm {path}; mkdir {path}",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_not_the_login_s_own_plain_file_is_not_read(one: Members, planted: str) -> None:
    path = f"{HOME}/{NAME}"
    fetch(one, path)
    one.shell(1, "umask 077; echo secret of root >/srv/victim")
    if "victim" in PLANTED[planted]:
        one.shell(1, f"rm {path}")
    one.shell(1, PLANTED[planted].format(path=path))
    checksum = one.shell(1, "sha256sum /srv/victim").split()[0]
    status, said = install(one)
    assert status == 1, said
    assert f"{path} is no plain file of root or of the login" in said
    assert "nothing was installed" in said
    assert checksum not in said
    assert one.shell(1, "ls -A /opt/etcd/versions", check=False) == ""
    assert one.shell(1, "cat /srv/victim") == "secret of root"
    one.shell(1, f"rm -rf {path} /srv/archive")


def test_an_upload_that_was_never_installed_is_erased_and_nothing_else(one: Members) -> None:
    one.claim(1)
    one.put_binary(1)
    one.put_certificate(1)
    one.put_config(1)
    one.shell(1, f"touch /root/{NAME} /root/etcd-notes.txt {HOME}/{NAME}")
    assert "is off this machine" in one.uninstall(1, "--remove-data").stdout
    left = one.shell(1, f"ls /root/etcd-* {HOME}/etcd-*", check=False)
    assert left.split() == [f"{HOME}/{NAME}", "/root/etcd-notes.txt"]


def test_a_home_in_which_everybody_can_write_is_refused_before_an_upload(one: Members) -> None:
    one.shell(1, f"chmod 777 {HOME}")
    instance = one.instance(1)
    words = f"--name etcd-1 --address {instance.node.address} --data /data/etcd --method upload"
    said = one.shell(
        1, f"cd {HOME} && etcd-node preflight --cluster etcd {words} 2>&1", check=False
    )
    assert f"everybody can write in {HOME}, where the login's uploads go" in said
    one.shell(1, f"chmod 755 {HOME}")
    assert "is fit" in one.shell(1, f"cd {HOME} && etcd-node preflight --cluster etcd {words} 2>&1")


# Links at the names under which root might write there: a user can foresee the next processes.
_PLANT = """
echo untouched >/srv/victim
exec setpriv --reuid="$2" --clear-groups --inh-caps=-all perl -e '
  my ($prefix, $from) = @ARGV; symlink "/srv/victim", "$prefix$_" for $from .. $from + 9999
' "$1" "$(cat /proc/sys/kernel/ns_last_pid)"
"""


def plant(members: Members, prefix: str, user: str) -> None:
    members.shell(1, f"set -- {prefix} {user}; {_PLANT}")


def test_the_preflight_writes_through_no_link_in_a_member_s_directory(one: Members) -> None:
    one.prepare(1)
    plant(one, "/data/etcd/.etcd-node.", "etcd")
    for _ in range(3):
        assert preflight(one)[0] == 0
    assert one.shell(1, "cat /srv/victim") == "untouched"
    assert one.shell(1, "find /data/etcd ! -type l ! -user etcd") == ""


def test_metrics_are_written_through_no_link_in_a_directory_of_somebody_else(
    one: Members,
) -> None:
    one.prepare(1)
    one.shell(1, "rm -rf /srv/textfile; mkdir /srv/textfile; chown nobody /srv/textfile")
    plant(one, "/srv/textfile/etcd-etcd.prom.", "nobody")
    for _ in range(3):
        one.run(1, "metrics", "--save", "--textfile", "/srv/textfile")
    assert one.shell(1, "cat /srv/victim") == "untouched"
    assert "etcd_node_" in one.shell(1, "cat /srv/textfile/etcd-etcd.prom")
    assert one.shell(1, "stat -c '%U %a' /srv/textfile/etcd-etcd.prom") == "root 644"
    assert one.shell(1, "find /srv/textfile -mindepth 1 ! -type l ! -name '*.prom'") == ""
    one.shell(1, "rm -rf /srv/textfile")


def test_the_monitor_s_program_writes_through_no_link_in_its_data(one: Members) -> None:
    one.send_program(1, path="/root/etcd-monitor")
    model = Monitor(Node("127.0.0.1", LOGIN))
    texts = {units.STORE: units.store(model), "url": "x\n", "scrape.yml": "scrape_configs: []\n"}
    files = "/root/etcd-monitor files --kind config --data /srv/monitor"
    try:
        one.shell(1, "mkdir /etc/etcd-monitor; echo ours >/etc/etcd-monitor/owner")
        one.shell(1, files, stdin=sections(texts))
        one.shell(1, "echo untouched >/srv/victim; ln -sf /srv/victim /srv/monitor/.etcd-monitor")
        one.shell(1, files, stdin=sections(texts))
        assert one.shell(1, "cat /srv/victim") == "untouched"
    finally:
        one.shell(1, "/root/etcd-monitor uninstall --remove-data --yes; rm -f /root/etcd-monitor")
