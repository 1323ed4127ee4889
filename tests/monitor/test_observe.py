"""Every number of an observation is that of the formula on the matrix A."""

import math

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from snl_graph import nonlocal_block
from snl_graph.monitor import gradient_norm, observe
from tests.monitor import formulas

FORMULAS = ["gap", "asymmetry", "entropy", "query_dependence"]
BLOCKS = {
    "snl": {},
    "gsnl": {"basis": "chebyshev"},
    "nl": {},
    "ns": {"depth": 2},
    "a2": {},
    "cc": {"recurrence": 2},
    "cgnl": {"hidden_channels": 2, "groups": 2},
}


def made(name, channels=8, **options):
    torch.manual_seed(3)
    return nonlocal_block(name, channels, **options).double()


def maps(batch, *size, channels=8):
    return torch.randn(
        batch, channels, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )


def matrices(block, x):
    a = block.affinity_of(x).to_dense().detach()
    return a.reshape(-1, *a.shape[-2:]).numpy()


@pytest.mark.parametrize("name", BLOCKS)
def test_numbers_are_those_of_the_matrix(name):
    block, x = made(name, **BLOCKS[name]), maps(3, 5, 7)
    seen = observe(block, x, items=3, rows=1000)
    dense = matrices(block, x)
    counts = [len(formulas.shares(a)) for a in dense]  # every row counts once
    for key in FORMULAS:
        weights = counts if key in ("entropy", "query_dependence") else None
        expected = np.average([getattr(formulas, key)(a) for a in dense], weights=weights)
        assert getattr(seen, key) == pytest.approx(expected, abs=1e-9), key
    for key in ("lambda_max", "max_imag"):
        expected = max(getattr(formulas, key)(a) for a in dense)
        assert getattr(seen, key) == pytest.approx(expected, abs=1e-7), key
    assert seen.nonfinite == 0


def test_every_head_counts():
    block, x = made("nl", heads=4, channels=16), maps(2, 4, 5, channels=16)
    seen, dense = observe(block, x, rows=1000), matrices(block, x)
    assert len(dense) == 8
    assert seen.gap == pytest.approx(np.mean([formulas.gap(a) for a in dense]), abs=1e-9)
    assert seen.entropy == pytest.approx(np.mean([formulas.entropy(a) for a in dense]), abs=1e-9)


def test_only_the_first_items_are_looked_at():
    block, x = made("snl"), maps(4, 5, 5)
    assert observe(block, x, items=2) == observe(block, x[:2])
    assert observe(block, x, items=4) != observe(block, x[:2])


@pytest.mark.parametrize(
    ("name", "options", "solver"),
    [
        ("snl", {}, "factored"),
        ("snl", {"normalization": "rw"}, "factored"),
        ("a2", {}, "factored"),
        ("nl", {}, "krylov"),
        ("cc", {}, "krylov"),
        ("snl", {"kernel": "embedded_gaussian"}, "krylov"),
    ],
)
def test_large_maps_give_nearly_the_same_without_their_matrix(name, options, solver):
    block, x = made(name, **options), 2 * maps(1, 17, 19)
    dense = matrices(block, x)[0]
    seen = observe(block, x, items=1, rows=1000)
    assert seen.solver == solver
    close = 1e-7 if solver == "factored" else 2e-2
    assert seen.lambda_max == pytest.approx(formulas.lambda_max(dense), abs=close)
    assert seen.gap == pytest.approx(formulas.gap(dense), abs=close)
    assert seen.entropy == pytest.approx(formulas.entropy(dense), abs=1e-9)
    # Random signals estimate a norm to some (2 / 16)^½ / 2 of itself.
    close = 1e-7 if solver == "factored" or name == "cc" else 0.2 * seen.asymmetry
    assert seen.asymmetry == pytest.approx(formulas.asymmetry(dense), abs=close)


def test_a_sample_of_rows_stands_for_all_of_them():
    block, x = made("nl"), 1.5 * maps(1, 12, 12)
    sample, whole = observe(block, x, rows=48), observe(block, x, rows=144)
    assert sample.entropy != whole.entropy
    assert sample.entropy == pytest.approx(whole.entropy, rel=0.1)
    assert sample.query_dependence == pytest.approx(whole.query_dependence, rel=0.25)


