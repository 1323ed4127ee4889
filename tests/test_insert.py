"""Insertion into networks: the same outputs first, then the block, in the end no trace of it."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.feature_extraction import create_feature_extractor

from snl_graph.blocks import ROWS, NonlocalBlock
from snl_graph.insert import insert_block, inserted_blocks, remove_blocks

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class Residual(nn.Module):
    """x + BN(W x): a block without surprises, the identity where the weight of BN is zero."""

    def __init__(self, channels: int, dim: int = 2, weight: float = 1.0) -> None:
        super().__init__()
        self.conv = CONV[dim](channels, channels, 1, bias=False)
        self.bn = NORM[dim](channels)
        nn.init.constant_(self.bn.weight, weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn(self.conv(x))


def small_net(dim: int = 2) -> nn.Module:
    """Two nested stages: input (B, 3, ...), 6 channels behind "stem", 8 behind "stage"."""
    stage = nn.Sequential(CONV[dim](6, 8, 3), nn.Sequential(NORM[dim](8), nn.ReLU()))
    parts = {"stem": CONV[dim](3, 6, 1), "stage": stage, "head": CONV[dim](8, 5, 1)}
    net = nn.Sequential()
    for name, part in parts.items():
        net.add_module(name, part)
    return net.eval()


def facts(model: nn.Module) -> dict[str, list[Any]]:
    """What insertion leaves or restores, in a form that ``==`` compares bit for bit."""
    return {
        "keys": list(model.state_dict()),
        "values": [as_bytes(value) for value in model.state_dict().values()],
        "tree": [(name, type(module)) for name, module in model.named_modules()],
        "hooks": [len(module._forward_hooks) for module in model.modules()],
        "training": [module.training for module in model.modules()],
    }


def as_bytes(tensor: Tensor) -> bytes:
    return tensor.flatten().view(torch.uint8).numpy().tobytes()


def small_densenet() -> nn.Module:
    """A network whose stages hand their children lists."""
    return torchvision.models.DenseNet(8, (2, 2), num_init_features=16)


# Networks of torchvision and timm, and a place in each.
BACKBONES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "resnet50": (torchvision.models.resnet50, "layer3.4"),
    "mobilenet_v3": (torchvision.models.mobilenet_v3_small, "features.8"),
    "densenet": (small_densenet, "features.denseblock2"),
    "timm_convnext": (lambda: timm.create_model("convnext_atto"), "stages.2"),
}


@pytest.fixture(params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> tuple[nn.Module, str]:
    build, after = BACKBONES[request.param]
    return build().eval(), after


@torch.no_grad()
def test_a_backbone_with_a_new_block_is_the_original_bit_for_bit(backbone) -> None:
    model, after = backbone
    x = torch.randn(2, 3, 64, 64)
    expected, before = model(x), facts(model)

    assert insert_block(model, after) is model
    assert torch.equal(model(x), expected)
    state = model.state_dict()
    old = [key for key in state if key in set(before["keys"])]
    assert old == before["keys"]
    assert [as_bytes(state[key]) for key in old] == before["values"]
    block = inserted_blocks(model)[after]
    assert len(state) == len(old) + len(block.state_dict())

    nn.init.ones_(block.units[0].bn.weight)
    assert not torch.equal(model(x), expected)  # so the block does run
    assert remove_blocks(model) is model
    assert torch.equal(model(x), expected)
    assert facts(model) == before


@pytest.mark.slow
@torch.no_grad()
def test_a_backbone_with_a_block_is_copied_pickled_compiled_and_exported(backbone) -> None:
    model, after = backbone
    model.double()  # a traced program may multiply in another order
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    insert_block(model, after, "snl", zero_init=False)
    expected = model(x)
    assert not torch.equal(remove_blocks(copy.deepcopy(model))(x), expected)

    fresh = copy.deepcopy(model)
    remove_blocks(fresh)
    for value in fresh.state_dict().values():
        value.zero_()
    insert_block(fresh, after, "snl", zero_init=False)
    fresh.load_state_dict(model.state_dict())
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fresh):
        assert torch.equal(again(x), expected)

    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.testing.assert_close(program.module()(x), expected)
    torch.testing.assert_close(program.module()(x[[0, 0, 1]]), expected[[0, 0, 1]])


@torch.no_grad()
@pytest.mark.parametrize("name", ROWS)
def test_every_row_starts_as_the_identity_and_runs_when_it_does_not(name: str) -> None:
    x = torch.randn(2, 3, 6, 5)
    net, other = small_net(), small_net()
    expected = net(x)
    assert torch.equal(insert_block(net, "stage", name)(x), expected)
    expected = other(x)
    changed = insert_block(other, "stage", name, zero_init=False)(x)
    assert not torch.allclose(changed, expected)


def test_a_new_block_learns_and_moves_the_output() -> None:
    net = insert_block(small_net(), "stage").train()
    x = torch.randn(2, 3, 6, 5)
    net(x).square().sum().backward()
    unit = inserted_blocks(net)["stage"].units[0]
    assert unit.bn.weight.grad.abs().max() > 0
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    optimizer.step()
    net(x).square().sum().backward()
    assert all(w.weight.grad.abs().max() > 0 for w in unit.w.values())


def test_overrides_go_to_the_block() -> None:
    net = insert_block(small_net(), "stage", "gsnl", K=4, hidden_channels=6, heads=2)
    unit = inserted_blocks(net)["stage"].units[0]
    assert [w.weight.shape for w in unit.w.values()] == [(8, 6)] * 4
    before = facts(net)
    for overrides, message in (
        ({"block": "snn"}, 'unknown block "snn". Did you mean "snl"'),
        ({"block": "snl", "K": 4}, "fixed taps"),
        ({"block": "snl", "activation": "relu"}, "zero_init"),
    ):
        with pytest.raises(ValueError, match=message):
            insert_block(net, "stage", **overrides)
    with pytest.raises(TypeError, match="hiden_channels"):
        insert_block(net, "stage", hiden_channels=4)
    assert facts(net) == before


def test_a_compiled_network_gives_the_gradients_of_the_block() -> None:
    net = insert_block(small_net().double(), "stage", "snl", zero_init=False).train()
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    gradients = torch.autograd.grad(net(x).square().sum(), list(net.parameters()))
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    again = torch.autograd.grad(compiled(x).square().sum(), list(net.parameters()))
    torch.testing.assert_close(again, gradients)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_values_and_gradients_are_those_of_the_composed_parts(dim: int) -> None:
    net = small_net(dim).double().train()
    parts = copy.deepcopy(net)
    block = Residual(8, dim)
    x = torch.randn(2, 3, *(7, 6, 5)[:dim], dtype=torch.float64)
    insert_block(net, "stage", block, example=x)
    theirs = copy.deepcopy(block)

    net(x).square().sum().backward()
    parts.head(theirs(parts.stage(parts.stem(x)))).square().sum().backward()
    expected = [*(p.grad for p in parts.parameters()), *(p.grad for p in theirs.parameters())]
    found = [p.grad for name, p in net.named_parameters() if "inserted" not in name]
    found += [p.grad for p in block.parameters()]
    assert [p.dtype for p in block.parameters()] == [torch.float64] * 3
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert all(gradient.abs().max() > 0 for gradient in found[-2:])


@torch.no_grad()
def test_code_that_iterates_over_a_sequential_runs_the_block_once() -> None:
    net = small_net()
    x = torch.randn(2, 3, 8, 8)
    length, last = len(net.stage), net.stage[-1]
    block = Residual(8)
    insert_block(net, "stage", block)
    assert (len(net.stage), net.stage[-1]) == (length, last)
    y = net.stem(x)
    for layer in net.stage:
        y = layer(y)
    assert torch.equal(net.head(y), net(x))
    clean = remove_blocks(copy.deepcopy(net))
    assert torch.equal(net(x), clean.head(block(clean.stage(clean.stem(x)))))


class Chain(nn.Module):
    """Calls whatever children it has, in turn."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        for index, part in enumerate(parts):
            self.add_module(f"part{index}", part)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = part(x)
        return x


