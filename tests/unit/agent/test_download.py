"""A mirror that is away, slow, stalls or never ends is given up; one that works is not."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from etcd_component.agent import download, mirror
from etcd_component.agent.download import FLOOR, Watch, fetch
from etcd_component.agent.mirror import Address, DownloadFailed
from etcd_component.agent.waits import Waits
from tests.authority import Authority

CONTENT = bytes(range(256)) * 4096
WAITS = Waits(download=5, download_stall=0.6, download_slow=30, download_retry=0.01)


class Mirror(ThreadingHTTPServer):
    """Answers as a test wants it to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[Handler], None] = Handler.whole
        self.asked: list[dict[str, str]] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/etcd.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.asked.append({"path": self.path, **dict(self.headers)})
        with contextlib.suppress(OSError):
            self.server.answer(self)

    def log_message(self, *args: Any) -> None:
        pass

    def head(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send(self, piece: bytes) -> None:
        self.wfile.write(piece)
        self.wfile.flush()

    def whole(self) -> None:
        self.head(Content_Length=str(len(CONTENT)))
        self.send(CONTENT)

    def wait(self, seconds: float = 20) -> bool:
        return self.server.closing.wait(seconds)


@pytest.fixture
def server() -> Iterator[Mirror]:
    made = Mirror()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.closing.set()
    made.shutdown()
    made.server_close()


@pytest.fixture
def get(server: Mirror, tmp_path: Path) -> Callable[..., bytes]:
    def getting(url: str = "", waits: Waits = WAITS) -> bytes:
        into = tmp_path / "archive"
        checksum = fetch(Address.parse(url or server.url), into, waits)
        content = into.read_bytes()
        assert hashlib.sha256(content).hexdigest() == checksum
        return content

    return getting


Get = Callable[..., bytes]


def test_a_file_comes_whole_with_its_checksum(server: Mirror, get: Get) -> None:
    assert get() == CONTENT
    assert server.asked[0]["User-Agent"] == "etcd-node"
    assert "Authorization" not in server.asked[0]


def test_a_mirror_need_not_say_how_much_it_has(server: Mirror, get: Get) -> None:
    def chunked(answer: Handler) -> None:
        answer.protocol_version = "HTTP/1.1"
        answer.head(Transfer_Encoding="chunked")
        for piece in (CONTENT[:70000], CONTENT[70000:], b""):
            answer.send(b"%x\r\n%s\r\n" % (len(piece), piece))

    server.answer = chunked
    assert get() == CONTENT


def test_a_connection_that_stays_open_at_the_end_holds_nothing_up(server: Mirror, get: Get) -> None:
    def open_ended(answer: Handler) -> None:
        answer.whole()
        answer.wait()

    server.answer = open_ended
    begun = time.monotonic()
    assert get() == CONTENT
    assert time.monotonic() - begun < 0.5


def test_no_proxy_of_the_environment_is_used(
    server: Mirror, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert get() == CONTENT


def test_a_file_of_this_machine(tmp_path: Path, get: Get) -> None:
    (tmp_path / "a file").write_bytes(CONTENT)
    assert get(f"file://{tmp_path}/a%20file") == CONTENT
    with pytest.raises(DownloadFailed, match="no such file"):
        get(f"file://{tmp_path}/none")


# ---- TLS


@pytest.fixture
def authority(server: Mirror, tmp_path: Path) -> Authority:
    """Signs the certificate by which the mirror speaks TLS, at one of its two names."""
    made = Authority()
    pair = made._issue("mirror", [x509.IPAddress(ip_address("127.0.0.1"))])
    (tmp_path / "pair.pem").write_text("".join(pair))
    (tmp_path / "ca.pem").write_text(made.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return made


def test_a_mirror_whose_ca_the_machine_trusts(
    server: Mirror, get: Get, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, patient = server.url.replace("http:", "https:"), Waits()
    with pytest.raises(DownloadFailed, match="the mirror's certificate is not trusted: "):
        get(url, waits=patient)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert get(url, waits=patient) == CONTENT
    with pytest.raises(DownloadFailed, match="not trusted: Hostname mismatch"):
        get(url.replace("127.0.0.1", "localhost"), waits=patient)
    # Neither was tried again.
    assert len(server.asked) == 1


# ---- logins


def test_a_login_goes_to_the_mirror_and_into_no_message(server: Mirror, get: Get) -> None:
    login = "m%40e:hid@den%3A1"
    url = server.url.replace("//", f"//{login}@")
    assert get(url) == CONTENT
    expected = base64.b64encode(b"m@e:hid@den:1").decode()
    assert server.asked[0]["Authorization"] == f"Basic {expected}"
    address = Address.parse(f"{url}?signature=hidden#part")
    assert address.shown == f"{server.url}?..."
    assert address.url == f"{server.url}?signature=hidden"
    assert "den" not in repr(address).replace("hidden", "")


@pytest.mark.parametrize("text", ["", "ftp://a/b", "https://", "http://a:b/c", "data:,x", "a"])
def test_what_is_no_url_is_said_so_without_it(text: str) -> None:
    with pytest.raises(DownloadFailed, match=r"^it is no URL that begins with https, http or file"):
        Address.parse(text)


def redirect(server: Mirror, to: str, status: int = 302) -> None:
    def answer(answer: Handler) -> None:
        if answer.path == "/etcd.tar.gz":
            answer.head(status, Location=to, Content_Length="0")
        else:
            answer.whole()

    server.answer = answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_login_follows_a_redirect_at_the_mirror(server: Mirror, get: Get, status: int) -> None:
    redirect(server, "/elsewhere", status)
    assert get(server.url.replace("//", "//me:hidden@")) == CONTENT
    assert [one["path"] for one in server.asked] == ["/etcd.tar.gz", "/elsewhere"]
    assert all("Authorization" in one for one in server.asked)


def test_without_a_login_none_is_made_up(server: Mirror, get: Get) -> None:
    redirect(server, "/elsewhere")
    assert get() == CONTENT
    assert not any("Authorization" in one for one in server.asked)


def test_a_login_does_not_follow_a_redirect_to_somebody_else(server: Mirror, get: Get) -> None:
    redirect(server, f"http://localhost:{server.server_port}/elsewhere")
    assert get(server.url.replace("//", "//me:hidden@")) == CONTENT
    assert "Authorization" not in server.asked[1]


def test_redirects_in_a_circle_end(server: Mirror, get: Get) -> None:
    redirect(server, "/etcd.tar.gz")
    with pytest.raises(DownloadFailed, match="the mirror answers 302"):
        get()
    assert len(server.asked) < 10


def test_a_redirect_out_of_tls_is_not_followed() -> None:
    address = Address.parse("https://mirror/etcd")
    handler = mirror._Redirects(address)
    request = urllib.request.Request(address.url)
    headers: Any = {}
    follow = handler.redirect_request
    with pytest.raises(DownloadFailed, match="from https to"):
        follow(request, None, 302, "Found", headers, "http://mirror/etcd")  # type: ignore[arg-type]
    followed = follow(request, None, 302, "Found", headers, "https://b/etcd")  # type: ignore[arg-type]
    assert followed is not None
    assert followed.full_url == "https://b/etcd"


def test_a_redirect_to_a_file_is_not_followed(server: Mirror, get: Get, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret of root")
    redirect(server, f"file://{tmp_path}/secret")
    with pytest.raises(DownloadFailed):
        get()


# ---- mirrors that fail


def test_a_mirror_that_is_away_is_tried_again(server: Mirror, get: Get) -> None:
    answers = iter([503, 500, 429])

    def busy(answer: Handler) -> None:
        status = next(answers, 0)
        if status:
            answer.head(status)
        else:
            answer.whole()

    server.answer = busy
    assert get() == CONTENT
    assert len(server.asked) == 4


def test_a_mirror_that_stays_away_is_given_up(server: Mirror, get: Get) -> None:
    server.answer = lambda answer: answer.head(503)
    with pytest.raises(DownloadFailed, match="the mirror answers 503 Service Unavailable"):
        get()
    assert len(server.asked) == 4
    with pytest.raises(DownloadFailed, match="connection refused"):
        get("http://127.0.0.1:1/")


def test_what_a_mirror_does_not_have_is_not_asked_for_again(server: Mirror, get: Get) -> None:
    server.answer = lambda answer: answer.head(404)
    with pytest.raises(DownloadFailed, match="the mirror answers 404 Not Found"):
        get()
    assert len(server.asked) == 1


def test_what_breaks_off_is_fetched_again(
    server: Mirror, get: Get, capsys: pytest.CaptureFixture[str]
) -> None:
    def short(answer: Handler) -> None:
        if len(server.asked) > 1:
            answer.whole()
        else:
            answer.head(Content_Length=str(len(CONTENT)))
            answer.send(CONTENT[:-1])

    server.answer = short
    assert get() == CONTENT
    assert "it broke off: fetched 1.0 of 1.0 MB; trying again" in capsys.readouterr().out


@pytest.mark.parametrize("sent", [None, 0, 1000])
def test_a_mirror_that_stalls_is_given_up_and_not_tried_again(
    server: Mirror, get: Get, sent: int | None
) -> None:
    def stall(answer: Handler) -> None:
        if sent is not None:
            answer.head(Content_Length=str(len(CONTENT)))
            answer.send(CONTENT[:sent])
        answer.wait()

    server.answer = stall
    begun = time.monotonic()
    with pytest.raises(DownloadFailed, match=r"nothing came for 0\.6 s"):
        get()
    assert time.monotonic() - begun >= 0.6
    assert len(server.asked) == 1


def test_headers_that_trickle_are_given_up(server: Mirror, get: Get) -> None:
    def trickle(answer: Handler) -> None:
        while not answer.wait(0.1):
            answer.send(b"H")

    server.answer = trickle
    with pytest.raises(DownloadFailed, match="nothing came"):
        get()


def test_a_mirror_that_trickles_is_given_up(server: Mirror, get: Get) -> None:
    def trickle(answer: Handler) -> None:
        answer.head(Content_Length=str(len(CONTENT)))
        while not answer.wait(0.05):
            answer.send(b"0123456789")

    server.answer = trickle
    begun = time.monotonic()
    with pytest.raises(DownloadFailed, match="it is too slow: 0 kB came in 1 s"):
        get(waits=Waits(download_stall=5, download_slow=1))
    assert time.monotonic() - begun < 2


def test_a_mirror_that_never_ends_is_given_up(
    server: Mirror, get: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LARGEST", 2 << 20)

    def endless(answer: Handler) -> None:
        answer.head()
        while not answer.server.closing.is_set():
            answer.send(CONTENT)

    server.answer = endless
    with pytest.raises(DownloadFailed, match="more than 2 MiB and does not end"):
        get()
    assert (tmp_path / "archive").stat().st_size < 3 << 20


def test_what_is_announced_as_too_large_is_not_fetched(server: Mirror, get: Get) -> None:
    server.answer = lambda answer: answer.head(Content_Length=str(201 << 20))
    with pytest.raises(DownloadFailed, match="it has 201 MiB, and 200 MiB are the most"):
        get()


def test_a_disk_without_room_is_said_so(
    server: Mirror, get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    free = type("Usage", (), {"free": len(CONTENT) - 1})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(DownloadFailed, match="it has 1 MiB, and 0 MiB are free in"):
        get()
    assert len(server.asked) == 1


def test_an_answer_that_is_not_http_is_said_so(server: Mirror, get: Get) -> None:
    server.answer = lambda answer: answer.send(b"220 ftp.example ready\r\n")
    with pytest.raises(DownloadFailed, match=r"cannot be read \(BadStatusLine\)"):
        get()
    assert len(server.asked) == 1


def test_how_far_it_is_is_said(
    server: Mirror, get: Get, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(download, "_REPORT_SECONDS", 0.2)

    def slowly(answer: Handler) -> None:
        answer.head(Content_Length=str(len(CONTENT)))
        answer.send(CONTENT[: len(CONTENT) // 2])
        answer.wait(0.5)
        answer.send(CONTENT[len(CONTENT) // 2 :])

    server.answer = slowly
    assert get() == CONTENT
    assert "fetched 0.5 of 1.0 MB\n" in capsys.readouterr().out


# ---- when to give up, by the clock


def watched(*samples: tuple[float, int], **waits: float) -> str:
    """What the last of these samples leads to."""
    watch = Watch(Waits(**{"download": 1000, **waits}), 1000, 0)
    said = ""
    for now, got in samples:
        said = watch.objection(now, got)
    return said


PER_SECOND = FLOOR


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(30, 0)], ""),
        ([(30.1, 0)], "nothing came for 30 s"),
        ([(20, 1), (49, 1)], ""),
        ([(20, 1), (50.1, 1)], "nothing came for 30 s"),
        ([(second, second * PER_SECOND) for second in range(1, 200)], ""),
        ([(second, second * (PER_SECOND - 1)) for second in range(1, 50)], ""),
        ([(second, second * (PER_SECOND - 1)) for second in range(1, 51)], "it is too slow"),
        # Fast at first, then slow.
        ([(1, 10**9), *((second, 10**9 + second) for second in range(2, 51))], ""),
        ([(1, 10**9), *((second, 10**9 + second) for second in range(2, 52))], "it is too slow"),
        ([(second, second * 10**6) for second in range(1, 1001)], ""),
        ([(second, second * 10**6) for second in range(1, 1002)], "it was not there in 1000 s"),
    ],
)
def test_when_to_give_up(samples: list[tuple[float, int]], expected: str) -> None:
    said = watched(*samples)
    assert said.startswith(expected)
    assert bool(said) == bool(expected)


@pytest.mark.parametrize("status", HTTPStatus)
def test_which_statuses_pass(status: HTTPStatus) -> None:
    error = urllib.request.HTTPError("http://a", status, status.phrase, None, None)  # type: ignore[arg-type]
    assert mirror.may_pass(error) == (status in {408, 429, 500, 502, 503, 504})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError("timed out"), True),
        (ssl.SSLError(), True),
        (ssl.SSLCertVerificationError(), False),
        (ValueError(), False),
    ],
)
def test_which_errors_pass(error: Exception, expected: bool) -> None:
    assert mirror.may_pass(error) is expected
    assert mirror.may_pass(urllib.error.URLError(error)) is expected
    assert not mirror.may_pass(urllib.error.URLError("unknown url type: x"))
