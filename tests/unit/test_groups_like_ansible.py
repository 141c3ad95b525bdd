"""Groups are read as Ansible reads them; `ansible-inventory` itself is asked."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_component.inventory.groups import Graph, expanded
from etcd_component.mistake import Findings, Mistake
from tests.unit.conftest import Read

Mistakes = Callable[..., tuple[Mistake, ...]]
Hosts = dict[str, dict[str, Any]]


def by_ansible(directory: Path, text: str) -> Hosts:
    """The variables of every host, as `ansible-inventory` gives them."""
    file = directory / "inventory.yml"
    file.write_text(text)
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", file, "--list"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "ANSIBLE_HOME": str(directory / "ansible"),
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=True,
        cwd=directory,
    )
    listed = json.loads(done.stdout)
    hosts: set[str] = {host for group in listed.values() for host in group.get("hosts", ())}
    found = listed["_meta"]["hostvars"]
    return {host: found.get(host, {}) for host in sorted(hosts)}


def by_us(text: str) -> tuple[Hosts, Findings]:
    """The same, as it is read here, and what is wrong with it."""
    findings = Findings()
    graph = Graph(findings)
    for name, body in (yaml.safe_load(text) or {}).items():
        graph.read(name, name, body)
    graph.close()
    found = {}
    for host in sorted({name for node in graph._nodes.values() for name in node.hosts}):
        said = graph.vars_of(graph.names_of(host))
        for _, line in graph.lines_of(host):
            said |= line.own
        found[host] = {name: one.value for name, one in said.items()}
    return found, findings


class Generated:
    """One random inventory, its names beginning with a word of its own."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._prefix = f"i{seed}"
        size = self._random.randint(2, 7)
        self._groups = [f"{self._prefix}_{letter}" for letter in "qwertyu"[:size]]
        self._hosts = [f"{self._prefix}-h{n}" for n in range(4)]
        # One meaning for each group and host, however often it is written: no contradictions.
        self._vars = {group: self._some_vars(group) for group in self._groups}
        self._own = {
            host: {"own": host} if self._random.random() < 0.4 else {} for host in self._hosts
        }

    def _some_vars(self, group: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: f"{name} of {group}" for name in "abcd" if self._random.random() < 0.5
        }
        if self._random.random() < 0.25:
            found["ansible_group_priority"] = self._random.choice([1, 2, 10, "5"])
        if self._random.random() < 0.2:
            found["own"] = group
        return found

    def tree(self) -> dict[str, Any]:
        """Top level groups; every group may be written in several places."""
        tree: dict[str, Any] = {}
        for position, group in enumerate(self._groups):
            self._random.shuffle(places := [tree, *self._bodies(tree, self._groups[:position])])
            for place in places[: self._random.choice([1, 1, 2, 3])]:
                place.setdefault(group, {})
        for body in self._bodies(tree, self._groups, whole=True):
            for host in self._hosts:
                if self._random.random() < 0.2:
                    body.setdefault("hosts", {})[host] = dict(self._own[host]) or None
        self._say_vars(tree)
        return tree

    def _bodies(
        self, tree: dict[str, Any], groups: list[str], *, whole: bool = False
    ) -> list[dict[str, Any]]:
        """Where children may be written: only below groups that come before."""
        found = []
        for group, body in tree.items():
            if group in groups:
                found.append(body if whole else body.setdefault("children", {}))
            found += self._bodies(body.get("children", {}), groups, whole=whole)
        return found

    def _say_vars(self, tree: dict[str, Any]) -> None:
        where: dict[str, list[dict[str, Any]]] = {}

        def walk(level: Mapping[str, Any]) -> None:
            for group, body in level.items():
                where.setdefault(group, []).append(body)
                walk(body.get("children", {}))

        walk(tree)
        for group, bodies in where.items():
            for name, value in self._vars[group].items():
                for body in self._random.sample(bodies, self._random.randint(1, len(bodies))):
                    body.setdefault("vars", {})[name] = value


def test_every_host_has_the_variables_that_ansible_gives_it(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"all": {"vars": {"a": "of all", "e": "of all"}, "children": {}}}
    for seed in range(60):
        generated = Generated(seed).tree()
        (tree if seed % 2 else tree["all"]["children"]).update(generated)
    text = yaml.safe_dump(tree, sort_keys=False)
    ours, findings = by_us(text)
    assert findings.mistakes == []
    theirs = by_ansible(tmp_path, text)
    assert len(theirs) > 100
    assert len({json.dumps(one, sort_keys=True) for one in theirs.values()}) > 40
    assert ours == theirs


