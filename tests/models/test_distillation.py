"""MARS through the commands: a teacher of flow, a student of RGB, and no flow afterwards."""

from __future__ import annotations

import re
import shutil

import pytest
import torch
from torch.nn.functional import cross_entropy

from models import train
from models.checkpoints import progress_of, read_checkpoint
from models.data.making import make
from models.data.synthetic import Plan
from models.distillation import Distiller, read_teacher
from models.entry import quiet
from models.evaluate import evaluate
from models.learners import learner_of
from models.networks import NETWORKS, build_network
from models.recipe import Recipe
from tests.models.conftest import SMALL

CPU = ["--accelerator=cpu", "--devices=1", "--workers=0"]
SHORT = ["--size=[32, 32]", "--pretrained=null", "--test_clips=2", "--frames=4", *CPU]
SHORT += ["--batch_size=4", "--epochs=2", "--test_every=1", "--learning_rate=0.001"]
BLOCK = ["--after=[layer2.0]"]
STUDENT, TEACHER = "table8_mars_snl", "table8_mars_flow"

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(scope="module")
def ucf(tmp_path_factory):
    """Ten clips to train with, two held out."""
    root = tmp_path_factory.mktemp("ucf") / "root"
    make("ucf101_flow", root, Plan(classes=2, items=3, frames=6, height=32, width=32))
    return root


def run(name, out, data, *more):
    train.main([name, *SHORT, f"--data={data}", f"--out={out}", *more])
    return max((out / name).glob("version_*")) / "checkpoints/last.ckpt"


@pytest.fixture(scope="module")
def trained(ucf, tmp_path_factory):
    """Checkpoints of a teacher, and of the student that learned from it."""
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        for name, network in SMALL.items():
            patch.setitem(NETWORKS, name, network)
        teacher = run(TEACHER, out, ucf)
        student = run(STUDENT, out, ucf, *BLOCK, f"--task_options.teacher={teacher}")
    return teacher, student


def student_of(*more):
    return train.parse([STUDENT, *SHORT, *BLOCK, *more])[1]


def test_the_student_answers_without_flow_and_without_its_teacher(trained, ucf, tmp_path):
    _, student = trained
    content = read_checkpoint(student)
    plain = build_network("resnext3d101", num_classes=2).state_dict()
    keys = {k.removeprefix("network.") for k in content["state_dict"] if k.startswith("network.")}
    assert keys >= set(plain)
    assert content["state_dict"]["network.conv1.weight"].shape[1] == 3
    shutil.copytree(ucf, tmp_path / "ucf")
    shutil.rmtree(tmp_path / "ucf/tvl1_flow")
    with quiet():
        found = evaluate(student, tmp_path / "ucf", accelerator="cpu", workers=0, batches=1)
    assert 0 <= found["test_top1"] <= 1


def test_the_loss_is_cross_entropy_and_the_distance_to_the_teachers_features(trained):
    path, _ = trained
    recipe = student_of("--task_options.teacher", str(path), "--task_options.weight=7")
    recipe = Recipe.from_dict(recipe.to_dict() | {"classes": ["a", "b"]})
    model = learner_of(recipe)
    assert isinstance(model, Distiller)
    model.prepare()
    logged = {}
    model.log_dict = logged.update
    model.eval()
    torch.manual_seed(0)
    clips, classes = torch.randn(3, 5, 4, 32, 32), torch.tensor([0, 1, 1])
    total = model.loss_of((clips, classes))

    teacher = build_network("resnext3d101", in_channels=2, num_classes=2)
    weights = read_checkpoint(path)["state_dict"]
    teacher.load_state_dict(
        {k.removeprefix("network."): v for k, v in weights.items() if k.startswith("network.")}
    )
    wanted = teacher.eval().features(clips[:, 3:])
    seen = model.network.features(clips[:, :3])
    error = (seen - wanted).square().mean()
    entropy = cross_entropy(model.network.fc(seen), classes)
    torch.testing.assert_close(total, entropy + 7 * error)
    torch.testing.assert_close(logged["train_feature_error"], error)
    torch.testing.assert_close(logged["train_cross_entropy"], entropy)
    total.backward()
    assert all(p.grad is None for p in model._mars[0].teacher.parameters())
    assert "teacher" not in " ".join(model.state_dict())
    assert sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for p in model.network.parameters()
    )


def test_a_student_resumed_in_mid_epoch_ends_as_one_that_was_not(
    trained, ucf, tmp_path, monkeypatch
):
    teacher, student = trained
    step = Distiller.training_step

    def stopping(self, batch, index):
        if self.global_step == 4:  # of six; three make an epoch
            raise KeyboardInterrupt
        return step(self, batch, index)

    more = [*BLOCK, f"--task_options.teacher={teacher}"]
    monkeypatch.setattr(Distiller, "training_step", stopping)
    with pytest.raises(SystemExit):
        run(STUDENT, tmp_path, ucf, *more, "--checkpoint_every=1")
    monkeypatch.setattr(Distiller, "training_step", step)
    last = tmp_path / STUDENT / "version_0/checkpoints/last.ckpt"
    assert progress_of(read_checkpoint(last)) == (1, 4)
    found = read_checkpoint(run(STUDENT, tmp_path, ucf, *more, f"--resume={last}"))
    expected = read_checkpoint(student)
    assert progress_of(found) == progress_of(expected) == (2, 6)
    for key, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][key], value), key


def test_a_teacher_may_be_weights_alone_with_another_classifier(tmp_path):
    torch.manual_seed(0)
    theirs = build_network("resnext3d101", in_channels=2, num_classes=400)
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in theirs.state_dict().items()}},
        tmp_path / "f.pth",
    )
    found = read_teacher(tmp_path / "f.pth", student_of())
    assert torch.equal(found.layer4[0].conv1.weight, theirs.layer4[0].conv1.weight)
    assert found.fc.out_features == 101


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        (None, r"needs a trained network of optical flow.*table8_mars_flow"),
        ("absent.ckpt", r"no weights at .*absent\.ckpt"),
        ("student", r"was trained on ucf101_holdout, whose frames have 3 channels"),
        ("rgb.pth", r"is not of the teacher's network: .*of another shape: conv1\.weight"),
        ("other.pth", r"nothing in .*other\.pth fits"),
    ],
)
def test_what_is_no_teacher_is_told_before_anything_is_written(
    teacher, words, trained, ucf, tmp_path, capsys
):
    torch.save(build_network("resnext3d101").state_dict(), tmp_path / "rgb.pth")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    more = []
    if teacher is not None:
        path = trained[1] if teacher == "student" else tmp_path / teacher
        more = [f"--task_options.teacher={path}"]
    with pytest.raises(SystemExit) as caught:
        run(STUDENT, tmp_path / "runs", ucf, *BLOCK, *more)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert re.search(words, message), message
    assert not (tmp_path / "runs").exists()


def test_missing_flow_is_told_before_anything_is_written(trained, ucf, tmp_path, capsys):
    shutil.copytree(ucf, tmp_path / "ucf")
    shutil.rmtree(tmp_path / "ucf/tvl1_flow")
    for name, more in ((STUDENT, [*BLOCK, f"--task_options.teacher={trained[0]}"]), (TEACHER, [])):
        with pytest.raises(SystemExit) as caught:
            run(name, tmp_path / "runs", tmp_path / "ucf", *more)
        assert caught.value.code == 2
        assert "tvl1_flow/u is not there" in capsys.readouterr().err
        assert not (tmp_path / "runs").exists()
