"""Values are looked at when asked for, and never while a program is traced."""

import pytest
import torch

import snl_graph
from snl_graph import checks


def test_values_are_checked_only_inside_the_context() -> None:
    phi = torch.full((3, 2), float("nan"))
    snl_graph.affinity(phi)
    with snl_graph.value_checks():
        with pytest.raises(ValueError, match=r"phi has 6 non-finite values .* of 6"):
            snl_graph.affinity(phi)
        with pytest.raises(ValueError, match="psi has 6 non-finite values"):
            snl_graph.affinity(torch.zeros(3, 2), phi)
        with snl_graph.value_checks(enabled=False):
            snl_graph.affinity(phi)
    snl_graph.affinity(phi)


def test_the_context_closes_after_an_error() -> None:
    with pytest.raises(KeyError), snl_graph.value_checks():
        raise KeyError
    assert not checks.are_requested()


def test_checks_that_cost_nothing_run_on_the_processor_alone() -> None:
    here, elsewhere = torch.zeros(1), torch.zeros(1, device="meta")
    assert checks.are_free(here)
    assert not checks.are_free(elsewhere)
    with checks.value_checks():
        assert checks.are_free(elsewhere)


def test_no_check_is_traced() -> None:
    @torch.compile(fullgraph=True, backend="eager")
    def asked(x: torch.Tensor) -> torch.Tensor:
        return x + int(checks.are_requested()) + int(checks.are_free(x))

    with checks.value_checks():
        assert asked(torch.zeros(1)).item() == 0


def test_finite_values_pass_and_others_are_counted() -> None:
    checks.require_finite(torch.randn(4), "x")
    with pytest.raises(ValueError, match=r"x has 2 non-finite values .* of 3"):
        checks.require_finite(torch.tensor([1.0, float("inf"), float("nan")]), "x")


def test_negative_values_are_refused_with_the_remedy() -> None:
    checks.require_nonnegative(torch.tensor([0.0, 1.0]), "w", "")
    checks.require_nonnegative(torch.empty(0), "w", "")
    with pytest.raises(ValueError, match=r"w must be non-negative; its least value is -2\. Do so"):
        checks.require_nonnegative(torch.tensor([1.0, -2.0]), "w", "Do so.")


def test_indices_out_of_range_are_refused() -> None:
    checks.require_indices(torch.tensor([0, 2]), 3, "edge_index")
    checks.require_indices(torch.empty(0, dtype=torch.long), 0, "edge_index")
    for index in ([0, 3], [-1, 2]):
        with pytest.raises(IndexError, match=r"edge_index must lie in 0 \.\. 2 for 3 nodes; it"):
            checks.require_indices(torch.tensor(index), 3, "edge_index")