class DenseChain(Chain):
    """Concatenates what its children return."""

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = torch.cat([x, part(x)], dim=1)
        return x


class ListChain(nn.ModuleList):
    """A list with a forward of its own, which gives every element all earlier outputs."""

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for part in self:
            outputs.append(part(torch.stack(outputs).sum(0)))
        return outputs[-1]


class Pooled(nn.Sequential):
    """A Sequential that does more than its children."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


def conv(a: int, b: int) -> nn.Module:
    return nn.Conv2d(a, b, 1)


@torch.no_grad()
@pytest.mark.parametrize(
    ("container", "channels"),
    [
        (Chain(conv(3, 4), conv(4, 4)), 4),
        (DenseChain(conv(3, 2), conv(5, 4)), 9),
        (ListChain([conv(3, 3), conv(3, 3)]), 3),
        (Pooled(conv(3, 4), conv(4, 6)), 6),
        (ListChain([conv(3, 3), nn.Sequential()]), 3),
        (Chain(DenseChain(conv(3, 2)), DenseChain(conv(5, 1))), 6),
    ],
    ids=["chain", "dense", "list", "sequential_with_forward", "empty_sequential", "nested"],
)
@pytest.mark.parametrize("inside", [True, False])
def test_containers_that_call_their_children_run_the_block_once(
    container: nn.Module, channels: int, inside: bool
) -> None:
    container = copy.deepcopy(container)
    before = facts(container)
    net = Chain(container) if inside else container
    x = torch.randn(2, 3, 5, 4)
    block = Residual(channels).eval()
    expected = block(container(x))
    insert_block(net, "part0" if inside else "", block, example=x)
    block.eval()
    assert torch.equal(net(x), expected)
    assert torch.equal(copy.deepcopy(net)(x), expected)
    remove_blocks(net)
    assert facts(container) == before


@torch.no_grad()
def test_blocks_at_one_place_run_in_the_order_of_insertion() -> None:
    net = small_net()
    clean = copy.deepcopy(net)
    x = torch.randn(2, 3, 8, 8)
    first, second, third = Residual(8), Residual(8), Residual(8)
    insert_block(net, "stage", first)
    insert_block(net, "stage.1.1", second)
    insert_block(net, "stage", third)
    assert inserted_blocks(net) == {"stage": first, "stage#2": third, "stage.1.1": second}
    expected = clean.head(third(second(first(clean.stage(clean.stem(x))))))
    assert torch.equal(net(x), expected)
    assert torch.equal(remove_blocks(net)(x), clean(x))


def test_a_name_that_is_taken_gets_an_underscore() -> None:
    net = Chain(conv(3, 4))
    net.part0.inserted = "a word of the caller's"
    insert_block(net, "part0", Residual(4))
    assert "part0.inserted_.0.bn.weight" in net.state_dict()
    assert remove_blocks(net).part0.inserted == "a word of the caller's"


def test_names_follow_when_the_network_becomes_a_part_of_another() -> None:
    block = Residual(8)
    net = nn.ModuleDict({"backbone": insert_block(small_net(), "stage", block)})
    assert inserted_blocks(net) == {"backbone.stage": block}
    assert inserted_blocks(remove_blocks(net)) == {}


class Records(nn.Module):
    """Everything a forward pass can leave behind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = conv(3, 4), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", torch.zeros(1), persistent=False)
        self.count, self.seen, self.table = 0, [], {}

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training, "an example runs in evaluation mode"
        self.calls += 1
        self.last = x.mean()
        self.count += 1
        self.seen.append(x)
        self.table["x"] = x
        torch.rand(1)
        return self.drop(self.bn(self.conv(x)))


