"""Real nodes on one machine: systemd in nspawn, sshd, a network of their own, and what can go wrong with them."""

from lab.errors import LabError
from lab.laboratory import Lab, Node

__all__ = ["Lab", "LabError", "Node"]
