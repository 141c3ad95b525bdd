"""vmui before a VictoriaMetrics that has none, such as Debian's.

    python toolchain/vmui/serve.py FILES SERVER [PORT]

FILES is the directory of vmui's own files, SERVER the address of VictoriaMetrics, which answers
everything else, and whose CA comes on stdin, if it has one. Listens on this machine only.
"""

import shutil
import ssl
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_OWN = "/vmui/"
_OF_SERVER = "/vmui/custom-dashboards"
_ASKED = ("Authorization", "Content-Type")
_ANSWERED = ("Content-Type", "Location", "WWW-Authenticate")


class Vmui(SimpleHTTPRequestHandler):
    """Gives vmui's files, and what the server says to the rest."""

    asked: str
    trust: ssl.SSLContext

    def do_GET(self) -> None:
        """A file of vmui, or the server's answer."""
        if self.path in ("/", "/vmui"):
            self.send_response(302)
            self.send_header("Location", f"{_OWN}#/dashboards")
            self.end_headers()
        elif self.path.startswith(_OWN) and not self.path.startswith(_OF_SERVER):
            self.path = self.path.removeprefix(_OWN.rstrip("/"))
            super().do_GET()
        else:
            self._ask(None)

    def do_POST(self) -> None:
        """The server's answer."""
        self._ask(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _ask(self, body: bytes | None) -> None:
        given = {name: self.headers[name] for name in _ASKED if name in self.headers}
        question = Request(self.asked + self.path, body, given)  # noqa: S310 - a person gave it
        try:
            answer: Any = urlopen(question, context=self.trust)  # noqa: S310
        except HTTPError as refusal:
            answer = refusal
        except URLError as reason:
            self.send_error(502, f"{self.asked} does not answer: {reason.reason}")
            return
        with answer:
            self.send_response(answer.status)
            for name in _ANSWERED:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)

    def log_message(self, *_: object) -> None:
        """Says nothing: a terminal full of requests is no help."""


def main(files: str, server: str, port: str = "8427") -> None:
    """Serve until somebody stops it."""
    Vmui.asked = server.rstrip("/")
    Vmui.trust = ssl.create_default_context(cadata=sys.stdin.read().strip() or None)
    with ThreadingHTTPServer(
        ("127.0.0.1", int(port)), lambda *given: Vmui(*given, directory=files)
    ) as serving:
        print(f"vmui: http://127.0.0.1:{serving.server_port}/", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()


main(*sys.argv[1:])