@pytest.mark.parametrize("fails", [False, True])
def test_the_example_changes_nothing(fails: bool) -> None:
    net = Records().train()
    net.bn.eval()
    conv_hooks, last = net.conv._forward_hooks, net.last
    before = facts(net)
    if fails:
        with pytest.raises(ValueError, match="not reached"):
            insert_block(net, "extra", Residual(4), example=_with_extra(net))
        del net.extra
    else:
        insert_block(net, "bn", Residual(4), example=torch.randn(2, 3, 5, 5) + 9)
        assert [m.training for m in net.bn.modules()] == [False] * 5  # bn, holder, block and parts
        remove_blocks(net)
    assert facts(net) == before
    assert (net.count, net.seen, net.table, net.last is last) == (0, [], {}, True)
    assert net.conv._forward_hooks is conv_hooks


def _with_extra(net: nn.Module) -> Tensor:
    net.extra = conv(3, 4)  # never called
    return torch.randn(2, 3, 5, 5)


def test_the_random_state_is_left_alone() -> None:
    net, block = Records().train(), Residual(4)
    state = torch.get_rng_state()
    insert_block(net, "bn", block, example=torch.zeros(2, 3, 5, 5))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@torch.no_grad()
def test_the_block_takes_dtype_and_device_of_the_feature_map(dtype: torch.dtype) -> None:
    net = insert_block(small_net().to(dtype), "stage", Residual(8))
    assert {p.dtype for p in net.parameters()} == {dtype}
    assert net(torch.zeros(2, 3, 9, 9, dtype=dtype)).dtype == dtype
    meta = insert_block(small_net().to("meta"), "stage", Residual(8))
    assert {p.device.type for p in meta.parameters()} == {"meta"}


