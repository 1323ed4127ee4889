"""The hooks of a monitor: when they look, what they leave alone, what they warn of."""

import copy
import io
import warnings

import pytest
import torch
from torch import nn
from torch_geometric.data import Data

from snl_graph import insert_block, nonlocal_block
from snl_graph.blocks import fused
from snl_graph.monitor import BlockMonitor, BlockWarning, observe


def network(block="snl", **options):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    return insert_block(net, "2", block, zero_init=False, **options)


def images(batch=2):
    return torch.randn(batch, 3, 8, 9, generator=torch.Generator().manual_seed(2))


def kept(seen):
    return lambda numbers, step: seen.append((step, numbers))


def hooks_of(model):
    return [hook for module in model.modules() for hook in module._forward_pre_hooks.values()]


def test_numbers_are_those_of_the_map_that_enters_the_block():
    net, x, seen = network(), images(), []
    with torch.no_grad():
        expected = observe(net[2].inserted[0], _entering(net, x))
    with BlockMonitor(net, log=kept(seen)) as monitor:
        net(x)
    assert monitor.latest == {"2": expected}
    assert seen == [(0, {f"block/2/{key}": n for key, n in expected.to_dict().items()})]


def _entering(net, x):
    return copy.deepcopy(net[:2])(x).relu()


def test_outputs_gradients_statistics_and_random_state_are_the_same_bits():
    def one_step(is_watched):
        net, x = network(), images()
        torch.manual_seed(7)
        if is_watched:
            BlockMonitor(net, every=1)
        y = net(x)
        y.square().sum().backward()
        tensors = [y, *net.state_dict().values(), *(p.grad for p in net.parameters())]
        return list(net.state_dict()), [*tensors, torch.get_rng_state()]

    (plain_keys, plain), (keys, watched) = one_step(False), one_step(True)
    assert keys == plain_keys
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))


def test_the_fast_path_of_the_block_is_taken_all_the_same(monkeypatch):
    calls = []
    apply = fused._FusedFilter.apply
    monkeypatch.setattr(fused._FusedFilter, "apply", lambda *a: calls.append(1) or apply(*a))
    net = network()
    with BlockMonitor(net, every=1):
        net(images())
    assert calls == [1]


def test_it_looks_at_every_nth_training_pass():
    net, seen = network(), []
    BlockMonitor(net, every=3, log=kept(seen))
    for _ in range(4):
        net(images())
        net.eval()(images())
        net.train()
    assert [step for step, _ in seen] == [0, 3]


def test_a_clock_of_the_caller_counts_steps_of_several_passes():
    net, seen, now = network(), [], [0]
    BlockMonitor(net, every=2, log=kept(seen), step=lambda: now[0])
    for now[0] in (0, 0, 1, 1, 2, 2):
        net(images())
    assert [step for step, _ in seen] == [0, 2]


def test_all_blocks_are_watched_by_their_names():
    net = insert_block(network(), "3", "nl", zero_init=False)
    net.append(nonlocal_block("cc", 4))
    monitor = BlockMonitor(net)
    net(images())
    assert set(monitor.latest) == {"2", "3", "4"}


def test_a_mask_of_valid_positions_is_seen():
    block, x = nonlocal_block("nl", 3), images()
    valid = torch.ones(2, 8, 9, dtype=torch.bool)
    valid[:, 4:] = False
    for call in (
        lambda: block(x, valid),
        lambda: block(x, valid=valid),
        lambda: block(x=x, valid=valid),
    ):
        monitor = BlockMonitor(block)
        call()
        monitor.remove()
        assert monitor.latest["NonlocalBlock"] == observe(block, x, valid)


def test_graphs_are_watched_too():
    block, seen = nonlocal_block("snl", 4), []
    graph = Data(torch.randn(6, 4), edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]))
    with BlockMonitor(block, log=kept(seen)):
        block(graph)
    assert seen[0][1]["block/NonlocalBlock/lambda_max"] > 0


def test_removal_leaves_no_hooks():
    net = network()
    with BlockMonitor(net):
        assert len(hooks_of(net)) == 1
    assert hooks_of(net) == []


@pytest.mark.parametrize("how", ["copy", "pickle"])
def test_a_copy_of_the_network_is_not_watched(how):
    net, seen = network(), []
    BlockMonitor(net, every=1, log=lambda numbers, step: seen.append(step))
    if how == "copy":
        other = copy.deepcopy(net)
    else:
        file = io.BytesIO()
        torch.save(net, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    assert torch.equal(other(images()), network()(images()))
    assert seen == []
    net(images())
    assert seen == [0]


def test_gradients_are_there_after_backward():
    net = network()
    monitor = BlockMonitor(net)
    net(images()).square().sum().backward()
    block = net[2].inserted[0]
    expected = torch.cat([p.grad.flatten() for p in block.parameters()]).norm()
    assert monitor.gradients() == {"block/2/gradient": pytest.approx(float(expected), rel=1e-5)}


def trained(net, passes, **options):
    """Messages of all warnings of some passes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with BlockMonitor(net, every=1, **options):
            for _ in range(passes):
                net(images())
    return [str(one.message) for one in caught if one.category is BlockWarning]


def test_a_block_that_stays_dead_is_warned_of_once_after_patience():
    net = network()
    nn.init.zeros_(net[2].inserted[0].units[0].bn.weight)
    assert trained(net, 3, patience=3) == []
    (message,) = trained(net, 6, patience=3)
    assert message.startswith('block "2": at step 3 it is still dead')
    assert "optimizer" in message


@pytest.mark.parametrize(
    ("block", "is_warned"), [("nl", True), ("snl", False), ("cgnl", False), ("cc", False)]
)
def test_maps_that_ignore_the_query_are_warned_of(block, is_warned):
    net = network(block)
    affinity = net[2].inserted[0].affinity
    if block in ("nl", "cc"):
        nn.init.zeros_(affinity.phi.weight)  # logits 0: uniform over what the mask joins
    messages = trained(net, 3, patience=1)
    assert len(messages) == is_warned
    assert all("no longer depend on the query" in m and "uniform" in m for m in messages)


def test_not_a_number_is_warned_of_at_once():
    net = network("nl")
    nn.init.constant_(net[2].inserted[0].affinity.phi.weight, float("inf"))
    (message,) = trained(net, 2)
    assert "100% of the rows of its affinity hold NaN" in message


def test_what_cannot_be_observed_is_trained_all_the_same(monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("snl_graph.monitor.hooks.observe", broken)
    (message,) = trained(network(), 2)
    assert message == 'block "2": it could not be observed: out of memory'


def test_only_the_first_process_looks(monkeypatch):
    net, x = network(), images()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    for rank, looks in ((1, False), (0, True)):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        with BlockMonitor(net) as monitor:
            net(x)
        assert bool(monitor.latest) is looks


def test_a_compiled_network_is_watched_and_gives_the_same():
    net, x, seen = network(), images(), []
    expected = copy.deepcopy(net)(x)
    BlockMonitor(net, every=2, log=kept(seen))
    compiled = torch.compile(net, backend="eager")
    assert torch.equal(compiled(x), expected)
    for _ in range(3):
        compiled(x)
    assert [step for step, _ in seen] == [0, 2]


def test_a_network_without_blocks_is_refused():
    with pytest.raises(ValueError, match="Linear has no nonlocal block to watch"):
        BlockMonitor(nn.Linear(2, 2))


@pytest.mark.parametrize("options", [{"every": 0}, {"patience": -1}, {"items": 0}, {"rows": 0}])
def test_a_number_out_of_range_is_named_at_once(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is a whole number"):
        BlockMonitor(network(), **options)
