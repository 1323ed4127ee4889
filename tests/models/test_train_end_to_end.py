"""Dry runs, own folders of pictures and clips, and questions to a checkpoint."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from PIL import Image

from models import predict, train
from models.checkpoints import read_checkpoint, recipe_of
from models.data import ClipDataModule, ImageDataModule
from models.data.making import make
from models.data.synthetic import Plan
from models.data.videos import open_video
from models.evaluate import evaluate
from models.recipe import Recipe
from models.training import Classifier

CPU = ["--accelerator=cpu", "--devices=1"]
SMALL = ["--network=preresnet8", "--size=[16, 16]", "--after=[layer2.0]", *CPU]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Reds and blues, each in a folder of its own."""
    root = tmp_path_factory.mktemp("pictures")
    for name, colour in (("blue", (20, 30, 220)), ("red", (220, 30, 20))):
        for number in range(20):
            path = root / name / f"{number:02d}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (30, 20 + number), tuple(c + number for c in colour)).save(path)
    return root


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    options = [f"--data={pictures}", f"--out={out}", "--epochs=4", "--batch_size=8", "--workers=0"]
    train.main(["folder", *SMALL, *options])
    return out / "folder/version_0/checkpoints/last.ckpt"


def test_a_folder_of_pictures_is_learned_and_asked_about(trained, pictures, capsys):
    assert recipe_of(read_checkpoint(trained), trained).classes == ("blue", "red")
    assert evaluate(trained, pictures, accelerator="cpu")["test_top1"] == 1
    capsys.readouterr()
    files = [str(pictures / "red/03.png"), str(pictures / "blue/05.png")]
    predict.main([str(trained), *files, "--top", "2", "--json"])
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["file"] for answer in answers] == files
    assert [max(answer["classes"], key=answer["classes"].get) for answer in answers] == [
        "red",
        "blue",
    ]
    assert all(sum(answer["classes"].values()) == pytest.approx(1) for answer in answers)
    predict.main([str(trained), *files, "--top", "1"])
    assert "red" in capsys.readouterr().out