def test_a_block_inserted_under_autocast_keeps_full_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        net = insert_block(small_net(), "stage")
    assert {p.dtype for p in net.parameters()} == {torch.float32}


@torch.no_grad()
def test_a_compiled_network_notices_that_its_block_was_removed() -> None:
    net, x = insert_block(small_net(), "stage", zero_init=False), torch.randn(2, 3, 6, 5)
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="eager")
    with_block = compiled(x)
    remove_blocks(net)
    assert torch.equal(compiled(x), net(x))
    assert not torch.equal(net(x), with_block)


@torch.no_grad()
def test_channels_last_maps_stay_channels_last() -> None:
    net = small_net().to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    expected = net(x)
    insert_block(net, "stage", Residual(8, weight=0.0))
    assert torch.equal(net(x), expected)
    assert net(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("example", ["tensor", "tuple", "mapping"])
def test_an_example_is_a_tensor_or_the_arguments_of_the_model(example: str) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Linear(3, 4)

        def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
            return self.conv(x.movedim(1, -1)).movedim(-1, 1) * scale

    net = Scaled()
    x = torch.zeros(2, 3, 6, 5)
    forms = {"tensor": x, "tuple": (x, 2.0), "mapping": {"x": x, "scale": 2.0}}
    insert_block(net, "", Residual(4), example=forms[example])
    assert net(x).shape == (2, 4, 6, 5)
    with pytest.raises(ValueError, match=r"no convolution.*pass example="):
        insert_block(Scaled(), "conv", Residual(4))


def test_networks_of_one_fixed_size_are_found_by_their_configuration() -> None:
    net = timm.create_model("vit_tiny_patch16_224", depth=1)
    insert_block(net, "patch_embed.proj", Residual(192))
    assert list(inserted_blocks(net)) == ["patch_embed.proj"]


class Returns(nn.Module):
    """A network whose "odd" part returns what ``form`` makes of a feature map."""

    def __init__(self, form: Callable[[Tensor], Any], calls: int = 1) -> None:
        super().__init__()
        self.conv, self.odd, self.calls = conv(3, 4), Odd(form), calls

    def forward(self, x: Tensor) -> Any:
        y = self.conv(x)
        return [self.odd(y) for _ in range(self.calls)]


class Odd(nn.Module):
    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Any:
        return self.form(x)


@pytest.mark.parametrize(
    ("form", "calls", "message"),
    [
        (lambda y: (y, y), 1, "returns a tuple; a block needs one tensor"),
        (lambda y: None, 1, "returns a NoneType"),
        (lambda y: y.mean((2, 3)), 1, r"returns shape \(2, 4\)"),
        (lambda y: y[..., None, None], 1, r"returns shape \(2, 4, 64, 64, 1, 1\)"),
        (lambda y: y.long(), 1, "returns torch.int64"),
        (lambda y: y, 2, "called 2 times in one forward pass"),
        (lambda y: y, 0, "not reached"),
        (lambda y: y.movedim(1, -1), 1, "axis 1 .* does not hold channels"),
        (lambda y: y.flatten(2).mT, 1, "axis 1 .* does not hold channels"),
        (lambda y: y.movedim(1, -1)[:, :7, :7], 1, "channels seem to be its last axis"),
        (lambda y: y.flatten(2).mT[:, :9], 1, "channels seem to be its last axis"),
    ],
    ids=[
        *["tuple", "none", "rank2", "rank6", "integer", "called_twice", "never_called"],
        *["channels_last", "tokens", "channels_last_of_one_size", "tokens_of_one_size"],
    ],
)
def test_an_unsuitable_output_is_refused_before_anything_changes(
    form: Callable[[Tensor], Any], calls: int, message: str
) -> None:
    net, block = Returns(form, calls).train(), Residual(4).double()
    before = facts(net)
    with pytest.raises(ValueError, match=message):
        insert_block(net, "odd", block)
    assert facts(net) == before
    assert {p.dtype for p in block.parameters()} == {torch.float64}


def shared_part() -> nn.Module:
    relu = nn.ReLU()
    return nn.Sequential(conv(3, 4), relu, conv(4, 4), nn.Sequential(conv(4, 4), relu))


@pytest.mark.parametrize(
    ("build", "after", "message"),
    [
        (small_net, "stages", 'no submodule "stages". Near names: "stage"'),
        (small_net, "stage.7", '"stage" has "0", "1".'),
        (small_net, "zzz", 'no submodule "zzz". the model has "stem", "stage", "head".'),
        (shared_part, "1", '"1", "3.1" are one shared ReLU'),
        (shared_part, "3", '"1", "3.1" are one shared ReLU'),
        (lambda: nn.Sequential(conv(3, 4), nn.Sequential()), "1", "empty Sequential"),
        (lambda: Chain(nn.ModuleList([conv(3, 4)])), "part0", 'ModuleList.*"part0.0"'),
        (lambda: Chain(nn.ModuleDict({"a": conv(3, 4)})), "part0", 'ModuleDict.*"part0.a"'),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 1)), "0", "lazy layers"),
        (lambda: torch.compile(small_net(), backend="eager"), "stage", "Insert first, then comp"),
        (
            lambda: Chain(torch.compile(small_net(), backend="eager")),
            "part0._orig_mod.stage",
            "comp",
        ),
    ],
)
def test_an_unsuitable_place_is_refused(
    build: Callable[[], nn.Module], after: str, message: str
) -> None:
    net = build()
    hooks = [len(module._forward_hooks) for module in net.modules()]
    with pytest.raises(ValueError, match=message):
        insert_block(net, after, Residual(4))
    assert [len(module._forward_hooks) for module in net.modules()] == hooks


