"""Texts that follow from the model: targets, scrape jobs, and what the stack declares, as rules.

Prometheus and VictoriaMetrics read the same texts, so there is nothing in them that only one of
the two knows: VictoriaMetrics takes no interval of a list of targets, but a flag of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from etcd_component.monitoring.watched import JOB, Watched

CA, CERTIFICATE, KEY = "ca.crt", "client.crt", "client.key"

NODE_JOB = "etcd-node"
"""The label `job` of `up` where a node is asked and not etcd, which has one of its own."""

_INTERVAL = "10s"
_TIMEOUT = "8s"

_Entry = tuple[str, Mapping[str, str]]


def targets(watched: Watched) -> str:
    """Where each instance's etcd is scraped, with its labels: the form of `file_sd_configs`."""
    return _listed((one.target, one.labels(watched.cluster)) for one in watched.members)


def node_targets(watched: Watched) -> str:
    """Where each instance's node is scraped; an empty list where no node tells anything."""
    return _listed(
        (one.exporter, one.labels(watched.cluster, NODE_JOB))
        for one in watched.members
        if one.exporter
    )


def scrape(watched: Sequence[Watched], at: str) -> str:
    """The scrape jobs of all clusters: two each, since each has its own CA and certificate.

    Jobs need unique names, so `job` comes from the targets. `at` is the directory of the files.
    """
    jobs = [job for one in watched for job in (_of_etcd(one, at), _of_nodes(one, at))]
    return _as_yaml({"scrape_configs": jobs})


def _of_etcd(watched: Watched, at: str) -> dict[str, Any]:
    pki = f"{at}/pki/{watched.cluster}"
    return {
        **_job(f"{JOB}-{watched.cluster}", f"{at}/targets/{watched.cluster}.yml"),
        "scheme": "https",
        "tls_config": {
            "ca_file": f"{pki}/{CA}",
            "cert_file": f"{pki}/{CERTIFICATE}",
            "key_file": f"{pki}/{KEY}",
        },
    }


def _of_nodes(watched: Watched, at: str) -> dict[str, Any]:
    return {
        **_job(f"{NODE_JOB}-{watched.cluster}", f"{at}/targets-node/{watched.cluster}.yml"),
        # `up` is not touched by this: an instance has one with the label of etcd, not two. A node
        # writes the other labels itself, for who collects its file; here its target's are taken, so
        # that no answer over plain HTTP passes for another instance's.
        "metric_relabel_configs": [
            {"target_label": "job", "replacement": JOB},
            {"action": "labeldrop", "regex": "exported_(cls|ins|ip)"},
        ],
    }


def _job(name: str, file: str) -> dict[str, Any]:
    return {
        "job_name": name,
        "scrape_interval": _INTERVAL,
        "scrape_timeout": _TIMEOUT,
        "file_sd_configs": [{"files": [file]}],
    }


def model_rules(watched: Sequence[Watched]) -> str:
    """What the stack declares, as series: reality is compared with it by rules."""
    groups = [
        {
            "name": f"etcd-model-{one.cluster}",
            "rules": [
                {
                    "record": "etcd_model_instance",
                    "expr": "vector(1)",
                    "labels": {
                        **member.labels(one.cluster),
                        "role": member.role,
                        "version": one.version,
                    },
                }
                for member in one.members
            ],
        }
        for one in watched
    ]
    return _as_yaml({"groups": groups})


def _listed(entries: Iterable[_Entry]) -> str:
    return _as_yaml([{"targets": [target], "labels": dict(labels)} for target, labels in entries])


def _as_yaml(found: Any) -> str:
    return yaml.safe_dump(found, sort_keys=False, width=10_000)
