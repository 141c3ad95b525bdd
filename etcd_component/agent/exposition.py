"""The text format of Prometheus. It imports nothing, for the sake of `answer`."""

from __future__ import annotations


def saved_file(cluster: str) -> str:
    """Where the metrics of a cluster's node are saved; see `Paths.metrics`."""
    return f"/run/etcd-node/{cluster.replace('/', '_')}.prom"


class Exposition:
    """Gauges of a node, each with the labels that all of them have."""

    def __init__(self, common: str) -> None:
        """`common` are those labels, see `labels`."""
        self._common = common
        self.text = ""

    def gauge(self, name: str, about: str, value: float, **more: str) -> None:
        """Add one with one sample; `more` are its own labels."""
        self.head(name, about)
        self.sample(name, value, **more)

    def head(self, name: str, about: str) -> None:
        """Add what comes before all samples of a gauge."""
        self.text += f"# HELP etcd_node_{name} {about}\n# TYPE etcd_node_{name} gauge\n"

    def sample(self, name: str, value: float, **more: str) -> None:
        """Add a sample."""
        joined = f"{self._common},{labels(**more)}" if more else self._common
        number = int(value) if value == int(value) else value
        self.text += f"etcd_node_{name}{{{joined}}} {number}\n"


def labels(**pairs: str) -> str:
    """Labels as the format has them."""
    return ",".join(f'{name}="{_escaped(text)}"' for name, text in pairs.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
