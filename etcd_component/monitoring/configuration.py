"""The files that a monitor's machine is configured with. None holds a secret."""

from collections.abc import Sequence

from etcd_component.model import Monitor
from etcd_component.monitoring import bundle, units
from etcd_component.monitoring.watched import Watched


def files(model: Monitor, watched: Sequence[Watched]) -> dict[str, str]:
    """Units, targets, rules and its own URL, by their names; `watched` needs no certificates."""
    return {
        units.STORE: units.store(model),
        units.ALERTS: units.alerts(model),
        "url": f"{model.own_url}\n",
        **bundle.config(watched, units.AT),
    }
