"""Command `etcdctl`: the cluster's etcdctl, with this machine's endpoint and certificates."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

from etcd_component.agent import files
from etcd_component.agent.output import complain, refuse, warn
from etcd_component.agent.paths import ETCDCTL, PROGRAM, Paths, clusters
from etcd_component.agent.software import is_wrapper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etcd_component.agent.frame import Run

_WRAPPER = f"""\
#!/bin/sh
# Written by etcd-node: etcdctl with this machine's endpoint and certificates.
# Several clusters on this machine: ETCD_CLUSTER=name etcdctl ...
exec {PROGRAM} etcdctl "$@"
"""
_ALSO_TO_THE_CHILD = (signal.SIGTERM, signal.SIGHUP)
_ON_A_SIGNAL = 128
_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}


def install() -> None:
    """Write the wrapper.

    In sbin it comes first on root's path, and replaces no program that somebody else has installed.
    """
    if ETCDCTL.exists() and not is_wrapper(ETCDCTL):
        warn(
            f"{ETCDCTL} is somebody else's and stays as it is; `etcd-node etcdctl` is the same with"
            " this machine's endpoint and certificates"
        )
    elif files.read_text(ETCDCTL) != _WRAPPER:
        files.atomic_write(ETCDCTL, _WRAPPER, 0o755)


def run(run: Run) -> None:
    """Run it with the words as they are, and end as it ends."""
    paths = Paths(os.environ.get("ETCD_CLUSTER") or _first_cluster())
    program = paths.current / "bin" / "etcdctl"
    if not program.exists():
        refuse(f"{program} is missing; `pulumi up` puts it there")
    wanted = environment(paths, run.words, os.environ)
    status = _run_to_its_end([str(program), *run.words], wanted)
    if status and needs_login(run.words, os.environ):
        complain("etcdctl: etcd wants a login for most things: etcdctl --user root ...")
    raise SystemExit(status)


def _first_cluster() -> str:
    here = (one for one in ("etcd", *clusters()) if files.has_content(Paths(one).configuration))
    return next(here, "") or refuse(
        "this machine has no instance of any cluster; `pulumi up` makes one"
    )


def environment(paths: Paths, words: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """What the caller gives, and what is so without it.

    An option that is set both as a flag and in the environment is an error to etcdctl, so what is
    given as a flag is not set. Proxies of the machine are not for its cluster.
    """
    usual = {
        "endpoints": files.value_in(files.read_text(paths.configuration), "advertise-client-urls"),
        "cacert": str(paths.pki / "ca.crt"),
        "cert": str(paths.pki / "server.crt"),
        "key": str(paths.pki / "server.key"),
    }
    wanted = {name: value for name, value in given.items() if name.lower() not in _PROXIES}
    for name, value in usual.items():
        variable, flag = f"ETCDCTL_{name.upper()}", f"--{name}"
        is_given = any(word == flag or word.startswith(f"{flag}=") for word in words)
        if not is_given and not wanted.get(variable):
            wanted[variable] = value
    return wanted


def needs_login(words: Sequence[str], given: Mapping[str, str]) -> bool:
    """Whether a failure may be for want of a login."""
    others = ("--user", "-h", "--help")
    return not given.get("ETCDCTL_USER") and not any(word.startswith(others) for word in words)


def _run_to_its_end(argv: Sequence[str], wanted: Mapping[str, str]) -> int:
    """Its exit status. What a terminal sends, both get; what is sent to this one alone, it gets."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        # A handler ends with this program, unlike a signal that is ignored: the child has none.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)
    with subprocess.Popen(argv, env=wanted) as child:
        for number in _ALSO_TO_THE_CHILD:
            signal.signal(number, lambda number, _frame: child.send_signal(number))
        status = child.wait()
    return status if status >= 0 else _ON_A_SIGNAL - status
