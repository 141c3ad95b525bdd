"""Serves a directory over HTTP, as a site's own mirror does.

`archive_server.py DIRECTORY ADDRESS PORTFILE` is a program of its own, without the rest of the lab,
so that it outlives the checkout it was started from.
"""

from __future__ import annotations

import functools
import http.server
import sys
from pathlib import Path

_PORTS = range(8080, 8100)


def serve(directory: str, address: str, portfile: Path) -> None:
    """Serve for ever on the first free port of `address`, which is written to `portfile`."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=directory)
    for candidate in _PORTS:
        try:
            server = http.server.ThreadingHTTPServer((address, candidate), handler)
        except OSError as error:
            print(f"port {candidate}: {error}", flush=True)
            continue
        unfinished = portfile.with_suffix(".port.new")
        unfinished.write_text(str(candidate))
        unfinished.rename(portfile)
        server.serve_forever()
    sys.exit(f"no free port among {_PORTS.start} to {_PORTS.stop - 1} on {address}")


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
