"""The eigenvalues and the learned responses of a block, as the page draws them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn

from snl_graph.attention import BlockAttention
from snl_graph.spectral import Spectrum, filter_response, spectrum

SAMPLES = 81


def spectra_of(seen: BlockAttention, most_nodes: int) -> dict[tuple[int, int], Any]:
    """Eigenvalues of L = I − A by pass and head, or a sentence that says why there are none.

    Args:
        seen: What the block looks at.
        most_nodes: Larger graphs are left out, as they cost O(N³), unless A is held as factors.
    """
    found: dict[tuple[int, int], Any] = {}
    for number, a in enumerate(seen.passes):
        targets, sources = a.shape[-2:]
        if targets != sources:
            reason = f"A is {targets}×{sources}: pooled keys leave no square matrix."
        elif targets > most_nodes and a.representation != "factored":
            reason = f"Left out: {targets:,} nodes, more than the {most_nodes:,} asked for."
        else:
            results = _flat(spectrum(a))
            found |= {(number, head): _numbers(one) for head, one in enumerate(results)}
            continue
        found |= {(number, head): {"note": reason} for head in range(seen.heads)}
    return found


def _flat(found: Any) -> list[Spectrum]:
    if isinstance(found, list):
        return [one for item in found for one in _flat(item)]
    return [found]


def _numbers(found: Spectrum) -> dict[str, Any]:
    """Eigenvalues that differ in six digits, each once, and how many there are of it.

    Of a factored A nearly all of them are 1.
    """
    values = found.eigenvalues
    imaginary = values.imag.tolist() if values.is_complex() else [0.0] * len(values)
    counts = Counter(
        (round(re, 6) + 0.0, float(f"{im:.4g}"))
        for re, im in zip(values.real.tolist(), imaginary, strict=True)
    )
    return {
        "re": [re for re, _ in counts],
        "im": [] if found.is_real else [im for _, im in counts],
        "count": list(counts.values()),
        "max": found.lambda_max,
    }


def responses_of(block: nn.Module, high: float) -> list[dict[str, Any]]:
    """Gains of every unit of a block: quartiles and greatest of the singular values of g(λ).

    Args:
        block: Any module.
        high: Greatest λ; at least 2.

    Returns:
        Empty where the module has no graph filter.
    """
    units = getattr(block, "units", None)
    modules = list(units) if isinstance(units, nn.ModuleList) else [block]
    lambdas = torch.linspace(0, max(2.0, high), SAMPLES, dtype=torch.float64)
    curves = []
    for module in modules:
        try:
            response = filter_response(module, lambdas)
        except TypeError:
            return []
        wide = torch.complex128 if response.is_complex() else torch.float64
        gains = torch.linalg.svdvals(response.cpu().to(wide))
        at = torch.tensor([0.25, 0.5, 0.75, 1.0], dtype=gains.dtype)
        low, median, upper, greatest = gains.quantile(at, dim=1).tolist()
        curves.append(
            {
                "lambdas": [round(value, 6) for value in lambdas.tolist()],
                "low": _rounded(low),
                "median": _rounded(median),
                "high": _rounded(upper),
                "greatest": _rounded(greatest),
            }
        )
    return curves


def _rounded(values: list[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
