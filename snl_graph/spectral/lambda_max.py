"""The greatest eigenvalue λ_max of L = I − A: what to take for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snl_graph.conv.lambda_max import BOUND, estimate_lambda_max
from snl_graph.names import lookup
from snl_graph.operators import AffinityOperator
from snl_graph.spectral.graph import OneGraph, require_finite
from snl_graph.spectral.items import for_each_item, require_one_square
from snl_graph.spectral.lanczos import start_vectors
from snl_graph.spectral.sources import as_operators
from snl_graph.spectral.spectrum import SMALL, spectrum_of


class LambdaMaxPolicy(ABC):
    """A way to a number for λ_max of each item of an operator."""

    @abstractmethod
    def __call__(self, a: AffinityOperator) -> Tensor:
        """λ_max of L = I − A, shape (*batch,), float64."""


class Bound(LambdaMaxPolicy):
    """Not measured: 2 for a normalised A (Property 2), else 1 + the greatest row sum of |A|.

    Cost: none, or one product.
    """

    def __call__(self, a: AffinityOperator) -> Tensor:
        if not a.is_nonnegative:
            raise ValueError(
                "the bound on λ_max needs a non-negative affinity; this one may be negative. Take "
                'policy="exact".'
            )
        if a.is_normalized:
            return torch.full(a.shape[:-2], BOUND, dtype=torch.float64)
        ones = torch.ones(*a.shape[:-1], 1, dtype=a.dtype, device=a.device)
        return 1 + a.apply(ones).amax((-2, -1)).double().cpu()


@dataclass(frozen=True)
class Power(LambdaMaxPolicy):
    """From below: the Rayleigh quotient after steps of the power method on a symmetric L.

    Cost: ``steps`` products with A.
    """

    steps: int = 100

    def __call__(self, a: AffinityOperator) -> Tensor:
        _require_symmetric(a, "power")
        start = torch.from_numpy(start_vectors(a.shape[-1], 1)).to(a.device, a.dtype)
        vector = start.expand(*a.shape[:-1], 1)
        quotient = vector.new_zeros(a.shape[:-2])
        for _ in range(self.steps):
            norm = vector.norm(dim=-2, keepdim=True)
            vector = vector / torch.where(norm > 0, norm, 1)
            image = vector - a.apply(vector)
            quotient = (vector * image).sum((-2, -1))
            vector = image
        return quotient.double().cpu()


class Lanczos(LambdaMaxPolicy):
    """From above, once found: what ``SNLConv(lambda_max="estimate")`` takes.

    Cost: 20 products with 4 signals. See :func:`snl_graph.conv.lambda_max.estimate_lambda_max`.
    """

    def __call__(self, a: AffinityOperator) -> Tensor:
        _require_symmetric(a, "lanczos")
        return estimate_lambda_max(a).reshape(a.shape[:-2]).double().cpu()


class Exact(LambdaMaxPolicy):
    """Of the spectrum: see :func:`~snl_graph.spectrum`."""

    def __call__(self, a: AffinityOperator) -> Tensor:
        def solve(item: AffinityOperator) -> float:
            graph = OneGraph(item)
            return spectrum_of(graph, None if graph.n <= SMALL else 1).lambda_max

        return torch.tensor(for_each_item(a, solve), dtype=torch.float64)


POLICIES: dict[str, Callable[[], LambdaMaxPolicy]] = {
    "bound": Bound,
    "power": Power,
    "lanczos": Lanczos,
    "exact": Exact,
}


def lambda_max(obj: Any, policy: LambdaMaxPolicy | str = "lanczos") -> Tensor:
    """λ_max of L = I − A of each graph, by a policy; takes the place of ``SNLConv``'s number 2.

    Args:
        obj: What :func:`~snl_graph.spectrum` takes.
        policy: "bound" (never below λ_max, not measured), "power" (never above), "lanczos" (20
            steps and their residual on top) or "exact"; or an object.

    Returns:
        Shape (*batch,), float64 on the CPU; (G,) for a batch of G graphs.

    Raises:
        TypeError: If ``obj`` holds no graph, or ``policy`` is neither a name nor a policy.
        ValueError: If the policy is unknown or does not fit A.

    Example:
        >>> triangle = torch.ones(3, 3) - torch.eye(3)
        >>> for policy in ("bound", "power", "lanczos", "exact"):
        ...     print(policy, round(float(lambda_max(triangle, policy)), 3))
        bound 2.0
        power 1.5
        lanczos 1.5
        exact 1.5
    """
    if not isinstance(policy, LambdaMaxPolicy):
        policy = lookup(POLICIES, policy, "policy", LambdaMaxPolicy)()
    operators = as_operators(obj)
    if isinstance(operators, list):
        found = [_of_operator(a, policy) for a in operators]
        return torch.stack(found) if found else torch.empty(0, dtype=torch.float64)
    return _of_operator(operators, policy)


def _of_operator(a: AffinityOperator, policy: LambdaMaxPolicy) -> Tensor:
    require_one_square(a)
    if a.shape[-1] == 0:
        raise ValueError("a graph without nodes has no eigenvalues, so no λ_max.")
    with torch.no_grad():
        found = policy(a)
    require_finite(found.numpy())
    return found


def _require_symmetric(a: AffinityOperator, policy: str) -> None:
    if not a.is_symmetric and not (a.shape[-1] <= SMALL and _is_its_transpose(a)):
        raise ValueError(
            f'policy "{policy}" needs a symmetric A, and this one is not known to be. Take '
            f'policy="exact", or "bound".'
        )


def _is_its_transpose(a: AffinityOperator) -> bool:
    matrix = a.to_dense()
    return bool(((matrix - matrix.mT).abs() <= 8 * torch.finfo(a.dtype).eps).all())
