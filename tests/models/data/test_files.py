"""Data files as they should be, and one clear error for each way they can be wrong."""

import gzip
import hashlib
import pickle
import shutil
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100, FashionMNIST

from models.data import DATASETS, DataFileError, ImageDataModule, cifar, fashion_mnist

RNG = np.random.default_rng(0)
COUNT = 12


def keep(image):
    return image


def idx(array):
    header = bytes([0, 0, 8, array.ndim])
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return header + lengths + array.astype(np.uint8).tobytes()


@pytest.fixture
def fashion(tmp_path):
    """A small Fashion-MNIST in torchvision's layout, and its arrays."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    arrays = {}
    for part in ("train", "t10k"):
        images = RNG.integers(0, 256, (COUNT, 28, 28))
        labels = np.arange(COUNT) % 10
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
        arrays[part] = images, labels
    return tmp_path, raw, arrays


@pytest.fixture(params=[CIFAR10, CIFAR100], ids=["cifar10", "cifar100"])
def cifar_files(request, tmp_path, monkeypatch):
    """A small CIFAR; its checksums stand in for the published ones."""
    reader = request.param
    folder = tmp_path / reader.base_folder
    folder.mkdir()
    label = "fine_labels" if reader is CIFAR100 else "labels"
    pixels = {}

    def write(name, content):
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    def batch(name):
        pixels[name] = RNG.integers(0, 256, (COUNT, 3, 32, 32), dtype=np.uint8)
        flat = pixels[name].reshape(COUNT, -1)
        return write(name, {"data": flat, label: [i % 10 for i in range(COUNT)]})

    for attribute in ("train_list", "test_list"):
        names = [name for name, _ in getattr(reader, attribute)]
        monkeypatch.setattr(reader, attribute, [batch(name) for name in names])
    name, md5 = write(reader.meta["filename"], {reader.meta["key"]: [str(i) for i in range(100)]})
    monkeypatch.setattr(reader, "meta", {**reader.meta, "filename": name, "md5": md5})
    return reader, tmp_path, folder, pixels


def test_fashion_mnist_gives_the_pixels_of_the_files(fashion):
    root, _, arrays = fashion
    for train, part in ((True, "train"), (False, "t10k")):
        data = fashion_mnist.read(root, train, keep, False)
        images, labels = arrays[part]
        assert len(data) == COUNT
        image, label = data[5]
        np.testing.assert_array_equal(np.asarray(image), images[5])
        assert label == labels[5]


def test_cifar_gives_the_pixels_of_the_files(cifar_files):
    reader, root, _, pixels = cifar_files
    data = cifar._read(reader, root, False, keep, False)
    (name, _), *_ = reader.test_list
    np.testing.assert_array_equal(np.asarray(data[3][0]), pixels[name][3].transpose(1, 2, 0))
    assert data[3][1] == 3


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10", "cifar100"])
def test_a_missing_folder_names_folder_files_and_remedy(name, tmp_path):
    data = ImageDataModule(name, tmp_path / "nowhere")
    with pytest.raises(DataFileError, match=r"nowhere.*does not exist.*--data ROOT.*--download"):
        data.setup()
    assert not (tmp_path / "nowhere").exists()


def test_a_gzipped_file_is_told_to_be_unpacked(fashion):
    root, raw, _ = fashion
    path = raw / "train-images-idx3-ubyte"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    with pytest.raises(DataFileError, match=r"train-images-idx3-ubyte\.gz is gzipped.*gunzip"):
        fashion_mnist.check(root, True)


def test_gzipped_content_under_the_plain_name_is_recognised(fashion):
    root, raw, _ = fashion
    path = raw / "train-labels-idx1-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataFileError, match=r"train-labels-idx1-ubyte is gzipped.*gunzip"):
        fashion_mnist.check(root, True)


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        (
            "t10k-images-idx3-ubyte",
            lambda data: data[:-100],
            r"truncated: 9,324 bytes, expected 9,4",
        ),
        ("t10k-images-idx3-ubyte", lambda data: data + b"x", "too long"),
        ("t10k-images-idx3-ubyte", lambda data: b"", "starts with nothing, expected 00 00 08 03"),
        ("t10k-images-idx3-ubyte", lambda data: data[:9], "no IDX file"),
        (
            "t10k-images-idx3-ubyte",
            lambda data: b"PK\x03\x04" + data[4:],
            "starts with 50 4b 03 04",
        ),
        ("t10k-labels-idx1-ubyte", lambda data: data[:-1] + b"\x0b", "label 11, expected 0 to 9"),
        ("t10k-labels-idx1-ubyte", lambda data: idx(np.zeros(3)), "12 images but .* 3 labels"),
        ("t10k-images-idx3-ubyte", lambda data: idx(np.zeros((12, 8, 8))), "8×8, expected 28×28"),
    ],
)
def test_a_spoilt_fashion_mnist_file_is_named(fashion, file, spoil, words):
    root, raw, _ = fashion
    fashion_mnist.check(root, False)
    (raw / file).write_bytes(spoil((raw / file).read_bytes()))
    with pytest.raises(DataFileError, match=words) as caught:
        fashion_mnist.read(root, False, keep, False)
    assert str(raw / file) in str(caught.value)
    assert "--download" in str(caught.value)


def test_a_truncated_cifar_file_is_named(cifar_files):
    reader, root, folder, _ = cifar_files
    path = folder / reader.train_list[0][0]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataFileError, match=r"corrupt or truncated: 1,000 bytes.*Delete it") as e:
        cifar._read(reader, root, True, keep, False)
    assert str(path) in str(e.value)


def test_a_missing_cifar_file_is_named(cifar_files):
    reader, root, folder, _ = cifar_files
    path = folder / reader.meta["filename"]
    path.unlink()
    with pytest.raises(DataFileError, match=f"lacks {path}"):
        cifar.check(reader, root)


@pytest.mark.parametrize("download", [False, True])
def test_data_are_fetched_only_when_asked(fashion, download, monkeypatch, tmp_path):
    _, raw, _ = fashion
    fetched = []

    def fetch(self):
        fetched.append(self.root)
        shutil.copytree(raw, tmp_path / "new" / "FashionMNIST" / "raw", dirs_exist_ok=True)

    monkeypatch.setattr(FashionMNIST, "download", fetch)
    data = ImageDataModule("fashion_mnist", tmp_path / "new", download=download)
    data.prepare_data()
    if download:
        data.setup()
        assert len(data.train_part) == COUNT
    else:
        with pytest.raises(DataFileError):
            data.setup()
    assert bool(fetched) == download


@pytest.mark.parametrize("reader", [FashionMNIST, CIFAR10, CIFAR100])
def test_a_download_that_fails_says_why_and_what_to_do(reader, monkeypatch, tmp_path):
    def fail(self):
        raise URLError("no route to host")

    monkeypatch.setattr(reader, "download", fail)
    name = {FashionMNIST: "fashion_mnist", CIFAR10: "cifar10", CIFAR100: "cifar100"}[reader]
    data = ImageDataModule(name, tmp_path, download=True)
    with pytest.raises(DataFileError, match=r"could not be fetched.*no route to host.*by hand"):
        data.prepare_data()


def test_images_are_normalised_and_augmented_in_training_only(fashion):
    root, _, arrays = fashion
    data = ImageDataModule("fashion_mnist", root, crop_padding=4, flip=True)
    data.setup()
    spec = DATASETS["fashion_mnist"]
    images, _ = arrays["t10k"]
    expected = (images[2] / 255 - spec.mean[0]) / spec.std[0]
    np.testing.assert_allclose(data.test_part[2][0][0].numpy(), expected, atol=1e-5)
    assert data.test_part[2][0].dtype == torch.float32

    torch.manual_seed(0)
    flat = images_of = arrays["train"][0][2] / 255
    seen = {tuple(data.train_part[2][0][0, 10:18, 10:18].flatten().tolist()) for _ in range(20)}
    assert len(seen) > 5
    # Every crop is a shifted, perhaps mirrored window of the padded image.
    padded = np.pad(images_of, 4)
    windows = [
        np.flip(padded[i : i + 28, j : j + 28], axis=1)
        if mirrored
        else padded[i : i + 28, j : j + 28]
        for mirrored in (False, True)
        for i in range(9)
        for j in range(9)
    ]
    crop = data.train_part[2][0][0].numpy() * spec.std[0] + spec.mean[0]
    assert min(np.abs(window - crop).max() for window in windows) < 1e-5
    assert flat.shape == (28, 28)


def test_an_unknown_data_set_lists_the_choices():
    with pytest.raises(ValueError, match=r'unknown data set "mnist".*"fashion_mnist"'):
        ImageDataModule("mnist")


@pytest.mark.parametrize("name", ["digits", "far_pair"])
def test_the_statistics_of_the_table_are_those_of_the_training_digits(name):
    data = ImageDataModule("digits")
    data.setup()
    images = torch.stack([image for image, _ in data.train_part])
    assert abs(float(images.mean())) < 1e-3
    assert abs(float(images.std()) - 1) < 1e-3
    assert DATASETS[name].mean == DATASETS["digits"].mean
