"""What is wrong with a block, in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from snl_graph.monitor.observation import BlockObservation

QUERY_INDEPENDENT = 0.01
"""Query dependence below which the maps of all positions count as one map."""


class BlockWarning(UserWarning):
    """A block of a network in training does nothing, does the same everywhere, or is broken."""


def findings(seen: BlockObservation, step: int, patience: int) -> Iterator[tuple[str, str]]:
    """Kind and text of everything that is wrong.

    Args:
        seen: The observation.
        step: When it was made.
        patience: Steps during which a block may be dead, or its maps alike, as many are when they
            are new.
    """
    if seen.nonfinite:
        yield (
            "nonfinite",
            f"{seen.nonfinite:.0%} of the rows of its affinity hold NaN or infinity. Look at what "
            "enters the block: a learning rate that is too high, or half precision without a "
            'gradient scaler; `with snl_graph.value_checks():` names the first tensor. kernel="dot"'
            " takes no exponentials.",
        )
    if step < patience:
        return
    if seen.is_dead:
        yield (
            "dead",
            "it is still dead: the weight of its norm layer (or its taps) is 0, so that it adds "
            "nothing that depends on its input. Was the optimizer made after the block was "
            "inserted, and does it hold the block's parameters with a learning rate above 0? A "
            "network trained from scratch needs zero_init=False.",
        )
    distance = seen.query_dependence
    if distance is not None and distance < QUERY_INDEPENDENT and seen.is_nonnegative:
        if seen.entropy is not None and seen.entropy > 0.99:
            shape = "uniform: the block adds a mean over all positions"
        else:
            shape = "the same for every query: the block adds one vector to all positions"
        yield (
            "query_independent",
            f"its maps no longer depend on the query (mean distance {distance:.1e}), they are "
            f"{shape}. A global pooling would do the same at less cost (Cao et al., GCNet, 2019). "
            'Try another kernel, such as kernel="embedded_gaussian" or "dot", another place in the '
            "network, or a mask that keeps the block local.",
        )