def test_a_module_compiled_in_place_is_refused() -> None:
    net = small_net()
    net.compile(backend="eager")
    with pytest.raises(ValueError, match="the model is compiled"):
        insert_block(net, "stage", Residual(8))


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning"
)
def test_torchscript_is_refused() -> None:
    with pytest.raises(ValueError, match="TorchScript, which runs no hooks"):
        insert_block(torch.jit.script(small_net()), "stage", Residual(8))


def test_a_network_in_distributed_data_parallel_is_refused() -> None:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(small_net())
        with pytest.raises(ValueError, match="Insert first, then wrap"):
            insert_block(wrapped, "module.stage", Residual(8))
    finally:
        torch.distributed.destroy_process_group()


def test_the_replicas_of_data_parallel_run_their_own_blocks() -> None:
    net = insert_block(small_net(), "stem", Residual(6))
    replica = net.stem._replicate_for_data_parallel()  # a shallow copy, then given its own children
    replica.inserted = copy.deepcopy(net.stem.inserted)
    nn.init.constant_(replica.inserted[0].bn.weight, 3.0)
    x = torch.randn(2, 3, 4, 4)
    clean = remove_blocks(copy.deepcopy(net)).stem
    replica.weight, replica.bias = net.stem.weight, net.stem.bias
    assert torch.equal(replica(x), replica.inserted[0](clean(x)))
    assert not torch.equal(replica(x), net.stem(x))


def test_an_example_that_does_not_suit_is_named_with_its_cause() -> None:
    with pytest.raises(
        ValueError, match=r'on the example before it reached "stage.1.1": Run'
    ) as info:
        insert_block(small_net(), "stage", Residual(8), example=torch.zeros(2, 4, 8, 8))
    assert isinstance(info.value.__cause__, RuntimeError)
    with pytest.raises(ValueError, match="inputs made up from its first convolution; pass exam"):
        insert_block(nn.Sequential(nn.Linear(2, 2), conv(3, 4)), "1", Residual(4))


