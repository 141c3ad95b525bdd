"""What a client of a cluster is given: its login, its certificate, and texts that are ready to use.

`python -m etcd_component client` writes them into a directory; nothing of it is ever printed.
"""

from etcd_component.given.etcdctl import PASSWORD, etcdctl
from etcd_component.given.files import CannotGive, give
from etcd_component.given.texts import Given, shell_lines

__all__ = ["PASSWORD", "CannotGive", "Given", "etcdctl", "give", "shell_lines"]
