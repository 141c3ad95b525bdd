"""Every name on the machine that belongs to one lab, derived from the lab's name and subnet.

Deriving all of them from two words is what lets several labs live side by side, and what lets
`down` find the remains of a lab whose process was killed.
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

HOME = Path("/var/lib/etcd-lab")
FIRST_NUMBER = 10
LAST_NUMBER = 250
DEFAULT_NAME = "demo"
# `test` is the lab of `make test`, apart from a person's own demonstration.
_SUBNETS = {DEFAULT_NAME: "10.10.10", "test": "10.10.11"}

_NAME = re.compile(r"[a-z][a-z0-9]{0,7}")


@dataclass(frozen=True)
class Naming:
    """Names of one lab: `name` has 1 to 8 characters, `subnet` is three octets of a /24."""

    name: str
    subnet: str

    def __post_init__(self) -> None:
        """Refuse what the kernel would refuse later, such as interface names over 15 characters."""
        check_name(self.name)
        try:
            network = ipaddress.IPv4Network(f"{self.subnet}.0/24")
        except ValueError as error:
            message = f"{self.subnet!r} is no subnet: give three octets, such as 10.10.10."
            raise LabError(message) from error
        if not network.is_private:
            message = f"{self.subnet} is a public subnet: take a private one, such as 10.10.10."
            raise LabError(message)

    @property
    def home(self) -> Path:
        """Directory of everything this lab keeps while it exists."""
        return HOME / self.name

    @property
    def nodes_home(self) -> Path:
        """Directory that holds one directory per node, named by its number."""
        return self.home / "nodes"

    @property
    def network(self) -> str:
        """The /24 in CIDR notation."""
        return f"{self.subnet}.0/24"

    @property
    def gateway(self) -> str:
        """Address of the host on the lab's bridge."""
        return f"{self.subnet}.1"

    @property
    def bridge(self) -> str:
        """Interface that all nodes hang on."""
        return f"el-{self.name}"

    @property
    def chain(self) -> str:
        """The lab's iptables chain, of this name in every table it needs."""
        return f"ETCD-LAB-{self.name}"

    @property
    def interface_prefix(self) -> str:
        """Start of the names of all veth ends on the host's side."""
        return f"{self.bridge}-"

    @property
    def namespace_prefix(self) -> str:
        """Start of the names of all network namespaces, and of the names nspawn knows nodes by."""
        return f"etcd-lab-{self.name}-"

    def address(self, number: int) -> str:
        """IPv4 address of node `number` (10 to 250)."""
        return f"{self.subnet}.{number}"

    def interface(self, number: int) -> str:
        """Name of the host's end of the veth of node `number`."""
        return f"{self.interface_prefix}{number}"

    def namespace(self, number: int) -> str:
        """Name of the network namespace (and nspawn machine) of node `number`."""
        return f"{self.namespace_prefix}{number}"

    @staticmethod
    def numbers_in(directory: Path, prefix: str = "") -> set[int]:
        """Return the node numbers among the names in `directory` that begin with `prefix`."""
        names = [path.name for path in directory.glob(f"{prefix}*")]
        endings = [name.removeprefix(prefix) for name in names]
        return {int(ending) for ending in endings if ending.isdigit()}

    def number(self, node: int | str) -> int:
        """Node number meant by a number (10), a name (node10) or an address (10.10.10.10).

        Raises LabError when it is none of these.
        """
        text = str(node).removeprefix(f"{self.subnet}.").removeprefix("node")
        if text.isascii() and text.isdigit() and FIRST_NUMBER <= int(text) <= LAST_NUMBER:
            return int(text)
        message = (
            f"{node} is no node of lab {self.name}: give a number from {FIRST_NUMBER} to "
            f"{LAST_NUMBER}, or an address such as {self.address(FIRST_NUMBER)}."
        )
        raise LabError(message)


def default_subnet(name: str) -> str:
    """Return the subnet of a lab for which none was chosen: always the same for the same name."""
    return _SUBNETS.get(name) or f"10.10.{20 + zlib.crc32(name.encode()) % 200}"


def check_name(name: str) -> None:
    """Raise LabError unless `name` may name a lab."""
    if not _NAME.fullmatch(name):
        message = f"{name!r} names no lab: give 1 to 8 small letters and digits, a letter first."
        raise LabError(message)
