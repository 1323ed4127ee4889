"""The far pair is what it says: balanced, disjoint, and out of a CNN's reach."""

import math

import pytest
import torch

from models.data import ImageDataModule, digits
from models.data.far_pair import WIDTH, FarPairs, canvas
from models.networks import build_network
from snl_graph import insert_block

SIDE = 8


def identity(image):
    return image


def network(block=None):
    model = build_network("preresnet8", in_channels=1, num_classes=2).double()
    if block is not None:
        insert_block(model, after="layer3.0", block=block, zero_init=False)
    for module in model.modules():  # statistics as after training, not those of a new network
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


def columns_that_touch(model, image):
    """For each unit of the last map, the columns of the image that it depends on."""
    image = image.clone().requires_grad_()
    last = model.features(image)
    for row in range(last.shape[-2]):
        for column in range(last.shape[-1]):
            (grad,) = torch.autograd.grad(last[..., row, column].sum(), image, retain_graph=True)
            yield grad.abs().sum((0, 1, 2)).nonzero().flatten()


def test_no_unit_of_the_network_sees_both_digits():
    model = network()
    widest = 0
    for touched in columns_that_touch(model, torch.randn(4, 1, SIDE, WIDTH, dtype=torch.float64)):
        assert not ((touched < SIDE).any() and (touched >= WIDTH - SIDE).any())
        widest = max(widest, int(touched.max() - touched.min()) + 1)
    # Stem 3, then two 3×3 convolutions a stage at steps of 1, 2 and 4 pixels; stage 2 and 3 begin
    # with a convolution at the step before: 3 + 2·2 + 2 + 4 + 4 + 8 = 25.
    assert widest == 25
    assert widest < WIDTH - 2 * SIDE + 2


@pytest.mark.parametrize("block", ["nl", "snl"])
def test_with_a_block_units_see_both_digits(block):
    model = network(block)
    image = torch.randn(4, 1, SIDE, WIDTH, dtype=torch.float64)
    assert any(
        (touched < SIDE).any() and (touched >= WIDTH - SIDE).any()
        for touched in columns_that_touch(model, image)
    )


def interaction(model):
    """Scores of (a, b) + (c, d) − (a, d) − (c, b): zero for a sum of functions of one digit."""
    a, b, c, d = torch.randn(4, 1, 1, SIDE, SIDE, dtype=torch.float64)
    with torch.no_grad():
        return model(canvas(a, b)) + model(canvas(c, d)) - model(canvas(a, d)) - model(canvas(c, b))


def test_without_a_block_the_score_is_a_sum_over_the_digits():
    """So that no training can beat chance's cross-entropy on balanced pairs."""
    assert interaction(network()).abs().max() < 1e-12


@pytest.mark.parametrize("block", ["nl", "snl"])
def test_with_a_block_the_digits_interact(block):
    assert interaction(network(block)).abs().max() > 1e-6


def test_chance_is_the_best_sum_of_functions_of_one_digit():
    """Logistic regression on one-hot classes of both digits ends at log 2."""
    count = 20_000
    pairs = FarPairs(*digits.arrays(train=True), count, identity, seed=3)
    drawn = [pairs.draw(index) for index in range(count)]
    left, right, same = (torch.tensor(column) for column in zip(*drawn, strict=True))
    features = torch.cat(
        [torch.eye(10)[pairs.classes[left]], torch.eye(10)[pairs.classes[right]]], dim=1
    ).double()
    weights = torch.zeros(20, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=50)

    def loss():
        optimizer.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            features @ weights, same.double()
        )
        value.backward()
        return value

    optimizer.step(loss)
    assert float(loss().detach()) > math.log(2) - 0.002  # what 20 parameters fit of the noise


def test_pairs_are_balanced_and_say_the_truth():
    pairs = FarPairs(*digits.arrays(train=False), 6000, identity, seed=0)
    drawn = [pairs.draw(index) for index in range(len(pairs))]
    for left, right, same in drawn:
        assert left != right
        assert (pairs.classes[left] == pairs.classes[right]) == bool(same)
    assert sum(same for _, _, same in drawn) == 3000
    steps = torch.bincount(
        torch.tensor(
            [int(pairs.classes[right] - pairs.classes[left]) % 10 for left, right, _ in drawn]
        ),
        minlength=10,
    )
    assert steps[0] == 3000
    assert (steps[1:] - 3000 / 9).abs().max() < 5 * math.sqrt(3000 / 9)  # every other class
    for kind in (0, 1):  # each class as frequent on either side, whether the pair is same or not
        for side in (0, 1):
            classes = pairs.classes[[pair[side] for pair in drawn if pair[2] == kind]]
            counts = torch.bincount(classes, minlength=10)
            assert (counts - 300).abs().max() < 5 * math.sqrt(300)


def test_training_and_test_digits_are_disjoint():
    train, test = (digits.arrays(train)[0].flatten(1) for train in (True, False))
    assert len(train) + len(test) == 1797
    from sklearn.datasets import load_digits

    everything = torch.tensor(load_digits().data / 16, dtype=torch.float32)
    together = torch.cat([train, test])
    # The same 1,797 images, each once: sorted as rows they agree.
    order = sorted(together.tolist()), sorted(everything.tolist())
    assert order[0] == order[1]


def test_test_pairs_are_fixed_and_training_pairs_are_new_in_each_pass():
    data = ImageDataModule("far_pair")
    data.setup()
    assert torch.equal(data.test_part[7][0], data.test_part[7][0])
    torch.manual_seed(0)
    assert not torch.equal(data.train_part[7][0], data.train_part[7][0])


def test_the_canvas_holds_both_digits_and_nothing_else():
    left, right = torch.rand(2, 1, SIDE, SIDE)
    image = canvas(left, right)
    assert torch.equal(image[..., :SIDE], left)
    assert torch.equal(image[..., -SIDE:], right)
    assert image[..., SIDE:-SIDE].abs().sum() == 0