def test_a_rectangular_affinity_has_maps_but_no_eigenvalues():
    block, x = made("nl", subsample=2), maps(2, 6, 6)
    seen, dense = observe(block, x, rows=1000), matrices(block, x)
    assert (seen.lambda_max, seen.gap, seen.asymmetry) == (None, None, None)
    assert "lambda_max" not in seen.to_dict()
    assert dense.shape[-2:] == (36, 9)
    assert seen.entropy == pytest.approx(np.mean([formulas.entropy(a) for a in dense]), abs=1e-9)


def test_padding_does_not_count():
    block, x = made("nl"), maps(1, 6, 4)
    valid = torch.zeros(1, 6, 4, dtype=torch.bool)
    valid[:, :3] = True
    padded = observe(block, x, valid, rows=1000)
    alone = observe(block, x[:, :, :3], rows=1000)
    assert padded.query_dependence == pytest.approx(alone.query_dependence, abs=1e-12)
    assert padded.entropy * math.log(24) == pytest.approx(alone.entropy * math.log(12), abs=1e-12)


def graph_of(nodes, seed, *, has_edges):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, 8, dtype=torch.float64, generator=generator)
    pairs = torch.combinations(torch.arange(nodes), 2).T
    kept = pairs[:, torch.rand(pairs.shape[1], generator=generator) < 0.6]
    return Data(x, edge_index=torch.cat([kept, kept.flip(0)], 1) if has_edges else None)


def test_graphs_without_edges_are_looked_at_one_by_one():
    block, graphs = made("nl"), [graph_of(n, n, has_edges=False) for n in (7, 5, 9)]
    seen = observe(block, Batch.from_data_list(graphs), items=2, rows=1000)
    maps = [graph.x.T.unsqueeze(0) for graph in graphs[:2]]
    dense = [matrices(block, x)[0] for x in maps]
    assert seen.lambda_max == pytest.approx(max(map(formulas.lambda_max, dense)), abs=1e-9)
    assert seen.gap == pytest.approx(np.mean([formulas.gap(a) for a in dense]), abs=1e-9)


def test_the_edges_of_a_graph_are_its_mask():
    block, graph = made("snl"), graph_of(9, 1, has_edges=True)
    phi, psi = (
        (graph.x @ getattr(block.affinity, key).weight.T).relu().detach().numpy()
        for key in ("phi", "psi")
    )
    mask = np.zeros((9, 9))
    mask[tuple(graph.edge_index.numpy())] = 1
    m = (phi @ psi.T * mask + (phi @ psi.T * mask).T) / 2
    root = m.sum(1) ** -0.5
    expected = root[:, None] * m * root
    seen = observe(block, graph, rows=1000)
    assert seen.lambda_max == pytest.approx(formulas.lambda_max(expected), abs=1e-9)
    assert seen.gap == pytest.approx(formulas.gap(expected), abs=1e-9)
    assert seen.entropy == pytest.approx(formulas.entropy(expected), abs=1e-9)


def test_several_graphs_with_edges_have_no_gap():
    graphs = [graph_of(n, n, has_edges=True) for n in (7, 5)]
    seen = observe(made("snl"), Batch.from_data_list(graphs))
    assert seen.gap == pytest.approx(0, abs=1e-9)
    assert graphs[0].x.shape == (7, 8)


def test_the_response_is_that_of_the_learned_taps():
    block = made("snl")
    w = [block.units[0].w[k].weight.detach().numpy() for k in ("0", "1")]
    seen = observe(block, maps(1, 3, 3), lambdas=(0, 0.25, 2))
    expected = [np.linalg.norm(w[0] + (1 - at) * w[1]) for at in (0, 0.25, 2)]
    assert seen.responses == (pytest.approx(tuple(expected), abs=1e-12),)
    assert seen.to_dict()["response_0.25"] == pytest.approx(expected[1])


def test_units_of_a_stage_are_told_apart():
    seen = observe(made("ns", depth=2), maps(1, 3, 3))
    assert {"unit0/response_1", "unit1/response_1"} <= seen.to_dict().keys()


def test_all_numbers_of_the_dict_are_floats():
    for name, options in BLOCKS.items():
        numbers = observe(made(name, **options), maps(1, 3, 4)).to_dict()
        assert all(type(number) is float for number in numbers.values())


