"""All files of what watches some clusters, by their paths below one directory."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from etcd_component.monitoring import dashboards, targets
from etcd_component.monitoring.watched import Watched

AT = "/etc/etcd-monitoring"
"""Where the files lie unless somebody says otherwise."""

RULES = ("recording", "alerting")
"""The rules that are the same for all clusters."""


def files(watched: Sequence[Watched], at: str) -> dict[str, str]:
    """The texts of all files by their paths below `at`, which is where they will lie."""
    return {
        **certificates(watched),
        **config(watched, at),
        **{f"dashboards/grafana/{name}": text for name, text in dashboards.grafana().items()},
        **boards(watched),
    }


def certificates(watched: Sequence[Watched]) -> dict[str, str]:
    """Those of the files that let a watcher in."""
    return {
        f"pki/{one.cluster}/{name}": text
        for one in watched
        for name, text in (
            (targets.CA, one.ca),
            (targets.CERTIFICATE, one.cert),
            (targets.KEY, one.key),
        )
    }


def config(watched: Sequence[Watched], at: str) -> dict[str, str]:
    """Those that say what is scraped, and what follows from it; no secret is among them."""
    return {
        **{path: text for one in watched for path, text in _targets(one).items()},
        **{f"rules/{name}.yml": rules(name) for name in RULES},
        "rules/model.yml": targets.model_rules(watched),
        "scrape.yml": targets.scrape(watched, at),
    }


def boards(watched: Sequence[Watched]) -> dict[str, str]:
    """Those that VictoriaMetrics itself shows."""
    return {f"dashboards/vmui/{name}": text for name, text in dashboards.vmui(watched).items()}


def is_secret(path: str) -> bool:
    """Whether only its owner may read the file of this path."""
    return path.endswith(f"/{targets.KEY}")


def _targets(watched: Watched) -> dict[str, str]:
    return {
        f"targets/{watched.cluster}.yml": targets.targets(watched),
        f"targets-node/{watched.cluster}.yml": targets.node_targets(watched),
    }


def rules(name: str) -> str:
    """The text of one of `RULES`."""
    folder = resources.files("etcd_component.monitoring") / "rules"
    return (folder / f"{name}.yml").read_text(encoding="utf-8")


def output(watched: Watched) -> dict[str, Any]:
    """What stands in a stack's outputs for one cluster: `Watched.read` reads it, people the texts.

    The scrape jobs have the files at `AT`. `RULES` are the same everywhere, and not among them.
    """
    return watched.output | {
        "targets": targets.targets(watched),
        "scrape": targets.scrape([watched], AT),
        "model_rules": targets.model_rules([watched]),
    }