@torch.no_grad()
def test_a_head_that_wants_another_size_does_no_harm() -> None:
    net = nn.Sequential(conv(3, 4), nn.Flatten(), nn.Linear(4 * 7 * 7, 2))
    expected = net(torch.ones(1, 3, 7, 7))
    insert_block(net, "0", Residual(4, weight=0.0))
    assert torch.equal(net(torch.ones(1, 3, 7, 7)), expected)


def test_a_ready_block_must_fit() -> None:
    net = small_net()
    before = facts(net)
    block = Residual(8)
    for wrong, message in (
        (Residual(7), r"fails on a feature map of shape \(2, 8, 62, 62\)"),
        (conv(8, 9), r"turned \(2, 8, 62, 62\) into \(2, 9, 62, 62\)"),
        (Odd(lambda x: (x,)), "into tuple"),
        (nn.LazyConv2d(8, 1), "the block has lazy layers"),
        (net, "part of the model already"),
        (nn.Sequential(net.stem), "part of the model already"),
    ):
        with pytest.raises(ValueError, match=message):
            insert_block(net, "stage", wrong)
    with pytest.raises(ValueError, match='ready Residual, so "heads", "K" would be ignored'):
        insert_block(net, "stage", block, heads=2, K=3)
    assert facts(net) == before
    insert_block(net, "stage", block)
    with pytest.raises(ValueError, match="part of the model already"):
        insert_block(net, "stem", block)


def test_arguments_of_the_wrong_type_are_refused() -> None:
    for arguments in (
        (torch.zeros(1), "a", "snl"),
        (small_net(), 3, "snl"),
        (small_net(), "stem", 3),
    ):
        with pytest.raises(TypeError):
            insert_block(*arguments)


def test_a_hook_added_after_unpickling_does_not_replace_the_block(monkeypatch) -> None:
    net = insert_block(small_net(), "stem", Residual(6))
    frozen = pickle.dumps(net)
    # A new process counts its hooks from zero again.
    monkeypatch.setattr(RemovableHandle, "next_id", min(net.stem._forward_hooks))
    again = pickle.loads(frozen)
    again.stem.register_forward_hook(lambda module, args, output: None)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(again(x), net(x))
    assert len(again.stem._forward_hooks) == 2


@torch.no_grad()
def test_hooks_of_the_caller_see_the_block_if_they_come_after_it() -> None:
    net, seen = small_net(), []
    remember = lambda module, args, output: seen.append(output)  # noqa: E731
    net.stem.register_forward_hook(remember)
    block = Residual(6)
    insert_block(net, "stem", block, example=(x := torch.randn(2, 3, 8, 8)))
    net.stem.register_forward_hook(remember)
    seen.clear()
    net(x)
    assert torch.equal(seen[1], block(seen[0]))
    remove_blocks(net)
    assert len(net.stem._forward_hooks) == 2


@torch.no_grad()
def test_feature_extractors_see_the_output_of_the_block() -> None:
    net = torchvision.models.resnet18().eval()
    x = torch.randn(1, 3, 64, 64)
    block = Residual(256)
    plain = IntermediateLayerGetter(net, {"layer3": "map"})(x)["map"]
    insert_block(net, "layer3", block)
    expected = block(plain)
    assert torch.equal(IntermediateLayerGetter(net, {"layer3": "map"})(x)["map"], expected)
    traced = create_feature_extractor(net, {"layer3": "map"})
    assert torch.equal(traced(x)["map"], expected)


@torch.no_grad()
def test_a_traced_feature_extractor_takes_named_blocks_as_leaves() -> None:
    net = insert_block(torchvision.models.resnet18().eval(), "layer3", zero_init=False)
    x = torch.randn(1, 3, 64, 64)
    expected = IntermediateLayerGetter(net, {"layer3": "map"})(x)["map"]
    leaves = {"leaf_modules": [NonlocalBlock]}
    traced = create_feature_extractor(net, {"layer3": "map"}, tracer_kwargs=leaves)
    assert torch.equal(traced(x)["map"], expected)


@torch.no_grad()
def test_a_timm_feature_extractor_sees_the_output_of_the_block() -> None:
    net = timm.create_model("resnet18", features_only=True).eval()
    x = torch.randn(1, 3, 64, 64)
    plain, block = net(x), Residual(256)
    insert_block(net, "layer3", block)
    assert torch.equal(net(x)[3], block(plain[3]))
    assert torch.equal(net(x)[2], plain[2])