@pytest.mark.parametrize("norm", ["batch", "group", "layer", "none"])
def test_a_block_that_starts_at_zero_is_dead_until_a_weight_moves(norm):
    block, x = made("snl", norm=norm, zero_init=True), maps(2, 4, 4)
    assert observe(block, x).is_dead
    weights = block.units[0].w["1"].weight if norm == "none" else block.units[0].bn.weight
    with torch.no_grad():
        weights.view(-1)[0] = 1e-30
    assert not observe(block, x).is_dead


def test_a_stage_lives_while_one_unit_does():
    block = made("nl", depth=2, zero_init=True)
    torch.nn.init.ones_(block.units[1].bn.weight)
    seen = observe(block, maps(1, 4, 4))
    assert not seen.is_dead
    assert seen.scale == pytest.approx(0.5**0.5)


def test_maps_that_ignore_the_query_have_no_dependence_and_a_gap_of_one():
    block, x = made("nl"), maps(2, 5, 6)
    x[:, 0] = 1.0  # Φ looks at this channel alone: the same at every position
    with torch.no_grad():
        block.affinity.phi.weight[:, 1:] = 0
        block.affinity.psi.weight.mul_(5)
    seen = observe(block, x, rows=1000)
    assert seen.query_dependence == pytest.approx(0, abs=1e-12)
    assert seen.gap == pytest.approx(1, abs=1e-9)
    assert 0.1 < seen.entropy < 0.95
    torch.nn.init.zeros_(block.affinity.phi.weight)
    assert observe(block, x).entropy == pytest.approx(1, abs=1e-12)


def test_not_a_number_is_counted_and_nothing_else_is_told():
    block, x = made("cc"), maps(1, 4, 5)
    x[0, 0, 1, 2] = float("nan")
    seen = observe(block, x)
    assert seen.nonfinite == pytest.approx(8 / 20)  # the cross of that position
    assert (seen.lambda_max, seen.entropy) == (None, None)


@pytest.mark.parametrize("name", ["snl", "nl", "cgnl", "cc"])
def test_one_position_is_enough(name):
    seen = observe(made(name), maps(2, 1, 1))
    assert math.isfinite(seen.lambda_max)
    assert seen.nonfinite == 0


def test_an_affinity_of_zeros_has_no_gap():
    block = made("snl")
    torch.nn.init.zeros_(block.affinity.phi.weight)
    seen = observe(block, maps(1, 20, 20))
    assert (seen.gap, seen.lambda_max, seen.query_dependence) == (None, 1.0, None)


def test_nothing_is_disturbed():
    block, x = made("snl").train(), maps(2, 5, 5).requires_grad_()
    before = {key: value.clone() for key, value in block.state_dict().items()}
    # NumPy's global state, which a library must not move.
    random = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    observe(block, x)
    assert all(torch.equal(before[key], value) for key, value in block.state_dict().items())
    assert block.training
    assert x.grad is None
    assert torch.equal(random[0], torch.get_rng_state())
    assert np.array_equal(random[1], np.random.get_state()[1])  # noqa: NPY002


def test_it_measures_in_the_precision_of_the_weights_under_autocast():
    block = nonlocal_block("nl", 8)
    x = maps(2, 5, 5).float()
    expected = observe(block, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert observe(block, x) == expected
        low = observe(block, x.bfloat16())
    assert low.entropy == pytest.approx(expected.entropy, abs=1e-2)


def test_a_block_in_half_precision_can_be_observed():
    block, x = nonlocal_block("snl", 8), maps(1, 6, 6).float()
    expected = observe(block, x)
    seen = observe(block.bfloat16(), x.bfloat16())
    assert seen.lambda_max == pytest.approx(expected.lambda_max, abs=0.05)


def test_the_gradient_is_that_of_all_parameters():
    block, x = made("snl"), maps(2, 4, 4)
    assert gradient_norm(block) is None
    assert observe(block, x).gradient is None
    block(x).square().sum().backward()
    flat = np.concatenate([p.grad.numpy().ravel() for p in block.parameters()])
    assert observe(block, x).gradient == pytest.approx(np.linalg.norm(flat), rel=1e-5)


@pytest.mark.parametrize("options", [{"items": 0}, {"rows": 0}, {"rows": True}, {"items": 1.5}])
def test_a_number_out_of_range_is_named(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is a whole number"):
        observe(made("snl"), maps(1, 3, 3), **options)


def test_another_module_is_refused():
    with pytest.raises(TypeError, match="got Linear"):
        observe(torch.nn.Linear(3, 3), maps(1, 3, 3))
