"""A server of HTTPS on this machine that answers as a test says, and counts its connections."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509

from etcd_component.etcd_api.connection import client_context
from tests.authority import Authority

OK = b"200 OK"
ERROR = b"400 Bad Request"
HANG_UP = b""


@dataclass
class Server:
    """Serves one answer for each request; what it is asked is kept."""

    folder: Path
    authority: Authority = field(default_factory=Authority)
    answers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What comes next, status line and body; HANG_UP closes the connection. `{}` after the last."""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    hang_up_after: int = 0
    """Close each connection after so many answers; 0 never."""
    says_close: bool = False
    """Say so in the head of the last of them, as a server does that is being stopped."""
    cut_off: int = 0
    """Leave so many bytes of each body out, and close the connection."""
    silent: bool = False
    """Take requests and answer none."""
    asks_for_certificate: bool = True
    days: float = 30

    def __post_init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*self._files("server", self.days))
        if self.asks_for_certificate:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(cadata=self.authority.pem)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def client(self, authority: Authority | None = None) -> ssl.SSLContext:
        """TLS of a client with a certificate of that authority, who trusts this server's."""
        certificate, key = self._files("client", 30, authority)
        bundle = self.folder / "ca.pem"
        bundle.write_text(self.authority.bundle)
        return client_context(bundle, certificate, key)

    def stop(self) -> None:
        self._socket.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """As a member does that is restarted."""
        for one in self._open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._open.clear()

    def _files(
        self, name: str, days: float, authority: Authority | None = None
    ) -> tuple[Path, Path]:
        names = [x509.IPAddress(ip_address("127.0.0.1"))]
        pem, key = (authority or self.authority)._issue(name, names, days)
        paths = (self.folder / f"{name}.crt", self.folder / f"{name}.key")
        paths[0].write_text(pem)
        paths[1].write_text(key)
        return paths

    def _accept(self) -> None:
        while True:
            try:
                plain = self._socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as line:
                self._open.append(line)
                self._answer(line)
        except OSError:
            plain.close()

    def _answer(self, line: ssl.SSLSocket) -> None:
        answered = 0
        while request := _read(line):
            self.requests.append(request)
            if self.silent:
                continue
            status, body = self.answers.pop(0) if self.answers else (OK, b"{}")
            if status == HANG_UP:
                return
            answered += 1
            is_last = answered == self.hang_up_after
            close = b"Connection: close\r\n" if is_last and self.says_close else b""
            head = b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n" % (status, close, len(body))
            line.sendall(head + body[: len(body) - self.cut_off])
            if is_last or self.cut_off:
                return


def _read(line: ssl.SSLSocket) -> bytes:
    """One request with its body."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = line.recv(65536)
        if not piece:
            return b""
        text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    length = next(
        (
            int(one.split(b":")[1])
            for one in head.split(b"\r\n")
            if one.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body
