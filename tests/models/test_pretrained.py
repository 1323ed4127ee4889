import pickle

import pytest
import torch
from safetensors.torch import save_file

from models import pretrained
from models.checkpoints import CheckpointError
from models.pretrained import load_pretrained
from models.resnet import resnet
from models.resnet3d import ResNet3d
from models.vtn import VideoTransformer
from snl_graph import insert_block


def network(seed, classes=5):
    torch.manual_seed(seed)
    return resnet("resnet18", num_classes=classes)


@pytest.mark.parametrize("form", ["plain.pth", "wrapped.pth.tar", "file.safetensors"])
def test_a_file_is_loaded_and_reported(tmp_path, form):
    trained, fresh = network(0), network(1, classes=7)
    insert_block(fresh, after="layer3.0", block="snl", example=torch.zeros(1, 3, 32, 32))
    state, path = trained.state_dict(), tmp_path / form
    if form.startswith("wrapped"):  # as the authors of the 3-D networks save theirs
        torch.save({"epoch": 9, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    elif form.endswith("safetensors"):
        save_file(state, path)
    else:
        torch.save(state, path)
    matched = load_pretrained(fresh, str(path))
    assert matched.loaded == state.keys() - {"fc.weight", "fc.bias"}
    assert set(matched.other_shape) == {"fc.weight", "fc.bias"}
    assert all(name.startswith("layer3.0.inserted.0.") for name in matched.absent)
    assert matched.absent
    assert matched.unused == ()
    assert "2 of another shape" in str(matched)
    for name in matched.loaded:
        assert torch.equal(fresh.state_dict()[name], state[name]), name


def test_weights_of_images_go_into_the_twin_for_clips_inflated(tmp_path):
    trained = resnet("resnet50")
    torch.save(trained.state_dict(), tmp_path / "image.pth")
    clips = ResNet3d([3, 4, 6, 3], num_classes=101)
    matched = load_pretrained(clips, str(tmp_path / "image.pth"))
    assert set(matched.other_shape) == {"fc.weight", "fc.bias"}
    assert (matched.absent, matched.unused) == ((), ())
    for name, time in (("conv1", 7), ("layer2.0.conv2", 3), ("layer4.2.conv3", 1)):
        found = clips.get_submodule(name).weight
        torch.testing.assert_close(found.sum(2), trained.get_submodule(name).weight)
        assert torch.equal(found[:, :, 0], found[:, :, time - 1])


def test_frame_encoders_take_image_weights_as_they_are(tmp_path):
    trained = resnet("resnet34")
    torch.save(trained.state_dict(), tmp_path / "image.pth")
    vtn = VideoTransformer(num_classes=101)
    matched = load_pretrained(vtn, str(tmp_path / "image.pth"))
    assert matched.loaded == trained.state_dict().keys() - {"fc.weight", "fc.bias"}
    assert all(name.startswith("decoder.") for name in matched.absent)


def test_torchvisions_names_read_the_file_that_was_fetched_before(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(CheckpointError, match=r"not on this machine: .*resnet18-f37072fd\.pth"):
        load_pretrained(network(1), "resnet18")
    (tmp_path / "checkpoints").mkdir()
    trained = network(0, classes=1000)
    torch.save(trained.state_dict(), tmp_path / "checkpoints" / "resnet18-f37072fd.pth")
    for name in ("resnet18", "ResNet18_Weights.IMAGENET1K_V1"):
        fresh = network(1)
        assert len(load_pretrained(fresh, name).loaded) == len(trained.state_dict()) - 2
        assert torch.equal(fresh.conv1.weight, trained.conv1.weight)


def test_a_download_is_asked_for_by_its_address_and_hash(monkeypatch, tmp_path):
    asked = {}

    def fetched(url, **options):
        asked.update(options, url=url)
        return network(0, classes=1000).state_dict()

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(pretrained.torch.hub, "load_state_dict_from_url", fetched)
    load_pretrained(network(1), "resnet18", download=True)
    assert asked["url"].endswith("resnet18-f37072fd.pth")
    assert asked["check_hash"] is True
    assert asked["weights_only"] is True


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def test_a_file_never_runs_code_and_leaves_the_network_as_it_was(tmp_path):
    fresh = network(1)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    (tmp_path / "harmful.pth").write_bytes(pickle.dumps({"state_dict": Harmful()}, protocol=2))
    torch.save({"other": torch.zeros(3)}, tmp_path / "other.pth")
    for name, words in (
        ("harmful.pth", "cannot be read as weights"),
        ("other.pth", "nothing in .*other.pth fits"),
        ("absent.pth", "no weights at"),
    ):
        with pytest.raises(CheckpointError, match=words):
            load_pretrained(fresh, str(tmp_path / name))
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("name", ["resnet51", "ResNet50_Weights.IMAGENET1K_V9", "No.Such"])
def test_an_unknown_name_says_what_is_wanted(name):
    with pytest.raises(CheckpointError, match="neither a file nor weights of torchvision"):
        load_pretrained(network(0), name)
