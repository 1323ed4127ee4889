"""Properties 1 and 2 of the paper as measured facts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from snl_graph.operators import AffinityOperator
from snl_graph.spectral.components import structure_of
from snl_graph.spectral.facts import Eigenvalues, asymmetry, eigenvalues_of, least_weight
from snl_graph.spectral.graph import OneGraph
from snl_graph.spectral.sources import for_each_graph

BOUND = 2.0
"""λ_max ≤ 2 of a normalised Laplacian (Property 2)."""


class LaplacianError(ValueError):
    """An operator A whose L = I − A is not the Laplacian that Theorem 1 and Eq. 8 suppose."""


@dataclass(frozen=True)
class LaplacianReport:
    """Properties 1 and 2 of L = I − A, each as a measured fact. None stands for not measured.

    Attributes:
        nodes: N.
        dtype: Of the numbers of A.
        tolerance: What counts as 0: 16 ε of that dtype, and 1e-12 for the solver.
        min_weight: Least entry of A. Property 1 wants none below 0.
        symmetry_residual: ‖A − Aᵀ‖ / ‖A‖ in the Frobenius norm. Property 1 wants 0.
        non_normality: ‖A Aᵀ − Aᵀ A‖ / ‖A‖²; 0 where the eigenvectors can be orthogonal.
        max_imag: Largest |Im λ|.
        real_spectrum: Whether that is within what rounding of A can cause.
        lambda_min, lambda_max: Least and greatest real part of the eigenvalues.
        eigenvalue_error: Residual of those eigenvalues.
        bound: 2, the bound of Property 2.
        bound_holds: Whether λ_max ≤ 2.
        attains_bound: Whether λ_max = 2.
        bipartite: Whether the nodes fall into two sets with no edge inside either, found by
            colouring the graph; a self-loop is an edge inside.
        bipartite_components: Components with an edge for which that holds: each attains 2 under
            symmetric normalisation, and only they do.
        positive_semidefinite: Whether L is symmetric with λ_min ≥ 0.
        components: Connected components, isolated nodes included.
        null_space: Number of eigenvalues 0.
        isolated_nodes: Nodes without any edge, self-loops included; each has λ = 1.
        failures: What Properties 1 and 2 want and A does not have.
        notes: What was not measured in full.
    """

    nodes: int
    dtype: str
    tolerance: float
    min_weight: float
    symmetry_residual: float
    non_normality: float
    max_imag: float | None
    real_spectrum: bool | None
    lambda_min: float | None
    lambda_max: float | None
    eigenvalue_error: float
    bound: float
    bound_holds: bool
    attains_bound: bool
    bipartite: bool
    bipartite_components: int
    positive_semidefinite: bool
    components: int
    null_space: int
    isolated_nodes: int
    failures: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether A is non-negative and symmetric, and L real, ≥ 0 and ≤ 2."""
        return not self.failures

    def raise_if_failed(self) -> LaplacianReport:
        """The report itself, if it is ok.

        Raises:
            LaplacianError: If it is not, with the failures.
        """
        if self.failures:
            raise LaplacianError(
                "L = I − A is not a normalised Laplacian of an undirected graph: "
                + "; ".join(self.failures)
                + '. Use normalization="sym" with a non-negative kernel (see docs/spectrum.md).'
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """All attributes and the verdict, as plain numbers, booleans, strings and lists."""
        facts = {"ok": self.ok, **asdict(self)}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in facts.items()}

    def to_json(self, indent: int | None = 2) -> str:
        """:meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False, ensure_ascii=False)

    def __str__(self) -> str:
        imag = "not found" if self.max_imag is None else f"{self.max_imag:.3g}"
        lines = [
            f"Laplacian L = I − A of {self.nodes:,} nodes, {self.dtype}: "
            + ("ok" if self.ok else "NOT OK"),
            _line("least weight of A", f"{self.min_weight:.3g}", "≥ 0 wanted"),
            _line("asymmetry ‖A − Aᵀ‖/‖A‖", f"{self.symmetry_residual:.3g}", "0 wanted"),
            _line("non-normality", f"{self.non_normality:.3g}", "0 for orthogonal eigenvectors"),
            _line("largest |Im λ|", imag, _verdict(self.real_spectrum, "real", "complex")),
            _line("λ_min", _number(self.lambda_min), f"error {self.eigenvalue_error:.1g}"),
            _line(
                "λ_max",
                _number(self.lambda_max),
                _verdict(self.bound_holds, "within", "beyond")
                + f" the bound {self.bound:g}, "
                + _verdict(self.attains_bound, "attains it", "does not attain it"),
            ),
            _line("bipartite", _verdict(self.bipartite), self._bipartite_words()),
            _line("positive semi-definite", _verdict(self.positive_semidefinite), ""),
            _line("components", f"{self.components:,}", ""),
            _line("null space", f"{self.null_space:,}", "components − isolated nodes wanted"),
            _line("isolated nodes", f"{self.isolated_nodes:,}", "each has λ = 1"),
            f"  zero means within {self.tolerance:.1g}",
        ]
        lines += [f"  FAILED  {failure}" for failure in self.failures]
        lines += [f"  note    {note}" for note in self.notes]
        return "\n".join(lines)

    def _bipartite_words(self) -> str:
        with_edges = self.components - self.isolated_nodes
        return f"{self.bipartite_components:,} of {with_edges:,} components with edges"


def _line(name: str, value: str, remark: str) -> str:
    return f"  {name:<24} {value:<12} {remark}".rstrip()


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _verdict(value: bool | None, yes: str = "yes", no: str = "no") -> str:
    return "not found" if value is None else yes if value else no


def check_laplacian(obj: Any) -> Any:
    """Measure whether L = I − A is what Theorem 1 and Eq. 8 suppose: Properties 1 and 2.

    Property 1: A is non-negative and symmetric, so L has real eigenvalues and orthogonal vectors.
    Property 2: λ_max ≤ 2. The paper writes λ_max = 2; that is met where a connected component is
    bipartite, and nowhere else, so it is measured beside the bound.

    Source: Zhu et al., Properties 1 and 2.

    Args:
        obj: What :func:`~snl_graph.spectrum` takes.

    Returns:
        One :class:`LaplacianReport`; for a batch a list of them, nested as its leading axes are.

    Raises:
        TypeError: If ``obj`` holds no graph.
        ValueError: If weights are negative or not finite, or A is not square.

    Cost: that of all eigenvalues for at most 2048 nodes and for factored operators; for larger
        graphs some hundred products with A, and one for each step of a breadth-first search. What
        is then estimated is listed in the notes.

    Example:
        >>> import networkx as nx
        >>> report = check_laplacian(nx.davis_southern_women_graph())
        >>> report.ok, report.bipartite, report.attains_bound
        (True, True, True)
        >>> check_laplacian(nx.karate_club_graph()).attains_bound
        False
    """
    return for_each_graph(obj, report_of)


def report_of(a: AffinityOperator) -> LaplacianReport:
    """The report of one graph, A of shape (N, N)."""
    graph = OneGraph(a)
    tolerance = 16 * graph.precision + 1e-12
    dtype = str(a.dtype).removeprefix("torch.")
    if graph.n == 0:
        return _empty(dtype, tolerance)
    least, weight_note = least_weight(graph)
    residual, non_normality, norm_note = asymmetry(graph)
    structure = structure_of(graph)
    found = eigenvalues_of(graph, structure, tolerance)
    is_symmetric = residual <= tolerance
    components, isolated = structure.components, int(structure.is_isolated.sum())
    return LaplacianReport(
        nodes=graph.n,
        dtype=dtype,
        tolerance=tolerance,
        min_weight=least,
        symmetry_residual=residual,
        non_normality=non_normality,
        max_imag=found.max_imag,
        real_spectrum=found.is_real,
        lambda_min=found.least,
        lambda_max=found.greatest,
        eigenvalue_error=found.error,
        bound=BOUND,
        bound_holds=found.greatest <= BOUND + tolerance,
        attains_bound=abs(found.greatest - BOUND) <= tolerance,
        bipartite=bool(structure.is_bipartite.all()),
        bipartite_components=int((structure.is_bipartite & structure.has_edges).sum()),
        positive_semidefinite=is_symmetric and found.least >= -tolerance,
        components=components,
        null_space=found.null_space,
        isolated_nodes=isolated,
        failures=_failures(least, residual, found, components - isolated, tolerance),
        notes=tuple(note for note in (weight_note, norm_note, *found.notes) if note),
    )


def _failures(
    least: float, residual: float, found: Eigenvalues, expected_null: int, tolerance: float
) -> tuple[str, ...]:
    failures = []
    if least < -tolerance:
        failures.append(f"Property 1: a weight of A is negative ({least:.3g})")
    if residual > tolerance:
        failures.append(f"Property 1: A is not symmetric (‖A − Aᵀ‖/‖A‖ = {residual:.3g})")
    if found.is_real is False and found.max_imag is not None:
        failures.append(f"Property 1: the spectrum is complex (|Im λ| up to {found.max_imag:.3g})")
    if found.least < -tolerance:
        failures.append(f"Property 2: an eigenvalue is negative ({found.least:.3g})")
    if found.greatest > BOUND + tolerance:
        failures.append(f"Property 2: λ_max = {found.greatest:.6g} is beyond the bound 2")
    if found.null_space < expected_null:
        failures.append(
            f"Property 2: {found.null_space} eigenvalues are 0, but a normalised Laplacian of this "
            f"graph has {expected_null}: A is not normalised by its degrees"
        )
    return tuple(failures)


def _empty(dtype: str, tolerance: float) -> LaplacianReport:
    """Of no nodes: all that is said of every node holds, and nothing is attained."""
    return LaplacianReport(
        nodes=0,
        dtype=dtype,
        tolerance=tolerance,
        min_weight=0.0,
        symmetry_residual=0.0,
        non_normality=0.0,
        max_imag=0.0,
        real_spectrum=True,
        lambda_min=None,
        lambda_max=None,
        eigenvalue_error=0.0,
        bound=BOUND,
        bound_holds=True,
        attains_bound=False,
        bipartite=True,
        bipartite_components=0,
        positive_semidefinite=True,
        components=0,
        null_space=0,
        isolated_nodes=0,
        failures=(),
        notes=("the graph has no nodes",),
    )
