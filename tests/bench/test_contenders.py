"""Contenders of every problem do the same work, and those that do not are refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from snl_graph import nonlocal_block
from snl_graph.bench.bars import CASES
from snl_graph.bench.compare import EXACT, compare, prove_equal
from snl_graph.bench.contenders import (
    FORWARD,
    MODES,
    TRAINING,
    Contender,
    UnequalWorkError,
    require_equal,
)
from snl_graph.bench.floor import floor_of
from snl_graph.bench.memory import largest_tensor, peak, saved_bytes
from snl_graph.bench.problems import AffinityProblem, BlockProblem, LayerProblem
from snl_graph.bench.problems.layer import random_graph
from snl_graph.bench.timing import Effort
from snl_graph.blocks import ROWS
from snl_graph.representations import REPRESENTATIONS

PROBLEMS = [
    *(BlockProblem(row, batch, 32, (3, 4)) for row in ROWS for batch in (1, 2)),
    AffinityProblem("embedded_gaussian", "sym", "full", 2, (9,), 4, 4),
    AffinityProblem("embedded_gaussian", "rw", "criss_cross", 2, (3, 4), 4, 6),
    AffinityProblem("dot", "sym", "criss_cross", 1, (3, 4), 4, 6),
    LayerProblem(30, 120, 6, 4),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_all_contenders_of_a_problem_do_the_same_work(problem: BlockProblem) -> None:
    prove_equal(problem, problem.names)


def test_every_representation_contends_by_itself() -> None:
    found = {name for problem in PROBLEMS for name in problem.names}
    assert set(REPRESENTATIONS) <= found


def test_a_new_representation_joins_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from snl_graph.kernels import Dot

    names = (*Dot().representations, "novel")
    monkeypatch.setitem(REPRESENTATIONS, "novel", REPRESENTATIONS["dense"])
    monkeypatch.setattr(Dot, "representations", names)
    problem = BlockProblem("snl", 1, 4, (2, 3))
    assert "novel" in problem.names
    assert "novel" in compare(problem, effort=Effort(1)).timings[FORWARD]


def contender(name: str, factor: float, offset: float = 0.0) -> Contender:
    x = torch.arange(1.0, 4.0).requires_grad_()
    return Contender(name, lambda: factor * x + offset, [x], torch.ones(3), "reference")


def test_a_wrong_output_is_refused() -> None:
    pair = [contender("reference", 2.0), contender("other", 2.0, offset=0.1)]
    with pytest.raises(UnequalWorkError, match='"other" differs from "reference"'):
        require_equal(pair, FORWARD, 1e-3)


def test_a_wrong_gradient_is_refused_where_gradients_are_computed() -> None:
    right = contender("reference", 2.0)
    x = torch.arange(1.0, 4.0).requires_grad_()
    wrong = replace(right, name="other", output=lambda: 3 * x - x.detach(), inputs=[x])
    assert require_equal([right, wrong], FORWARD, 1e-6) == {"reference": 0, "other": 0}
    with pytest.raises(UnequalWorkError, match="do not do the same work"):
        require_equal([right, wrong], TRAINING, 1e-6)


def test_nan_and_other_shapes_are_refused() -> None:
    right = contender("reference", 2.0)
    for output in (lambda: torch.full((3,), torch.nan), lambda: torch.ones(2)):
        with pytest.raises(UnequalWorkError):
            require_equal([right, replace(right, name="other", output=output)], FORWARD, 1e-3)


def test_a_problem_whose_contenders_differ_is_never_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = BlockProblem.contender

    def sloppy(self: BlockProblem, name: str) -> Contender:
        made = honest(self, name)
        if name != "factored":
            return made
        return replace(made, output=lambda: made.output() * 1.001)

    monkeypatch.setattr(BlockProblem, "contender", sloppy)
    with pytest.raises(UnequalWorkError, match="factored"):
        compare(BlockProblem("snl", 1, 4, (2, 3)), effort=Effort(1))


def test_the_floor_is_the_block_with_the_identity_for_its_operator() -> None:
    block = nonlocal_block("snl", 6).double()
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    unit = block.units[0]
    weights = [unit.w[tap].weight @ unit.g.weight for tap in ("0", "1")]
    f = torch.einsum("oc,bchw->bohw", weights[0] + weights[1], x)
    mean, variance = f.mean((0, 2, 3), keepdim=True), f.var((0, 2, 3), keepdim=True, correction=0)
    expected = x + (f - mean) / (variance + unit.bn.eps).sqrt()
    assert torch.allclose(floor_of(block)(x), expected, atol=1e-12)


def test_the_floor_leaves_the_block_as_it_was_and_pays_for_every_projection() -> None:
    block = nonlocal_block("snl", 6)
    before = copy.deepcopy(dict(block.named_children()))
    floor = floor_of(block)
    assert list(before) == list(dict(block.named_children()))
    assert type(block.affinity) is not type(floor.affinity)
    floor(torch.randn(2, 6, 3, 4)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_storages_kept_for_backward_are_counted_once() -> None:
    x = torch.randn(10, 10, requires_grad=True)
    assert saved_bytes(lambda: x.exp()) == 400  # its output
    assert saved_bytes(lambda: x * x) == 400  # twice the same
    assert saved_bytes(lambda: x[:5] * x[5:]) == 400  # two views of one storage
    assert saved_bytes(lambda: x.exp() * x.sin()) == 400 * 3  # x, and both factors


def test_the_largest_tensor_is_that_of_any_step_forward_or_backward() -> None:
    x = torch.randn(5, 1, requires_grad=True)
    assert largest_tensor(lambda: (x @ x.T).sum()) == 25
    assert largest_tensor(lambda: torch.autograd.grad((x @ x.T).sum(), [x])) == 25
    assert largest_tensor(lambda: (x * 2).sum()) == 5


def test_the_peak_of_a_process_holds_the_matrix_that_is_made() -> None:
    """The naive form holds four matrices of 2,400² float32 numbers at least."""
    problem = BlockProblem("snl", 1, 4, (48, 50))
    found = peak(problem, "naive dense", FORWARD, 1)
    if found is not None:
        assert found.above_inputs > 2 * 4 * 2400**2
        assert found.total > found.above_inputs


def test_a_contender_that_does_not_fit_is_left_out_with_the_numbers() -> None:
    problem = BlockProblem("snl", 1, 4, (600, 600))
    from snl_graph.bench.compare import lack_of_memory

    reason = lack_of_memory(problem, "naive dense", FORWARD)
    assert reason is not None
    assert "GiB" in reason
    assert lack_of_memory(problem, "factored", TRAINING) is None


def test_a_random_graph_is_undirected_without_loops_or_copies() -> None:
    edges = random_graph(12, 60, torch.Generator().manual_seed(0))
    pairs = set(map(tuple, edges.T.tolist()))
    assert edges.shape == (2, 60)
    assert len(pairs) == 60
    assert all((b, a) in pairs and a != b for a, b in pairs)
    with pytest.raises(ValueError, match="cannot have"):
        random_graph(3, 8, torch.Generator())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_small_form_of_a_case_is_small(case: object) -> None:
    problem = case.small().problem  # type: ignore[attr-defined]
    assert problem.nodes <= 20
    assert all(problem.bytes_needed(name, MODES[-1]) < 2**20 for name in problem.names)
    assert EXACT <= 1e-9
