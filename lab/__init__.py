"""Real nodes on one machine: systemd in nspawn, sshd, a network, and what can go wrong."""

from lab.errors import LabError
from lab.laboratory import Lab, Node

__all__ = ["Lab", "LabError", "Node"]
