"""The command line: `python3 -m lab up 3`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING

from lab import check
from lab.errors import LabError
from lab.firewall import ANYWHERE
from lab.laboratory import Lab
from lab.shell import environment

if TYPE_CHECKING:
    from lab.laboratory import Node


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Real nodes on this machine.")
    parser.add_argument("--lab", metavar="NAME", help="which lab (default: $ETCD_LAB, then demo)")
    parser.add_argument("--subnet", help="first three octets of its /24 (demo: 10.10.10)")
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", help="have N nodes running")
    up.add_argument("count", metavar="N", type=int)
    up.add_argument("--monitor", action="store_true", help="and node 20 for a monitor")
    actions.add_parser("down", help="remove the lab without a trace")
    for name, what in (
        ("kill", "let a node die at once"),
        ("start", "boot a node that is down, with its disk"),
        ("reboot", "shut a node down in order and boot it"),
        ("wipe", "empty the disk of a node that is down"),
        ("heal", "connect a node again"),
    ):
        actions.add_parser(name, help=what).add_argument("node", metavar="NODE")
    cut = actions.add_parser("cut", help="cut a node off from everybody")
    cut.add_argument("node", metavar="NODE")
    ends = cut.add_mutually_exclusive_group()
    ends.add_argument("--from", dest="other", metavar="NODE2", help="from this node only")
    ends.add_argument(
        "--from-peers", action="store_true", help="from all nodes, not from this machine"
    )
    command = actions.add_parser("exec", help="run a command in a node as root")
    command.add_argument("node", metavar="NODE")
    command.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    status = actions.add_parser("status", help="list the nodes")
    status.add_argument("--json", action="store_true")
    actions.add_parser("check", help="say whether a lab can run here")
    return parser


def _check() -> int:
    problems = check.findings()
    for problem in problems:
        _say(problem)
    if not problems:
        _say("A lab can run here.")
    return 1 if problems else 0


def _status(lab: Lab, *, as_json: bool) -> None:
    nodes = lab.nodes()
    if as_json:
        _say(
            json.dumps(
                {
                    "lab": lab.naming.name,
                    "subnet": lab.naming.subnet,
                    "siteFile": str(lab.site_file),
                    "nodes": [dataclasses.asdict(node) for node in nodes],
                },
                indent=2,
            )
        )
        return
    if not nodes:
        _say(f"lab {lab.naming.name}: no nodes")
        return
    for node in nodes:
        _say(_line(node))


def _line(node: Node) -> str:
    state = "up" if node.running else "down"
    ends = ", ".join("everybody" if end == ANYWHERE else end for end in node.cut_from)
    cut = f"cut off from {ends}" if ends else ""
    return f"{node.name:8} {node.address:15} {state:5} {cut}".rstrip()


def _act(lab: Lab, given: argparse.Namespace) -> None:
    match given.action:
        case "up":
            lab.up(given.count)
            if given.monitor:
                lab.up_with_monitor()
            _status(lab, as_json=False)
        case "down":
            lab.down()
        case "status":
            _status(lab, as_json=given.json)
        case "cut":
            lab.cut(given.node, given.other, peers=given.from_peers)
        case "exec":
            words = given.command[1:] if given.command[:1] == ["--"] else given.command
            line = lab.exec_command(given.node, words or ["bash", "--login"])
            # The command takes this process's place: its terminal, its signals and its exit status.
            os.execvpe(line[0], line, environment())  # noqa: S606
        case action:
            getattr(lab, action)(given.node)


def main() -> int:
    """Do what the command line says; return the exit status."""
    given = _arguments().parse_args()
    if given.action == "check":
        return _check()
    if os.geteuid() != 0:
        print(check.NOT_ROOT, file=sys.stderr)
        return 1
    try:
        _act(Lab.named(given.lab, given.subnet, say=_say), given)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: `up` continues from here, `down` clears it away", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