@pytest.mark.parametrize(
    "text",
    [
        # Vars of a group that is defined elsewhere.
        """
        all:
          children:
            production: {children: {etcd: }, vars: {etcd_cluster: prod, x: 1}}
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        """,
        # A group in two places.
        """
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        all: {children: {etcd: {vars: {etcd_cluster: prod}}}}
        """,
        # At one depth the later in the alphabet wins, unless a priority says otherwise.
        """
        b: {hosts: {h: }, vars: {x: b, y: b}}
        a: {hosts: {h: }, vars: {x: a, y: a, z: a, ansible_group_priority: 10}}
        c: {hosts: {h: }, vars: {y: c}}
        """,
        # Depth is the longest way down from all.
        """
        a: {children: {b: {children: {c: {vars: {x: c}}}}}}
        d: {children: {c: }, vars: {x: d, y: d}}
        z: {hosts: {h: }, vars: {x: z, y: z}}
        c: {hosts: {h: }}
        """,
        # Ungrouped, and all's own hosts.
        """
        all: {hosts: {h: {own: 1}, i: }, vars: {x: all}}
        ungrouped: {hosts: {j: }, vars: {x: ungrouped}}
        a: {hosts: {i: }}
        """,
        # Variables of a host hold in all its groups.
        """
        all: {hosts: {h: {own: 1}}}
        a: {hosts: {h: {more: 2}}, vars: {own: a}}
        """,
        # Ranges.
        """
        all: {hosts: {"10.10.10.[9:12]": {x: 1}, "n[01:03].example": {x: 2}, "[a:c]z[1:5:2]": }}
        """,
    ],
)
def test_what_ansible_says_is_what_is_read(tmp_path: Path, text: str) -> None:
    ours, findings = by_us(text)
    assert findings.mistakes == []
    assert ours == by_ansible(tmp_path, text)


# --- what becomes of it


def test_vars_of_a_group_above_reach_a_group_that_is_written_elsewhere(read: Read) -> None:
    for written in (
        """
        all:
          children:
            production: {children: {etcd: }, vars: {etcd_cluster: prod, etcd_safeguard: true}}
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        """,
        """
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        all: {children: {etcd: {vars: {etcd_cluster: prod, etcd_safeguard: true}}}}
        """,
        """
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        production:
          hosts: {10.10.10.10: }
          vars: {etcd_cluster: prod, etcd_safeguard: true}
        """,
        """
        all: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        etcd: {hosts: {10.10.10.10: }, vars: {etcd_cluster: prod, etcd_safeguard: true}}
        """,
    ):
        (cluster,), _ = read(written)
        assert (cluster.name, cluster.settings.safeguard) == ("prod", True)


def test_a_group_beside_the_cluster_may_differ_for_some_machines(read: Read) -> None:
    (cluster,), _ = read(
        """
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}, 10.10.10.11: {etcd_seq: 2}}}
        slow: {hosts: {10.10.10.11: }, vars: {etcd_data: /srv/etcd, ansible_user: dba}}
        """
    )
    assert [one.data_dir for one in cluster.instances] == ["/data/etcd", "/srv/etcd"]
    assert [one.node.login.user for one in cluster.instances] == ["root", "dba"]


def test_what_belongs_to_a_cluster_reaches_all_of_it_or_is_refused(mistakes: Mistakes) -> None:
    (mistake,) = mistakes(
        """
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}, 10.10.10.11: {etcd_seq: 2}}}
        slow: {hosts: {10.10.10.11: }, vars: {etcd_safeguard: true}}
        """
    )
    assert mistake == Mistake(
        "slow.vars.etcd_safeguard",
        "etcd_safeguard belongs to a cluster, and reaches only some hosts of etcd",
        "put it in etcd.vars",
    )


def test_a_variable_of_a_host_holds_wherever_it_is_written(read: Read) -> None:
    (cluster,), _ = read(
        """
        all: {hosts: {10.10.10.10: {etcd_data: /srv/etcd}}}
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        """
    )
    assert cluster.instances[0].data_dir == "/srv/etcd"


