"""etcd's programs come from where they should, checked, or not at all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.node.conftest import SUBNET, Cluster
from tests.node.members import VERSION, Members, credentials, eventually

PLACE = f"/opt/etcd/versions/{VERSION}"


@pytest.fixture
def one(cluster: Cluster) -> Members:
    """A machine with the node program and without etcd."""
    members = cluster(1)
    members.shell(1, "rm -rf /opt/etcd")
    members.send_program(1)
    members.claim(1)
    return members


def installed(members: Members) -> list[str]:
    return members.shell(1, "ls -A /opt/etcd/versions", check=False).split()


def fetch(members: Members) -> str:
    """The release as a file on the node: path."""
    url = members.lab.archive_url.replace("{version}", VERSION).replace("{arch}", "amd64")
    members.shell(1, f"curl -fsS -o /var/tmp/etcd-test.tar.gz {url}")
    return "/var/tmp/etcd-test.tar.gz"


def test_an_archive_is_installed_beside_other_versions(one: Members) -> None:
    assert f"etcd {VERSION} is installed in {PLACE}" in one.put_binary(1).stdout
    assert one.shell(1, f"ls {PLACE}/bin").split() == ["etcd", "etcdctl", "etcdutl"]
    assert one.shell(1, f"stat -c '%U %a' {PLACE} {PLACE}/bin/etcd").split("\n") == ["root 755"] * 2
    one.version = "3.7.3"
    one.put_binary(1)
    assert installed(one) == [VERSION, "3.7.3"]


def test_what_is_installed_is_not_fetched_again(one: Members) -> None:
    one.put_binary(1)
    again = one.put_binary(
        1, "--url", f"http://{SUBNET}.1:1/nothing", "--sha256-amd64", one.sha256()
    )
    assert "is here already" in again.stdout


def test_an_archive_with_another_checksum_installs_nothing(one: Members) -> None:
    wrong = "0" * 64
    refused = one.put_binary(1, "--url", one.lab.archive_url, "--sha256-amd64", wrong, check=False)
    assert refused.returncode == 1
    assert f"SHA-256 is {one.sha256()}, but {wrong} is expected; nothing was" in refused.stderr
    assert installed(one) == []


def test_an_archive_without_a_checksum_is_not_even_fetched(one: Members) -> None:
    refused = one.put_binary(1, "--url", f"http://{SUBNET}.1:1/nothing", check=False)
    assert refused.returncode == 1
    assert "no checksum of etcd 3.6.16 for amd64 is known" in refused.stderr


def test_a_broken_archive_installs_nothing(one: Members) -> None:
    path = fetch(one)
    one.shell(1, f"truncate -s 1000000 {path}")
    checksum = one.shell(1, f"sha256sum {path}").split()[0]
    refused = one.put_binary(1, "--url", f"file://{path}", "--sha256-amd64", checksum, check=False)
    assert refused.returncode == 1
    assert "the archive cannot be unpacked; nothing was installed" in refused.stderr
    assert installed(one) == []


def test_an_archive_of_another_version_installs_nothing(one: Members) -> None:
    path = f"file://{fetch(one)}"
    one.version = "3.6.17"
    refused = one.put_binary(1, "--url", path, "--sha256-amd64", one.sha256(VERSION), check=False)
    assert refused.returncode == 1
    assert "the archive holds etcd 3.6.16, not 3.6.17; nothing was installed" in refused.stderr
    assert installed(one) == []


def test_a_mirror_that_is_away_is_named_without_its_login(one: Members) -> None:
    one.waits = {"download_retry": 0.1}
    refused = one.put_binary(
        1,
        "--url",
        f"http://me:hidden@{SUBNET}.1:1/{{arch}}",
        "--sha256-amd64",
        one.sha256(),
        check=False,
    )
    assert refused.returncode == 1
    assert f"could not fetch http://{SUBNET}.1:1/amd64; nothing was installed" in refused.stderr
    assert "hidden" not in refused.stderr
    assert installed(one) == []


@contextlib.contextmanager
def mirror(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that does this with each connection."""
    with socket.create_server((f"{SUBNET}.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(
                        target=serve, args=(listener.accept()[0],), daemon=True
                    ).start()

        threading.Thread(target=accept, daemon=True).start()
        yield "{}:{}".format(*listener.getsockname())
        listener.shutdown(socket.SHUT_RDWR)


def stall(line: socket.socket) -> None:
    """Begin well, and say nothing more."""
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 25000000\r\n\r\nbeginning")
    with contextlib.suppress(OSError):
        while line.recv(1 << 16):
            pass


def trickle(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        while True:
            line.sendall(b"a few bytes")
            time.sleep(0.2)


def never_end(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        while True:
            line.sendall(bytes(1 << 20))


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (stall, "nothing came for 2 s"),
        (trickle, "it is too slow"),
        (never_end, "it has more than 200 MiB and does not end"),
    ],
)
def test_a_mirror_that_stalls_or_never_ends_is_given_up(
    one: Members, serve: Callable[[socket.socket], None], reason: str
) -> None:
    one.waits = {"download_stall": 2, "download_slow": 3}
    begun = time.monotonic()
    with mirror(serve) as address:
        refused = one.put_binary(
            *(1, "--url", f"http://me:hidden@{address}/a", "--sha256-amd64", one.sha256()),
            check=False,
        )
    assert refused.returncode == 1
    assert f"could not fetch http://{address}/a; nothing was installed: {reason}" in refused.stderr
    assert "hidden" not in refused.stdout + refused.stderr
    assert time.monotonic() - begun < 30
    assert one.shell(1, "ls -A /opt/etcd/versions") == ""


def test_what_others_have_put_beside_our_programs_stays(one: Members) -> None:
    one.shell(1, f"mkdir -p {PLACE}/bin {PLACE}/doc; echo theirs | tee {PLACE}/doc/a {PLACE}/bin/b")
    said = one.put_binary(1).stdout
    assert f"other files in {PLACE} stay as they are: bin/b doc/a" in said
    assert one.shell(1, f"ls {PLACE}/bin {PLACE}/doc").split() == [
        *(f"{PLACE}/bin:", "b", "etcd", "etcdctl", "etcdutl"),
        *(f"{PLACE}/doc:", "a"),
    ]
    # Nor are they taken away for a version that the machine itself has.
    one.shell(1, f"cp {PLACE}/bin/etcd* /usr/local/bin")
    refused = one.put_binary(1, "--method", "preinstalled", check=False)
    assert f"{PLACE} has files that etcd-node did not put there" in refused.stderr
    assert one.shell(1, f"ls {PLACE}/bin").split() == ["b", "etcd", "etcdctl", "etcdutl"]


def test_an_uploaded_archive_is_installed(one: Members) -> None:
    options = ["--method", "upload", "--sha256-amd64", one.sha256(), "--archive"]
    missing = one.put_binary(1, *options, "/var/tmp/etcd-test.tar.gz", check=False)
    assert missing.returncode == 1
    assert "the uploaded archive /var/tmp/etcd-test.tar.gz is not on this machine" in missing.stderr

    assert "is installed" in one.put_binary(1, *options, fetch(one)).stdout


def test_programs_that_the_machine_has_are_adopted(one: Members) -> None:
    missing = one.put_binary(1, "--method", "preinstalled", check=False)
    assert missing.returncode == 1
    assert "this machine has no etcd, but etcd_version is 3.6.16" in missing.stderr

    one.put_binary(1)
    one.shell(1, f"cp {PLACE}/bin/* /usr/local/bin && rm -rf /opt/etcd")
    assert "machine's own" in one.put_binary(1, "--method", "preinstalled").stdout
    assert one.shell(1, f"readlink {PLACE}/bin/etcd") == "/usr/local/bin/etcd"

    one.version = "3.7.3"
    other = one.put_binary(1, "--method", "preinstalled", check=False)
    assert (
        "this machine has etcd 3.6.16, but etcd_version is 3.7.3; set etcd_version to 3.6.16"
        in other.stderr
    )


# ---- the distribution's package

_REPOSITORY = r"""set -eu
rm -rf /srv/repository && mkdir -p /srv/repository && cd /srv/repository
for package in etcd-server etcd-client; do
  mkdir -p $package/DEBIAN
  cat >$package/DEBIAN/control <<END
Package: $package
Version: $1
Architecture: amd64
Maintainer: tests <tests@example.org>
Description: etcd
END
done
mkdir -p etcd-server/usr/bin etcd-server/lib/systemd/system etcd-client/usr/bin
cp /opt/etcd/versions/3.6.16/bin/etcd etcd-server/usr/bin
cp /opt/etcd/versions/3.6.16/bin/etcdctl /opt/etcd/versions/3.6.16/bin/etcdutl etcd-client/usr/bin
cat >etcd-server/lib/systemd/system/etcd.service <<'END'
[Service]
Type=notify
ExecStart=/usr/bin/etcd --data-dir /var/lib/etcd/default
[Install]
WantedBy=multi-user.target
END
cat >etcd-server/DEBIAN/postinst <<'END'
#!/bin/sh
# As debhelper writes it.
set -e
if deb-systemd-helper --quiet was-enabled etcd.service; then
  deb-systemd-helper enable etcd.service >/dev/null || true
fi
[ ! -e /srv/repository/slowly ] || sleep 300
systemctl daemon-reload
if [ -n "$2" ]; then action=restart; else action=start; fi
deb-systemd-invoke $action etcd.service
deb-systemd-invoke start other.service || true
END
chmod 755 etcd-server/DEBIAN/postinst
for package in etcd-server etcd-client; do
  dpkg-deb -Znone --build $package $package.deb >/dev/null
  cat $package/DEBIAN/control
  printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' \
    $package "$(stat -c %s $package.deb)" "$(sha256sum $package.deb | cut -d' ' -f1)"
done >Packages
echo 'deb [trusted=yes] file:/srv/repository ./' >/srv/repository.list
cat >/etc/apt/apt.conf.d/99-tests <<'END'
Dir::Etc::sourcelist "/srv/repository.list";
Dir::Etc::sourceparts "-";
END
rm -rf /opt/etcd
"""

_NO_REPOSITORY = r"""
apt-get -q -y --allow-change-held-packages purge etcd-server etcd-client
rm -rf /srv/repository* /etc/apt/apt.conf.d/99-tests /var/lib/etcd /var/lib/apt/lists/_srv* \
  /var/lib/systemd/deb-systemd-helper-enabled/etcd*
systemctl daemon-reload
"""


@pytest.fixture
def packaged(one: Members) -> Iterator[Members]:
    one.put_binary(1)
    yield one
    one.shell(1, _NO_REPOSITORY, check=False)


def is_left_alone(members: Members) -> bool:
    """Whether the package's own etcd has not run and will not at the next boot."""
    active = members.shell(1, "systemctl is-active etcd", check=False)
    enabled = members.shell(1, "systemctl is-enabled etcd", check=False)
    data = members.shell(1, "ls -A /var/lib/etcd", check=False)
    wanted = members.shell(1, "ls /etc/systemd/system/*.wants/etcd.service", check=False)
    return (active, enabled, data, wanted) == ("inactive", "disabled", "", "")


def test_a_package_s_installation_that_is_killed_leaves_nothing_behind(packaged: Members) -> None:
    packaged.shell(1, f"set -- 3.6.16-1; {_REPOSITORY}")
    packaged.shell(1, "touch /srv/repository/slowly")
    words = ("--version", VERSION, "--method", "package")
    running = packaged.begin(1, "binary", *words, stdin=credentials())
    eventually("it is installed", lambda: packaged.shell(1, "pgrep -f 'sleep 30[0]'", check=False))
    for word in ("[e]tcd-node binary", "[a]pt-get", "[d]pkg", "sleep 30[0]", "[p]ostinst"):
        packaged.shell(1, f"pkill -9 -f '{word}'", check=False)
    running.wait()
    status = "dpkg-query -W -f '${db:Status-Status}' etcd-server"
    assert packaged.shell(1, status) == "half-configured"
    assert packaged.shell(1, "ls /usr/sbin/policy-rc.d", check=False) == ""
    assert is_left_alone(packaged)

    packaged.shell(1, "rm /srv/repository/slowly")
    packaged.put_binary(1, "--method", "package")
    assert packaged.shell(1, status) == "installed"
    assert "etcd-server" in packaged.shell(1, "apt-mark showhold")
    assert is_left_alone(packaged)
    assert installed(packaged) == [VERSION, "package"]


_OTHER = r"""
cat >/run/systemd/system/other.service <<'END'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo started >>/run/other'
[Install]
WantedBy=multi-user.target
END
printf '#!/bin/sh\necho "$*" >>/run/policy\nexit %s\n' "$1" >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
systemctl daemon-reload
systemctl enable -q other.service
"""

_NO_OTHER = r"""
systemctl disable -q other.service
rm -f /run/policy /run/other /run/systemd/system/other.service /usr/sbin/policy-rc.d
"""


@pytest.mark.parametrize(("policy", "started"), [(0, "started"), (101, "")])
def test_of_other_units_the_machine_s_own_policy_decides(
    packaged: Members, policy: int, started: str
) -> None:
    packaged.shell(1, f"set -- 3.6.16-1; {_REPOSITORY}")
    packaged.shell(1, f"set -- {policy}; {_OTHER}")
    try:
        packaged.put_binary(1, "--method", "package")
        assert packaged.shell(1, "cat /run/other", check=False) == started
        assert packaged.shell(1, "cat /run/policy") == "other.service start"
        assert f"exit {policy}" in packaged.shell(1, "cat /usr/sbin/policy-rc.d")
        assert is_left_alone(packaged)
    finally:
        packaged.shell(1, _NO_OTHER)


def test_a_package_s_own_etcd_never_starts(packaged: Members) -> None:
    """Without that the distribution would start a lone cluster on our ports."""
    packaged.shell(1, f"set -- 3.6.16-1; {_REPOSITORY}")
    done = packaged.put_binary(1, "--method", "package")

    assert "machine's own (package)" in done.stdout
    assert packaged.shell(1, "ls -A /var/lib/etcd", check=False) == ""
    assert packaged.shell(1, "systemctl is-active etcd", check=False) == "inactive"
    assert packaged.shell(1, "systemctl is-enabled etcd", check=False) == "disabled"
    assert packaged.shell(1, "ls /usr/sbin/policy-rc.d", check=False) == ""
    assert "etcd-server" in packaged.shell(1, "apt-mark showhold")

    packaged.put_certificate(1)
    packaged.put_config(1)
    packaged.join(1, founders=[1])
    assert packaged.roles() == {"etcd-1": "voter"}
    assert "here already" in packaged.put_binary(1, "--method", "package").stdout
    packaged.uninstall(1, "--remove-data", "--remove-software")
    assert packaged.shell(1, "ls /usr/bin/etcd*", check=False) == ""


def test_a_package_of_another_version_is_refused_before_anything_is_installed(
    packaged: Members,
) -> None:
    packaged.shell(1, f"set -- 3.4.23-4+b4; {_REPOSITORY}")
    refused = packaged.put_binary(1, "--method", "package", check=False)

    assert refused.returncode == 1
    assert (
        "offers etcd-server 3.4.23-4+b4, but etcd_version is 3.6.16; nothing was" in refused.stderr
    )
    assert packaged.shell(1, "ls /usr/bin/etcd*", check=False) == ""
