"""What each block of a network does while it trains: spectrum, maps, response, signs of trouble."""

from typing import TYPE_CHECKING, Any

from snl_graph.monitor.findings import BlockWarning
from snl_graph.monitor.hooks import BlockMonitor
from snl_graph.monitor.observation import BlockObservation
from snl_graph.monitor.observe import observe
from snl_graph.monitor.weights import gradient_norm

if TYPE_CHECKING:
    from snl_graph.monitor.callback import MonitorCallback

__all__ = [
    "BlockMonitor",
    "BlockObservation",
    "BlockWarning",
    "MonitorCallback",
    "gradient_norm",
    "observe",
]


def __getattr__(name: str) -> Any:
    """Import what needs Lightning where it is asked for."""
    if name == "MonitorCallback":
        from snl_graph.monitor.callback import MonitorCallback

        return MonitorCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
