"""What was seen of one block at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BlockObservation:
    """Numbers of one block on a few feature maps; :func:`~snl_graph.monitor.observe` makes it.

    μ are the eigenvalues of A, in order of falling modulus, and λ = 1 − μ those of L = I − A. Means
    are over the items, and over heads or channel groups. None stands for what A does not have: a
    rectangular A has no eigenvalues, a non-finite one no numbers at all.

    Attributes:
        lambda_max: Greatest real part of λ, over all items; at most 2 for a normalised symmetric A.
        gap: Mean of 1 − |μ₂| / |μ₁|: 1 where A has rank one, 0 where two eigenvalues share the
            greatest modulus, as of a graph in two pieces or a bipartite one. None where A = 0.
        max_imag: Largest |Im λ|, over all items.
        asymmetry: Mean of ‖A − Aᵀ‖ / ‖A‖ in the Frobenius norm, 0 .. 2.
        entropy: Mean over rows of −Σ_j p_j log p_j / log N' with p = |A_i·| / Σ_j |A_ij|: 1
            where a position looks everywhere alike, 0 where at a single one.
        query_dependence: Mean total variation distance ½ Σ_j |p_ij − p̄_j| between the rows and
            their mean p̄: 0 where all positions look at the same.
        nonfinite: Share of the rows of A that hold NaN or infinity.
        is_nonnegative: Whether A is known to have no negative entry.
        is_dead: Whether every unit's F is multiplied by 0: the block adds a constant at most.
        scale: Root mean square of the weights of the norm layers; None where they have none.
        gradient: Norm of the gradient of the block's parameters, if they hold one at that moment.
        lambdas: Where the response was taken.
        responses: ‖g(λ)‖ in the Frobenius norm at each of ``lambdas``, one tuple a unit, without
            Z = X W_g before and the norm layer after it.
        solver: How the eigenvalues were found: "dense" (all of them), "factored" (all, through a
            matrix of twice the rank) or "krylov" (the outer ones, estimated from inside).
    """

    lambda_max: float | None
    gap: float | None
    max_imag: float | None
    asymmetry: float | None
    entropy: float | None
    query_dependence: float | None
    nonfinite: float
    is_nonnegative: bool
    is_dead: bool
    scale: float | None
    gradient: float | None
    lambdas: tuple[float, ...]
    responses: tuple[tuple[float, ...], ...]
    solver: str | None

    def to_dict(self) -> dict[str, float]:
        """Flat numbers for a logger; what is None is left out.

        Keys: ``lambda_max``, ``gap``, ``max_imag``, ``asymmetry``, ``entropy``,
        ``query_dependence``, ``nonfinite``, ``dead`` (0 or 1), ``scale``, ``gradient`` and
        ``response_{λ}``, with several units ``unit{i}/response_{λ}``.
        """
        found: dict[str, float | None] = {
            "lambda_max": self.lambda_max,
            "gap": self.gap,
            "max_imag": self.max_imag,
            "asymmetry": self.asymmetry,
            "entropy": self.entropy,
            "query_dependence": self.query_dependence,
            "nonfinite": self.nonfinite,
            "dead": float(self.is_dead),
            "scale": self.scale,
            "gradient": self.gradient,
        }
        for number, response in enumerate(self.responses):
            unit = f"unit{number}/" if len(self.responses) > 1 else ""
            for at, size in zip(self.lambdas, response, strict=True):
                found[f"{unit}response_{at:g}"] = size
        return {key: value for key, value in found.items() if value is not None}
