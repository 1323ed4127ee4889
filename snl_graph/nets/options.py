"""What ``SNLNet`` asks of its options before PyG takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snl_graph.checks import whole_number
from snl_graph.names import lookup

JOINTS = {name: name for name in ("last", "cat", "max", "lstm")}
"""Ways to join the outputs of all layers."""

WITHOUT_CHANNELS = {
    "pair": "PairNorm",
    "graphsize": "GraphSizeNorm",
    "meansubtraction": "MeanSubtractionNorm",
}
"""Norms of PyG that would take the number of channels for another option, such as a scale."""


def check_options(
    num_layers: int,
    dropout: float,
    act: str | Callable[..., Any] | None,
    norm: str | Callable[..., Any] | None,
    jk: str | None,
) -> None:
    """Raise for an option that PyG's ``BasicGNN`` would misread or refuse without a word."""
    whole_number(num_layers, "num_layers")
    if isinstance(dropout, bool | str | None) or not 0 <= dropout <= 1:
        raise ValueError(
            f"dropout is the probability to drop a value, from 0 to 1; got {dropout!r}. "
            "Write 0.2 for 20 %, and 0 for none."
        )
    if isinstance(act, type):
        raise TypeError(
            "act is the name of an activation or one itself, got the class "
            f"{act.__name__}. Make an object of it: act={act.__name__}()."
        )
    if isinstance(norm, type):
        raise TypeError(
            f"norm is the name of a norm or one itself, got the class {norm.__name__}. "
            f"Make an object of it, which each layer copies: norm={norm.__name__}(hidden_channels)."
        )
    if isinstance(norm, str):
        _check_takes_channels(norm)
    if jk is not None:
        lookup(JOINTS, jk, "jk")


def _check_takes_channels(norm: str) -> None:
    short = "".join(filter(str.isalpha, norm.lower())).removesuffix("norm")
    if short in WITHOUT_CHANNELS:
        name = WITHOUT_CHANNELS[short]
        raise ValueError(
            f'norm "{norm}" has no number of channels, which a norm made by its name gets. Pass '
            f"one itself: norm=torch_geometric.nn.{name}()."
        )
