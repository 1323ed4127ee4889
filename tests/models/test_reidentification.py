"""Re-identification through the commands: batches, losses, measures, resuming."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from models import predict, train
from models.checkpoints import CheckpointError, progress_of, read_checkpoint
from models.data import DATASETS, data_module
from models.data.making import make
from models.data.synthetic import Plan
from models.data.tracklets import Tracklet, Tracklets
from models.entry import quiet
from models.evaluate import evaluate
from models.learners import learner_of
from models.loading import ResumableData, resumable
from models.networks import NETWORKS
from models.recipe import Recipe
from models.reidentification import Reidentifier
from tests.models.conftest import SMALL

CPU = ["--accelerator=cpu", "--devices=1", "--workers=0"]
SHORT = ["--size=[32, 16]", "--pretrained=null", "--test_clips=2", "--after=[layer3.0]", *CPU]
TWO_EACH = ["--batch_size=4", "--task_options.tracklets=2", "--test_every=1", "--epochs=2"]
RECIPE = "table9_mars_snl"

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(scope="module")
def mars(tmp_path_factory):
    """Six persons to train with, six to find; colours tell them apart."""
    root = tmp_path_factory.mktemp("mars") / "root"
    make("mars", root, Plan(classes=6, items=2, frames=5, height=32, width=16))
    return root


def run(out, mars, *more):
    train.main([RECIPE, *SHORT, *TWO_EACH, f"--data={mars}", f"--out={out}", *more])
    return max((out / RECIPE).glob("version_*")) / "checkpoints/last.ckpt"


@pytest.fixture(scope="module")
def trained(mars, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        for name, network in SMALL.items():
            patch.setitem(NETWORKS, name, network)
        return run(out, mars)


def naive_search(features, persons, cameras, queries):
    """Rank-1 and mAP with nothing but sorting and counting."""
    gallery = [i for i in range(len(persons)) if not queries[i]]
    firsts, precisions = [], []
    for q in (i for i in range(len(persons)) if queries[i]):
        seen = [g for g in gallery if persons[g] != persons[q] or cameras[g] != cameras[q]]
        seen.sort(key=lambda g: float(((features[q] - features[g]) ** 2).sum()))
        hits = [place for place, g in enumerate(seen, 1) if persons[g] == persons[q]]
        if hits:
            firsts.append(hits[0] == 1)
            precisions.append(sum(n / place for n, place in enumerate(hits, 1)) / len(hits))
    return sum(firsts) / len(firsts), sum(precisions) / len(precisions)


def test_evaluating_is_a_search_by_the_mean_features_of_the_clips(trained, mars, capsys):
    with quiet():
        found = evaluate(trained, mars, accelerator="cpu")
    model = learner_of(Recipe.from_dict(read_checkpoint(trained)["hyper_parameters"]["recipe"]))
    model.load_state_dict(read_checkpoint(trained)["state_dict"])
    network = model.network.eval()
    data = data_module("mars", mars, size=(32, 16), test_clips=2)
    data.setup()
    features, rest = [], []
    with torch.no_grad():
        for clips, *facts in data.test_part:
            features.append(torch.stack([network.features(c[None])[0] for c in clips]).mean(0))
            rest.append(facts)
    rank1, mean_precision = naive_search(features, *zip(*rest, strict=True))
    assert found["test_rank1"] == pytest.approx(rank1)
    assert found["test_mAP"] == pytest.approx(mean_precision, abs=1e-5)
    shown = capsys.readouterr().out
    assert "rank-1 %" in shown
    assert "mAP %" in shown


def test_the_training_loss_is_cross_entropy_plus_triplets(mars):
    model = learner_of(train.parse([RECIPE, *SHORT, *TWO_EACH])[1]).double()
    clips = torch.randn(4, 3, 2, 32, 16, dtype=torch.float64)
    persons = torch.tensor([0, 0, 3, 3])
    logged = {}
    model.log_dict = logged.update
    torch.manual_seed(0)
    total = model.loss_of((clips, persons, persons, persons))
    features = model.network.features(clips).detach()
    far = [[float((f - g).square().sum().sqrt()) for g in features] for f in features]
    # Items 0 and 1 are of one person, 2 and 3 of the other.
    worst = [
        max(0.0, 0.3 + far[0][1] - min(far[0][2], far[0][3])),
        max(0.0, 0.3 + far[1][0] - min(far[1][2], far[1][3])),
        max(0.0, 0.3 + far[2][3] - min(far[2][0], far[2][1])),
        max(0.0, 0.3 + far[3][2] - min(far[3][0], far[3][1])),
    ]
    entropy = float(cross_entropy(model.network.fc(features), persons).detach())
    assert float(logged["train_cross_entropy"].detach()) == pytest.approx(entropy)
    assert float(logged["train_triplet"].detach()) == pytest.approx(sum(worst) / 4)
    assert float(total.detach()) == pytest.approx(entropy + sum(worst) / 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(4):
        optimizer.zero_grad()
        model.loss_of((clips, persons, persons, persons)).backward()
        optimizer.step()
    assert model.loss_of((clips, persons, persons, persons)) < 0.9 * total


def test_a_run_resumed_in_mid_epoch_ends_as_one_that_was_not(trained, mars, tmp_path, monkeypatch):
    step = Reidentifier.training_step

    def stopping(self, batch, index):
        if self.global_step == 4:  # of six; three make an epoch
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(Reidentifier, "training_step", stopping)
    with pytest.raises(SystemExit):
        run(tmp_path, mars, "--checkpoint_every=1")
    monkeypatch.setattr(Reidentifier, "training_step", step)
    last = tmp_path / RECIPE / "version_0/checkpoints/last.ckpt"
    assert progress_of(read_checkpoint(last)) == (1, 4)
    found, expected = (
        read_checkpoint(p) for p in (run(tmp_path, mars, f"--resume={last}"), trained)
    )
    assert progress_of(found) == progress_of(expected) == (2, 6)
    for key, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][key], value), key


def test_batches_are_persons_with_tracklets_each(trained, mars, tmp_path, monkeypatch):
    seen = []
    step = Reidentifier.training_step

    def watching(self, batch, index):
        seen.append(batch[1].tolist())
        return step(self, batch, index)

    monkeypatch.setattr(Reidentifier, "training_step", watching)
    run(tmp_path, mars)
    assert len(seen) == 6
    for persons in seen:
        assert persons[0] == persons[1] != persons[2] == persons[3]
    for epoch in (seen[:3], seen[3:]):
        assert sorted(p for batch in epoch for p in batch[::2]) == list(range(6))


def test_a_checkpoint_of_persons_names_no_classes(trained):
    with pytest.raises(CheckpointError, match=r"reidentification.*models\.evaluate"):
        predict.load(trained)


def test_a_network_without_features_is_refused(monkeypatch):
    recipe = train.parse([RECIPE, *SHORT])[1]
    with pytest.raises(ValueError, match=r"no features\(clips\)"):
        Reidentifier(recipe, torch.nn.Linear(2, 2))


def test_a_few_items_are_queries_with_an_answer_each():
    def tracklet(person, camera):
        return Tracklet((f"{person}{camera}",), person, camera)

    queries = [tracklet(p, c) for p in (1, 2, 3, 4) for c in (1, 2)]
    gallery = [tracklet(0, 1), *queries, tracklet(4, 3)]
    every = [*queries, *gallery]
    part = Tracklets(every, [t.person for t in every], len(queries), lambda video: video)
    few = part.few(9)
    assert few.num_queries == 4
    assert [t.person for t in few.tracklets[:4]] == [1, 2, 3, 4]  # spread over all
    for query, answer in zip(few.tracklets[:4], few.tracklets[4:], strict=True):
        assert answer.person == query.person
        assert answer.camera != query.camera
    assert few.labels == [t.person for t in few.tracklets]
    with pytest.raises(ValueError, match="room for 1"):
        part.few(1)
    alone = Tracklets([tracklet(1, 1), tracklet(1, 1)], [1, 1], 1, lambda video: video)
    with pytest.raises(ValueError, match="none of 1 queries"):
        alone.few(4)


def test_items_of_three_processes_are_put_in_order_and_counted_once():
    """Seven items dealt to three processes, as Lightning does: the first two come once more."""
    model = Reidentifier(train.parse([RECIPE, *SHORT])[1], SMALL["resnet50tp"]())
    dealt = [torch.tensor([0, 3, 6]), torch.tensor([1, 4, 0]), torch.tensor([2, 5, 1])]
    model.all_gather = lambda own: torch.stack(dealt)
    loader = SimpleNamespace(dataset=range(7))
    model._trainer = SimpleNamespace(world_size=3, testing=False, val_dataloaders=loader)
    assert model._of_all_processes((dealt[0][:2], dealt[0][2:])).tolist() == list(range(7))


def test_splits_of_the_paper_are_options():
    recipe = train.parse(["table9_prid2011_snl", "--split", "3"])[1]
    assert recipe.spec.layout.split == 3
    assert replace(recipe, split=None).spec.layout == DATASETS["prid2011"].layout


def test_processes_get_whole_batches_of_whole_persons(mars):
    """Six persons, two a batch: one step of two processes, and a batch that is left out."""
    data = data_module("mars", mars, size=(32, 16), batch_size=4, tracklets=2)
    data.setup()
    parts = [resumable(data.train_dataloader(), 0, rank, 2, workers=0) for rank in range(2)]
    batches = [[batch[1].tolist() for batch in part] for part in parts]
    assert [len(part) for part in batches] == [1, 1]
    persons = [person for part in batches for batch in part for person in batch]
    assert all(persons.count(person) == 2 for person in persons)
    assert len(persons) == 8


def test_too_few_persons_for_so_many_processes_is_an_error(mars):
    data = data_module("mars", mars, size=(32, 16), batch_size=12, tracklets=2)
    data.setup()
    shared = ResumableData(data, 0, workers=0)
    assert len(shared.train_dataloader()) == 1
    shared.trainer = SimpleNamespace(global_rank=1, world_size=2)
    with pytest.raises(ValueError, match="fills no step of 2 processes with batches of 12"):
        shared.train_dataloader()
