"""The command line: `python -m etcd_component ACTION`, in the project's directory."""

import argparse
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from etcd_component import backend, monitoring, preflight, previous
from etcd_component.departures import destroyed
from etcd_component.given import PASSWORD, CannotGive, etcdctl, give, shell_lines
from etcd_component.mistake import InvalidInventory
from etcd_component.relogin import relogin
from etcd_component.status import CannotRead, Exit, as_json, as_text, status

_WIDEST = 118


def main() -> int:
    """Do what the arguments say; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m etcd_component")
    actions = parser.add_subparsers(dest="action", required=True)
    look = actions.add_parser(
        "status",
        help="the members as they are, and what differs from the stack",
        epilog="Exit status: 0 all is well and as the stack says; 1 the cluster serves, and"
        " something is wrong or differs; 2 no quorum, or no member answers; 3 the stack cannot"
        " be read, or the command line is wrong.",
    )
    look.add_argument("stack", metavar="STACK")
    look.add_argument("--json", action="store_true", help="for programs")
    look.add_argument(
        "--no-ssh", action="store_true", help="do not look at files and units on the nodes"
    )
    fit = actions.add_parser(
        "preflight",
        help="can the machines of the stack be its members? Changes nothing, and needs no update"
        " before",
        epilog="Exit status: 0 all can; 1 one cannot, or could not be looked at; 3 the stack cannot"
        " be read.",
    )
    fit.add_argument("stack", metavar="STACK")
    again = actions.add_parser(
        "relogin",
        help="write today's login into the state, for what is removed, looked at or destroyed"
        " later; touches no machine",
    )
    again.add_argument("stack", metavar="STACK")
    removal = actions.add_parser(
        "removal", help="what `pulumi destroy` would take away, in words; changes nothing"
    )
    removal.add_argument("stack", metavar="STACK")
    client = actions.add_parser(
        "client", help="write what a client is given into a directory: files of mode 0600"
    )
    client.add_argument("stack", metavar="STACK")
    client.add_argument("name", metavar="NAME", help="of the client, as in etcd_clients")
    client.add_argument("directory", metavar="DIR", type=Path)
    client.add_argument(
        "--at", metavar="DIR", help="where the files will lie on the client's machine; default DIR"
    )
    client.add_argument("--cluster", help="whose client, where several have one of that name")
    shell = actions.add_parser(
        "etcdctl",
        help="shell lines, to be evaluated, with which etcdctl reaches a cluster as root; its key"
        " goes into a file of mode 0600",
    )
    shell.add_argument("stack", metavar="STACK")
    shell.add_argument("--cluster", help="which, where the stack has several")
    watch = actions.add_parser(
        "monitoring",
        help="write what Prometheus or VictoriaMetrics reads into a directory: targets, scrape"
        " jobs, certificates, rules",
    )
    watch.add_argument("stack", metavar="STACK")
    watch.add_argument("directory", metavar="DIR", type=Path)
    watch.add_argument(
        "--at", metavar="DIR", help="where the files will lie on the machine that reads them"
    )
    try:
        given = parser.parse_args()
    except SystemExit as end:
        # argparse's own status for a wrong command line would say that there is no quorum.
        return Exit.UNREADABLE if end.code else Exit.WELL
    # Files with keys must go also when somebody loses patience, or closes the terminal.
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: sys.exit(Exit.UNREADABLE))
    try:
        return _act(given)
    except KeyboardInterrupt:
        return Exit.UNREADABLE


def _act(given: argparse.Namespace) -> int:
    if given.action == "preflight":
        return _preflight(given.stack)
    if given.action == "relogin":
        return _relogin(given.stack)
    if given.action == "removal":
        return _removal(given.stack)
    if given.action == "client":
        return _client(given)
    if given.action == "etcdctl":
        return _etcdctl(given)
    if given.action == "monitoring":
        return _monitoring(given)
    return _status(given.stack, over_ssh=not given.no_ssh, for_programs=given.json)


def _status(stack: str, *, over_ssh: bool, for_programs: bool) -> int:
    try:
        reports = status(stack, over_ssh=over_ssh)
    except CannotRead as reason:
        print(f"status: {reason}", file=sys.stderr)
        return Exit.UNREADABLE
    if for_programs:
        print(json.dumps(as_json(stack, reports), indent=2))
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        width = min(shutil.get_terminal_size((_WIDEST, 0)).columns, _WIDEST)
        print(as_text(reports, width=width, colour=colour), end="")
    return max(one.exit for one in reports)


def _preflight(stack: str) -> int:
    try:
        results = preflight.preflight(stack, os.environ)
    except (CannotRead, InvalidInventory) as reason:
        print(f"preflight: {reason}", file=sys.stderr)
        return Exit.UNREADABLE
    for one in results:
        print(one)
    return 0 if all(one.is_fit for one in results) else 1


def _relogin(stack: str) -> int:
    try:
        done = relogin(stack, os.environ)
    except (CannotRead, InvalidInventory) as reason:
        print(f"relogin: {reason}", file=sys.stderr)
        return 1
    print(f"{done.commands} commands have another login in the state; no machine was touched")
    for host in done.unknown:
        print(
            f"{host} is not in the inventory: its login stays. Put its line back, and run it again"
        )
    return 0


def _removal(stack: str) -> int:
    try:
        left = previous.parse(backend.ask(stack, "state", "export", secrets=False))
    except (backend.NoAnswer, ValueError) as reason:
        print(f"removal: {reason}", file=sys.stderr)
        return 1
    for sentence in destroyed(left):
        print(sentence)
    return 0


def _client(given: argparse.Namespace) -> int:
    try:
        changed = give(
            given.stack, given.name, given.directory, place=given.at, cluster=given.cluster
        )
    except CannotGive as reason:
        print(f"client: {reason}", file=sys.stderr)
        return 1
    said = f"wrote {', '.join(changed)}" if changed else "all files are there already"
    print(f"{given.name}: {said} ({given.directory})")
    return 0


def _etcdctl(given: argparse.Namespace) -> int:
    try:
        variables = etcdctl(given.stack, given.cluster)
    except CannotGive as reason:
        print(f"etcdctl: {reason}", file=sys.stderr)
        return 1
    if sys.stdout.isatty():
        variables.pop(PASSWORD)
        print(
            "etcdctl: a shell must evaluate these lines, and the password is not printed to a"
            f' terminal. Type: eval "$(make -s etcdctl STACK={given.stack})"',
            file=sys.stderr,
        )
    print(shell_lines(variables), end="")
    return 0


def _monitoring(given: argparse.Namespace) -> int:
    try:
        changes = monitoring.write(given.stack, given.directory, place=given.at)
    except monitoring.CannotWrite as reason:
        print(f"monitoring: {reason}", file=sys.stderr)
        return 1
    said = [
        f"{did} {', '.join(paths)}"
        for did, paths in (("wrote", changes.wrote), ("removed", changes.removed))
        if paths
    ]
    print(f"{'; '.join(said) or 'all files are there already'} ({given.directory})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
