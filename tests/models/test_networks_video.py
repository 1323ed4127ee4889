"""Parameter counts that others published, and the equations of the video networks."""

import math

import pytest
import torch
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock

from models.clips import FrameResNet
from models.mars import MarsDistillation
from models.networks import POSITIONS, VIDEO_NETWORKS, build_network
from models.p3d import P3D, PseudoBottleneck
from models.reid import ResNet50TemporalPooling
from models.resnet import resnet
from models.resnet3d import Bottleneck3d, ResNet3d, inflated
from models.vtn import FrameAttention, FrameBlock, VideoTransformer, sinusoids
from snl_graph import insert_block, inserted_blocks


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(name, **options):
    with torch.device("meta"):
        return build_network(name, **options)


@pytest.mark.parametrize(
    ("name", "classes", "millions", "digits"),
    [
        # "Model size: 47.47960M" in log/log_train.txt of the code of Gao & Nevatia, which trains
        # Hara's 3-D ResNet-50 on the 625 identities of MARS.
        ("resnet3d50", 625, 47.47960, 5),
        # Köpüklü et al., Resource Efficient 3D Convolutional Neural Networks, 2019.
        ("resnext3d101", 400, 48.34, 2),
        # torchvision's ResNet-50 with a classifier of 625 in place of 1000.
        ("resnet50tp", 625, (25_557_032 - 375 * 2049) / 1e6, 6),
    ],
)
def test_the_network_has_the_published_parameters(name, classes, millions, digits):
    parameters = count(on_meta(name, num_classes=classes))
    assert round(parameters / 1e6, digits) == round(millions, digits)


def test_p3d_adds_a_temporal_convolution_to_47_blocks_of_the_published_resnet152():
    """Qiu et al.: 152 + 47 = 199 layers."""
    network = on_meta("p3d199", num_classes=1000)
    added = sum(3 * w * w + 2 * w for w, n in ((64, 3), (128, 8), (256, 36)) for _ in range(n))
    published_resnet152 = 60_192_808  # torchvision
    assert count(network) == published_resnet152 + added
    weighted = [
        name
        for name, module in network.named_modules()
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear))
        and "downsample" not in name
    ]
    assert len(weighted) == 199


def test_vtn_has_the_published_parameters():
    """action-recognition-0001 of the Open Model Zoo: 21.276 M encoder, 4.405 M decoder.

    Its encoder has each BN folded into a bias. Its decoder counts layers with a bias: the
    feed-forward networks and the classifier, not the matrices of query, key and value.
    """
    network = on_meta("vtn", num_classes=400)
    encoder = {n: p for n, p in network.named_parameters() if not n.startswith(("decoder", "fc"))}
    norms = sum(p.numel() for n, p in encoder.items() if p.dim() == 1)
    assert (sum(p.numel() for p in encoder.values()) - norms // 2) // 1000 == 21_276
    feed_forward = sum(count(layer.feed_forward) for layer in network.decoder)
    assert (feed_forward + count(network.fc)) // 1000 == 4_405
    with_snl = on_meta("vtn_snl", num_classes=400)
    assert count(with_snl) - count(network) == 4 * 2 * 512 * 512  # W_0 and W_1 of Eq. 13


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet3d50", 1024), ("resnext3d101", 512), ("p3d199", 512), ("resnet50tp", 1024)],
)
def test_the_papers_position_is_before_the_last_block_of_its_stage(name, channels):
    (place,) = POSITIONS[name]
    stage, index = place.split(".")
    network = on_meta(name)
    blocks = network.get_submodule(stage)
    assert int(index) == len(blocks) - 2
    last_norm = [m for m in blocks[int(index)].modules() if hasattr(m, "num_features")][-1]
    assert last_norm.num_features == channels


