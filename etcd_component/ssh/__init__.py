"""How a machine is reached: login, private key, host key, bastion.

What `ssh` itself would do holds wherever the inventory and the stack say nothing else: its
configuration, known_hosts, agent and default keys.
"""

from etcd_component.ssh.access import Access, Hop
from etcd_component.ssh.config import DEFAULT_PORT, DEFAULT_USER
from etcd_component.ssh.keys import agent_answers
from etcd_component.ssh.login import CannotLogIn, Login

__all__ = [
    "DEFAULT_PORT",
    "DEFAULT_USER",
    "Access",
    "CannotLogIn",
    "Hop",
    "Login",
    "agent_answers",
]