def test_the_groups_of_another_cluster_on_the_same_machine_do_not_count(read: Read) -> None:
    (etcd, events), _ = read(
        """
        apps: {children: {events: }, vars: {etcd_safeguard: true, etcd_data: /data/events}}
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
        events:
          hosts: {10.10.10.10: {etcd_seq: 1, ansible_user: dba}}
          vars: {etcd_cluster: events, etcd_port: 1, etcd_peer_port: 2}
        """
    )
    assert (etcd.settings.safeguard, events.settings.safeguard) == (False, True)
    assert (etcd.instances[0].data_dir, etcd.instances[0].client_port) == ("/data/etcd", 2379)
    assert etcd.instances[0].node.login.user == "dba"


@pytest.mark.parametrize(
    ("written", "place", "problem"),
    [
        (
            """
            all: {children: {production: {vars: {etcd_safeguard: true}}}}
            etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
            """,
            "all.children.production.vars.etcd_safeguard",
            "etcd_safeguard reaches no instance",
        ),
        (
            """
            etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
            infra: {hosts: {10.10.10.99: }, vars: {etcd_data: /srv/etcd}}
            """,
            "infra.vars.etcd_data",
            "etcd_data reaches no instance",
        ),
        (
            """
            etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}, children: {sub: {vars: {etcd_port: 1}}}}
            """,
            "etcd.children.sub.vars.etcd_port",
            "etcd_port reaches no instance",
        ),
        (
            """
            etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
            infra: {hosts: {10.10.10.99: {etcd_data: /srv/etcd}}}
            """,
            "infra.hosts.10.10.10.99.etcd_data",
            "etcd_data reaches no instance: 10.10.10.99 has an etcd_seq nowhere",
        ),
        (
            """
            all: {hosts: {10.10.10.10: {etcd_data: /srv/etcd}}}
            etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
            events:
              hosts: {10.10.10.10: {etcd_seq: 1}}
              vars: {etcd_cluster: events, etcd_port: 1, etcd_peer_port: 2, etcd_data: /data/ev}
            """,
            "all.hosts.10.10.10.10.etcd_data",
            "10.10.10.10 is in etcd and in events: it is not clear for which",
        ),
        (
            """
            etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}, vars: {etcd_port: 1}}
            all: {children: {etcd: {vars: {etcd_port: 3}}}}
            """,
            "etcd.vars.etcd_port",
            "all.children.etcd.vars.etcd_port says something else",
        ),
        (
            """
            all: {children: {a: {children: {b: {children: {c: }}}}}}
            c: {children: {a: }}
            etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}}
            """,
            "c.children.a",
            "groups are below each other: a > b > c > a",
        ),
        (
            "etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}, children: {etcd: }}",
            "etcd.children.etcd",
            "groups are below each other: etcd > etcd",
        ),
        (
            """
            etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}, children: {all: }}
            """,
            "etcd.children.all",
            "groups are below each other: all > etcd > all",
        ),
        (
            "etcd: {hosts: {10.10.10.10: {etcd_seq: 1}}, vars: {ansible_group_priority: high}}",
            "etcd.vars.ansible_group_priority",
            "it is no whole number",
        ),
    ],
)
def test_what_would_be_passed_over_or_contradicts_itself_is_refused(
    mistakes: Mistakes, written: str, place: str, problem: str
) -> None:
    (mistake,) = mistakes(written)
    assert mistake.place == place
    assert problem in mistake.problem


def test_a_range_describes_machines_that_have_their_own_lines(read: Read) -> None:
    (cluster,), _ = read(
        """
        all: {hosts: {"10.10.10.[10:11]": {ansible_user: dba}}}
        etcd: {hosts: {10.10.10.10: {etcd_seq: 1}, 10.10.10.11: {etcd_seq: 2}}}
        """
    )
    assert [one.node.login.user for one in cluster.instances] == ["dba", "dba"]


@pytest.mark.parametrize(
    "key",
    [
        *("fd00::1", 10, "[a:9]", "[3:1]", "[01:3]", "a[", "[1:99999999]"),
        *("n[1:99999999999999999999]", "n[1:999999999999999999]", f"n[1:{'9' * 5000}]"),
        *("n[1:300]-[1:1000]", "[1:40][1:40]", "[a:z]" * 50),
    ],
)
def test_what_is_no_range_stays_as_it_is(key: Any) -> None:
    assert expanded(key) == [key]
