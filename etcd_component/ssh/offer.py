"""Which types of host keys an SSH server has: it says so in its first packet, before any login."""

import socket
import struct
from typing import BinaryIO

GREETING = b"SSH-2.0-etcd_component\r\n"
"""To be sent at once, as SSH's clients do: what shares a port between protocols waits for it."""

_SECONDS = 2.0
_LONGEST_LINE = 8192
_LONGEST_PACKET = 35000
_KEXINIT = 20
_COOKIE = 16


def host_key_types(host: str, port: int) -> frozenset[str]:
    """The algorithms that a server offers for its host key; empty if it does not answer in time.

    For Ed25519 and ECDSA they are called as the keys' types. See RFC 4253, section 7.1.
    """
    try:
        with socket.create_connection((host, port), _SECONDS) as connected:
            connected.sendall(GREETING)
            with connected.makefile("rb") as stream:
                return _offered(stream)
    except (OSError, struct.error):
        return frozenset()


def _offered(stream: BinaryIO) -> frozenset[str]:
    line = stream.readline(_LONGEST_LINE)
    while not line.startswith(b"SSH-"):
        if not line:
            return frozenset()
        line = stream.readline(_LONGEST_LINE)
    (length,) = struct.unpack(">I", stream.read(4))
    packet = stream.read(min(length, _LONGEST_PACKET))
    _, kind = struct.unpack_from(">BB", packet)
    if kind != _KEXINIT:
        return frozenset()
    (exchanges,) = struct.unpack_from(">I", packet, 2 + _COOKIE)
    start = 2 + _COOKIE + 4 + exchanges
    (length,) = struct.unpack_from(">I", packet, start)
    names = packet[start + 4 : start + 4 + length]
    return frozenset(names.decode(errors="replace").split(","))
