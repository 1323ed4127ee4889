"""Frequency responses: what a learned filter does at each eigenvalue."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy


def filter_response(module: nn.Module, lambdas: Any) -> Tensor:
    """Matrix-valued response g(λ) = Σ_t g_t(λ) W_t of a block or layer.

    Row o, column i is what the filter does to an eigenvector of L = I − A with eigenvalue λ that
    enters on channel i and leaves on channel o. For polynomial filters g_t(λ) = P_t(1 − λ).

    Source: Zhu et al., Eq. 5 and 8.

    Args:
        module: A nonlocal block with one unit, one unit of a block, or an SNLConv.
        lambdas: Eigenvalues of L, shape (n,), real or complex.

    Returns:
        Shape (n, out, in), without Z = X W_g before and the normalisation layer after it.

    Raises:
        TypeError: If the module has no graph filter.
        ValueError: If the block has several units, or ``lambdas`` is not one-dimensional.

    Example:
        >>> import snl_graph
        >>> block = snl_graph.nonlocal_block("snl", 8, hidden_channels=3)
        >>> g = filter_response(block, [0.0, 1.0])
        >>> w = block.units[0].w
        >>> torch.equal(g[1], w["0"].weight)  # at λ = 1 only the tap of Z is heard
        True
    """
    graph_filter, weights = _filter_and_weights(module)
    if isinstance(lambdas, str):
        raise TypeError(
            f"lambdas are numbers, shape (n,); got {lambdas!r}. Try linspace(0, 2, 201)."
        )
    at = torch.as_tensor(lambdas)
    if at.dim() != 1:
        raise ValueError(f"lambdas must have shape (n,); got {tuple(at.shape)}.")
    stacked = torch.stack(weights).detach()  # (taps, out, in)
    if not at.is_complex():
        at = at.to(stacked.dtype)
    at = at.to(stacked.device)
    with torch.no_grad():
        taps = graph_filter.response(at)  # (n, taps)
    return torch.einsum("nt,toi->noi", taps, stacked.to(taps.dtype))


def _filter_and_weights(module: nn.Module) -> tuple[Any, list[Tensor]]:
    units = getattr(module, "units", None)
    if isinstance(units, nn.ModuleList):
        if len(units) != 1:
            raise ValueError(
                f"this block has {len(units)} units with a filter each; "
                f"pass one of them, block.units[i]."
            )
        module = units[0]
    graph_filter: Any = getattr(module, "filter", None)
    matrices: Any = getattr(module, "w", getattr(module, "lins", None))
    if graph_filter is None or matrices is None:
        raise TypeError(
            f"{type(module).__name__} has no graph filter; expected a nonlocal block, one of its "
            f"units, or an SNLConv."
        )
    weights = [linear.weight for linear in matrices.children()]  # in the order of taps
    if any(is_lazy(weight) for weight in weights):
        raise ValueError(
            f"this {type(module).__name__} has no weights yet: in_channels=-1 takes them from the "
            "first input. Run it once first."
        )
    return graph_filter, weights