def test_answers_are_those_of_the_network_on_the_test_part(trained, pictures):
    model = predict.load(trained)
    found = predict.predict(model, [pictures], top=1, batch_size=3)
    assert len(found) == 40
    data = ImageDataModule("folder", pictures, size=(16, 16))
    data.setup()
    by_file = {answer.file: answer for answer in found}
    for sample, (image, _) in zip(data.test_part.samples, data.test_part, strict=True):
        with torch.no_grad():
            chances = model(image[None]).softmax(-1)[0]
        answer = by_file[sample.path]
        assert answer.classes == [("blue", "red")[int(chances.argmax())]]
        assert answer.probabilities == pytest.approx([float(chances.max())], abs=1e-5)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["absent.png"], "there is no .*absent.png; expected a picture"),
        (["spoilt.png"], "spoilt.png is corrupt or truncated"),
        (["empty"], "there is no picture to ask about"),
    ],
)
def test_files_that_cannot_be_asked_about_are_named(trained, files, words, tmp_path, capsys):
    (tmp_path / "spoilt.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as caught:
        predict.main([str(trained), *(str(tmp_path / file) for file in files)])
    assert caught.value.code == 2
    assert re.search(words, capsys.readouterr().err)


def test_an_accelerator_that_is_not_there_is_refused(trained):
    with pytest.raises(ValueError, match=r'"abacus" is not to be had here: .*Take "cpu"'):
        predict.load(trained, "abacus")


def test_a_folder_of_other_classes_is_not_measured(trained, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "other")
    (tmp_path / "other/red").rename(tmp_path / "other/green")
    with pytest.raises(ValueError, match=r"tell apart blue, red; folder at .* has blue, green"):
        evaluate(trained, tmp_path / "other", accelerator="cpu")


@pytest.mark.parametrize(
    "args",
    [
        ["digits", *CPU],
        ["digits", "--norm=group", "--accumulate=4", "--clip_norm=1", "--workers=1", *CPU],
        ["digits", "--precision=bf16-mixed", "--deterministic", *CPU],
    ],
)
def test_a_dry_run_proves_a_recipe_and_leaves_nothing(args, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        train.main([*args, "--dry-run"])
    finally:
        torch.use_deterministic_algorithms(deterministic)
    assert "trained, tested, saved, read and measured again" in " ".join(
        capsys.readouterr().out.split()
    )
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_finds_a_checkpoint_that_lacks_something(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = train.measure
    monkeypatch.setattr(
        train,
        "measure",
        lambda *args, **options: {"test_loss": 1 + real(*args, **options)["test_loss"]},
    )
    with pytest.raises(RuntimeError, match="does not hold all that decides the result"):
        train.main(["digits", *CPU, "--dry-run"])


def test_a_dry_run_compares_every_weight(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = train.read_checkpoint

    def spoilt(path):
        content = real(path)
        content["state_dict"]["network.fc.bias"][0] += 1e-3
        return content

    monkeypatch.setattr(train, "read_checkpoint", spoilt)
    with pytest.raises(RuntimeError, match=r"has not the run's network\.fc\.bias"):
        train.main(["digits", *CPU, "--dry-run"])


def test_a_folder_of_videos_is_learned_and_asked_about(tmp_path, small_networks, capsys):
    root = tmp_path / "clips"
    make("clip_folder", root, Plan(classes=2, items=2, frames=6))
    options = ["--network=resnext3d101", "--after=[layer2.0]", "--size=[32, 32]", "--frames=4"]
    options += ["--epochs=2", "--batch_size=2", "--workers=0", "--learning_rate=0.001"]
    train.main(["clip_folder", *options, f"--data={root}", f"--out={tmp_path}", *CPU])
    last = tmp_path / "clip_folder/version_0/checkpoints/last.ckpt"
    video = root / "test/class_1/0001.mp4"
    frames = tmp_path / "asked/frames"
    frames.mkdir(parents=True)
    shutil.copy(video, frames.with_name("video.mp4"))
    for number, pixels in enumerate(open_video(str(video)).frames(range(6)), 1):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(frames / f"{number}.png")
    model = predict.load(last)
    alone, inside, same = predict.predict(model, [video, frames.parent])
    assert [answer.file for answer in (alone, inside, same)] == [
        str(video),
        str(frames),
        str(frames.with_name("video.mp4")),
    ]
    assert sorted(alone.classes) == ["class_1", "class_2"]
    # Frame by frame: the clips of the test part, each by itself.
    data = ClipDataModule(
        "clip_folder", root, size=(32, 32), sampling=model.recipe.spec.sampling, test_clips=4
    )
    data.setup()
    (clips, label), *_ = data.test_part
    assert (label, clips.shape) == (0, (4, 3, 4, 32, 32))
    with torch.no_grad():
        chances = torch.stack([model(clip[None])[0].softmax(-1) for clip in clips]).mean(0)
    for answer in (alone, inside, same):
        found = dict(zip(answer.classes, answer.probabilities, strict=True))
        assert [found["class_1"], found["class_2"]] == pytest.approx(chances.tolist(), abs=1e-5)

    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[:200])
    for files, words in (
        (["cut.mp4"], r"cut\.mp4 is corrupt or no video"),
        (["gone.mp4"], r"there is no .*gone\.mp4; expected a video, or a folder of frames"),
        (["runs"], "there is no video to ask about"),
    ):
        (tmp_path / "runs").mkdir(exist_ok=True)
        with pytest.raises(SystemExit):
            predict.main([str(last), *(str(tmp_path / file) for file in files)])
        assert re.search(words, capsys.readouterr().err)


def test_scores_of_a_video_are_those_of_the_mean_of_its_clips():
    recipe = Recipe("preresnet8", "digits")
    model = Classifier(recipe, torch.nn.Flatten()).double()
    clips = torch.randn(3, 2, 1, 2, 1, 5, dtype=torch.float64)  # flattened, ten scores a clip
    expected = clips.flatten(2).softmax(-1).mean(1).log()
    torch.testing.assert_close(model._video_scores(clips), expected)
    assert model._video_scores(1e4 * clips).isfinite().all()