SMALL = {
    "resnet3d": lambda: ResNet3d([1, 2, 1, 1], num_classes=5),
    "resnext3d": lambda: ResNet3d([1, 2, 1, 1], width=2, groups=32, num_classes=5),
    "p3d": lambda: P3D([1, 2, 1, 1], num_classes=5),
    "vtn": lambda: VideoTransformer("attention", layers=1, num_classes=5),
    "vtn_snl": lambda: VideoTransformer("snl", layers=1, num_classes=5),
    "reid": lambda: ResNet50TemporalPooling(num_classes=5),
}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_video_networks_take_a_block_and_a_step(name):
    torch.manual_seed(0)
    network = SMALL[name]()
    clips = torch.randn(2, 3, 16, 32, 24)
    insert_block(network, after="layer2.0", block="snl", example=clips)
    assert list(inserted_blocks(network)) == ["layer2.0"]
    scores = network.train()(clips)
    assert scores.shape == (2, 5)
    F.cross_entropy(scores, torch.tensor([1, 3])).backward()
    without = [
        n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert without == []


@pytest.mark.parametrize("name", VIDEO_NETWORKS)
def test_a_clip_of_another_form_is_refused(name):
    network = on_meta(name)
    with pytest.raises(ValueError, match=r"clips have shape \(B, 3, T, H, W\); got \(2, 3, 8, 8\)"):
        network(torch.zeros(2, 3, 8, 8, device="meta"))
    with pytest.raises(ValueError, match=r"got \(2, 2, 16, 8, 8\)"):
        network(torch.zeros(2, 2, 16, 8, 8, device="meta"))


def test_p3d_refuses_a_clip_that_is_over_before_its_last_stage():
    with pytest.raises(ValueError, match="at least 16 frames; got 8"):
        on_meta("p3d199")(torch.zeros(1, 3, 8, 32, 32, device="meta"))
    with pytest.raises(ValueError, match="four numbers"):
        P3D([1, 1, 1])


def normalised(x):
    return x / (1 + 1e-5) ** 0.5  # BN in evaluation mode with its first statistics


def test_bottleneck_3d_is_its_equation():
    torch.manual_seed(0)
    block = Bottleneck3d(4, 6, 8, stride=2, groups=3).double().eval()
    x = torch.randn(2, 4, 3, 5, 4, dtype=torch.float64)
    h = normalised(torch.einsum("oi,bithw->bothw", block.conv1.weight[..., 0, 0, 0], x)).relu()
    parts = [
        F.conv3d(part, weight, stride=2, padding=1)
        for part, weight in zip(h.split(2, 1), block.conv2.weight.split(2), strict=True)
    ]
    h = normalised(torch.cat(parts, 1)).relu()
    h = normalised(torch.einsum("oi,bithw->bothw", block.conv3.weight[..., 0, 0, 0], h))
    kept = x[..., ::2, ::2, ::2]
    shortcut = torch.einsum("oi,bithw->bothw", block.downsample[0].weight[..., 0, 0, 0], kept)
    torch.testing.assert_close(block(x), (normalised(shortcut) + h).relu(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_pseudo_3d_blocks_take_turns_in_their_arrangement(number):
    torch.manual_seed(0)
    block = PseudoBottleneck(8, 2, 1, number).double().eval()
    x = torch.randn(1, 8, 4, 3, 5, dtype=torch.float64)
    h = normalised(F.conv3d(x, block.conv1.weight)).relu()

    def s(z):
        return normalised(F.conv3d(z, block.conv2.weight, padding=(0, 1, 1))).relu()

    def t(z):
        return normalised(F.conv3d(z, block.conv3.weight, padding=(1, 0, 0))).relu()

    h = [t(s(h)), s(h) + t(h), s(h) + t(s(h))][number % 3]
    expected = (x + normalised(F.conv3d(h, block.conv4.weight))).relu()
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-10)


def test_inflated_kernels_find_in_a_clip_of_equal_frames_what_the_image_network_finds():
    torch.manual_seed(0)
    flat = resnet("resnet50", num_classes=400)
    clip_network = ResNet3d([3, 4, 6, 3])
    weights = inflated(flat.state_dict(), clip_network)
    assert weights.keys() == clip_network.state_dict().keys()
    clip_network.load_state_dict(weights)
    image = torch.randn(1, 3, 16, 12)
    clip = image.unsqueeze(2).expand(-1, -1, 9, -1, -1)
    for name in ("conv1", "layer1.0.conv1", "layer1.0.conv2"):
        flat_layer, layer = flat.get_submodule(name), clip_network.get_submodule(name)
        shape = (1, flat_layer.in_channels, *image.shape[2:])
        image = torch.randn(shape)
        clip = image.unsqueeze(2).expand(-1, -1, 9, -1, -1)
        torch.testing.assert_close(layer(clip)[:, :, 4], flat_layer(image), rtol=1e-4, atol=1e-5)


def test_frame_networks_see_every_frame_by_itself():
    torch.manual_seed(0)
    network = FrameResNet(BasicBlock, (1, 1, 1, 1))
    network = network.double().eval()
    clips = torch.randn(2, 3, 4, 32, 24, dtype=torch.float64)
    found = network.frame_features(clips)
    network.fc = torch.nn.Identity()
    for item in range(2):
        for frame in range(4):
            expected = network(clips[item : item + 1, :, frame])[0]
            torch.testing.assert_close(found[item, frame], expected, rtol=1e-8, atol=1e-10)


def test_temporal_pooling_does_not_know_the_order_of_frames_and_the_transformer_does():
    torch.manual_seed(0)
    clips = torch.randn(1, 3, 4, 32, 32)
    turned = clips.flip(2)
    with torch.no_grad():
        reid, vtn = SMALL["reid"]().eval(), SMALL["vtn"]().eval()
        torch.testing.assert_close(reid(clips), reid(turned), rtol=1e-4, atol=1e-5)
        assert (vtn(clips) - vtn(turned)).abs().max() > 1e-4


def test_frame_attention_is_its_formula_head_by_head():
    torch.manual_seed(0)
    attention = FrameAttention(12, 3, dropout=0.5).double().eval()
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    expected = x.clone()
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        q, k, v = (x @ w.weight[part].T for w in (attention.query, attention.key, attention.value))
        weight = torch.softmax(q @ k.mT / math.sqrt(12), dim=-1)
        expected[..., part] += weight @ v
    torch.testing.assert_close(attention(x), expected, rtol=1e-10, atol=1e-10)


def test_a_block_over_frames_is_equation_13_of_every_head():
    torch.manual_seed(0)
    mixer = FrameBlock("snl", 12, 3).double()
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    block, unit = mixer.block, mixer.block.units[0]
    phi, psi = ((x @ w.weight.T).relu() for w in (block.affinity.phi, block.affinity.psi))
    z = x @ unit.g.weight.T
    az = torch.empty_like(z)
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        m = phi[..., part] @ psi[..., part].mT
        m = (m + m.mT) / 2
        root = m.sum(-1).rsqrt()
        az[..., part] = root.unsqueeze(-1) * m * root.unsqueeze(-2) @ z[..., part]
    expected = x + z @ unit.w["0"].weight.T + az @ unit.w["1"].weight.T
    torch.testing.assert_close(mixer(x), expected, rtol=1e-10, atol=1e-10)


def test_positions_are_the_published_sinusoids():
    found = sinusoids(7, 6, torch.zeros(1, dtype=torch.float64))
    for t in range(7):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            assert found[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_an_unknown_mixer_lists_the_choices():
    with pytest.raises(ValueError, match=r'unknown mixer of frames "atention".*"snl"'):
        VideoTransformer("atention")


def mars(weight=50.0):
    torch.manual_seed(0)
    student = ResNet3d([1, 1, 1, 1], num_classes=5)
    teacher = ResNet3d([1, 1, 1, 1], in_channels=2, num_classes=5)
    return MarsDistillation(student, teacher, weight=weight)


def test_mars_loss_is_cross_entropy_and_weighted_feature_error():
    distillation = mars(weight=3.0).double().eval()
    rgb, flow = (torch.randn(2, c, 4, 16, 16, dtype=torch.float64) for c in (3, 2))
    classes = torch.tensor([1, 4])
    found = distillation(rgb, flow, classes)
    seen = distillation.student.features(rgb)
    wanted = distillation.teacher.features(flow)
    scores = seen @ distillation.student.fc.weight.T + distillation.student.fc.bias
    error = ((seen - wanted) ** 2).sum() / seen.numel()
    entropy = -(scores.log_softmax(-1)[torch.arange(2), classes]).mean()
    torch.testing.assert_close(found.total, entropy + 3 * error, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.scores, scores, rtol=1e-10, atol=1e-12)


def test_the_teacher_of_mars_never_changes():
    distillation = mars().train()
    before = {k: v.clone() for k, v in distillation.teacher.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in distillation.parameters() if p.requires_grad], lr=0.1)
    distillation(torch.randn(2, 3, 4, 16, 16), torch.randn(2, 2, 4, 16, 16), torch.tensor([0, 1]))
    loss = distillation(
        torch.randn(2, 3, 4, 16, 16), torch.randn(2, 2, 4, 16, 16), torch.tensor([0, 1])
    )
    loss.total.backward()
    optimizer.step()
    for key, value in distillation.teacher.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert distillation.student.training
    assert distillation.student.conv1.weight.grad.abs().max() > 0


def test_mars_refuses_networks_that_do_not_go_together():
    student = ResNet3d([1, 1, 1, 1])
    with pytest.raises(TypeError, match="the teacher, a Linear"):
        MarsDistillation(student, torch.nn.Linear(2, 2))
    narrow = ResNet3d([1, 1, 1, 1])
    narrow.fc = torch.nn.Linear(3, 4)
    with pytest.raises(ValueError, match="one width; got 2048 and 3"):
        MarsDistillation(student, narrow)
    with pytest.raises(ValueError, match="at least 0; got -1"):
        MarsDistillation(student, ResNet3d([1, 1, 1, 1]), weight=-1)
