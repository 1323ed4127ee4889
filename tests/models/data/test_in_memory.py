"""Images in memory are those of the data module; batches shuffle and augment by their seed."""

import pytest
import torch

from models.data import ImageDataModule
from models.data.in_memory import Batches, Images, load


@pytest.fixture
def numbered():
    """Ten images of 3×4; every pixel of every image has a value of its own."""
    return Images(torch.arange(240.0).view(10, 2, 3, 4), torch.arange(10))


def write_fashion_mnist(root, count):
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for part in ("train", "t10k"):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
            bound = 256 if len(shape) == 3 else 10
            values = torch.randint(bound, shape, generator=generator, dtype=torch.uint8)
            (raw / f"{part}-{kind}-ubyte").write_bytes(header + values.numpy().tobytes())


@pytest.mark.parametrize("name", ["digits", "fashion_mnist"])
@pytest.mark.parametrize("train", [True, False])
def test_they_are_the_images_of_the_data_module(name, train, tmp_path):
    write_fashion_mnist(tmp_path, 30)
    module = ImageDataModule(name, tmp_path)
    module.setup()
    part = module.train_part if train else module.test_part
    images = load(name, tmp_path, train)
    assert len(images) == len(part)
    for index in (0, 7, len(part) - 1):
        pixels, label = part[index]
        torch.testing.assert_close(images.pixels[index], pixels, rtol=1e-5, atol=1e-6)
        assert images.classes[index] == label


def test_the_subset_is_the_first_of_each_class():
    classes = torch.tensor([2, 0, 0, 2, 1, 0, 1, 2, 1])
    images = Images(torch.arange(9.0).view(9, 1, 1, 1), classes)
    subset = images.first_of_each_class(2)
    assert subset.pixels.flatten().tolist() == [0, 1, 2, 3, 4, 6]
    assert subset.classes.tolist() == [2, 0, 0, 2, 1, 1]
    with pytest.raises(ValueError, match="class 0 has 3 images; 4 of each were asked for"):
        images.first_of_each_class(4)


def test_a_pass_without_a_seed_is_the_images_in_order(numbered):
    pixels, classes = zip(*Batches(numbered, 4, crop_padding=1, flip=True), strict=True)
    assert [len(batch) for batch in classes] == [4, 4, 2]
    assert torch.equal(torch.cat(pixels), numbered.pixels)
    assert len(Batches(numbered, 4)) == 3


def test_order_and_augmentation_follow_from_the_seed_alone(numbered):
    def passes(seed):
        batches = Batches(numbered, 4, seed, crop_padding=1, flip=True)
        return [[torch.cat(part) for part in zip(*batches, strict=True)] for _ in range(2)]

    torch.manual_seed(0)
    first = passes(5)
    torch.manual_seed(1)
    again = passes(5)
    for one, other in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert sorted(first[0][1].tolist()) == sorted(first[1][1].tolist()) == list(range(10))
    assert not torch.equal(first[0][1], first[1][1])  # the second pass is another one
    assert not torch.equal(first[0][1], passes(6)[0][1])


def test_every_second_image_is_mirrored_and_nothing_else_happens(numbered):
    mirrored = 0
    batches = Batches(numbered, 3, seed=0, flip=True)
    for _ in range(40):
        for pixels, classes in batches:
            for image, label in zip(pixels, classes, strict=True):
                original = numbered.pixels[label]
                is_mirrored = torch.equal(image, original.flip(-1))
                assert is_mirrored or torch.equal(image, original)
                mirrored += is_mirrored
    assert abs(mirrored - 200) < 5 * 10  # 400 fair coins: standard deviation 10


def test_crops_are_windows_of_the_padded_image_all_equally_frequent(numbered):
    seen = torch.zeros(3, 3)
    batches = Batches(numbered, 4, seed=0, crop_padding=1)
    padded = torch.full((10, 2, 5, 6), float(numbered.pixels.min()))
    padded[..., 1:-1, 1:-1] = numbered.pixels
    for _ in range(54):
        for pixels, classes in batches:
            # The lowest value of the batch pads it: compare where the image itself is.
            for image, label in zip(pixels, classes, strict=True):
                fits = [
                    (top, left)
                    for top in range(3)
                    for left in range(3)
                    if same_inside(image, padded[label, :, top : top + 3, left : left + 4])
                ]
                assert len(fits) == 1
                seen[fits[0]] += 1
    assert (seen - 60).abs().max() < 5 * 60**0.5


def same_inside(image, window):
    inside = window > 0
    return torch.equal(image[inside], window[inside])
