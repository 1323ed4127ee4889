"""The callback in a real fit on the digits."""

import csv
import sys
import warnings

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snl_graph import insert_block
from snl_graph.monitor import BlockWarning, MonitorCallback


class Digits(LightningModule):
    def __init__(self, zero_init=False, learning_rate=0.1, has_block=True):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)
        )
        if has_block:
            insert_block(self.net, "1", "snl", example=torch.zeros(2, 1, 8, 8), zero_init=zero_init)
        self.learning_rate = learning_rate

    def training_step(self, batch, index):
        images, classes = batch
        return nn.functional.cross_entropy(self.net(images), classes)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate)


@pytest.fixture(scope="module")
def batches():
    digits = load_digits()
    images = torch.from_numpy(digits.images[:320]).float().unsqueeze(1) / 16
    return DataLoader(TensorDataset(images, torch.from_numpy(digits.target[:320])), batch_size=32)


def fit(folder, model, batches, *callbacks, **options):
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=CSVLogger(folder),
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers")
        warnings.filterwarnings("ignore", ".*is smaller than the logging interval")
        trainer.fit(model, batches)
    with open(f"{trainer.log_dir}/metrics.csv") as file:
        return list(csv.DictReader(file))


def test_a_fit_writes_the_numbers_of_each_block(tmp_path, batches):
    rows = fit(tmp_path, Digits(), batches, MonitorCallback(every=4))
    rows = [row for row in rows if row["block/net.1/lambda_max"]]
    assert [int(row["step"]) for row in rows] == [0, 4, 8]
    for key in ("gap", "asymmetry", "entropy", "query_dependence", "dead", "scale", "gradient"):
        assert all(float(row[f"block/net.1/{key}"]) >= 0 for row in rows), key
    assert all(0 < float(row["block/net.1/lambda_max"]) <= 2 for row in rows)
    assert all(float(row["block/net.1/gradient"]) > 0 for row in rows)
    responses = [float(row["block/net.1/response_0.5"]) for row in rows]
    assert len(set(responses)) == 3  # it learns


def test_the_network_that_is_trained_is_the_same_bits(tmp_path, batches):
    plain, watched = Digits(), Digits()
    batches = DataLoader(batches.dataset, batch_size=64)
    trainer = {"max_steps": 3}
    for model, callbacks in ((plain, []), (watched, [MonitorCallback(every=1)])):
        torch.manual_seed(0)
        with torch.random.fork_rng():
            run = Trainer(
                accelerator="cpu",
                logger=False,
                callbacks=callbacks,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                **trainer,
            )
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*does not have many workers")
                run.fit(model, batches)
    ours, theirs = watched.state_dict(), plain.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_accumulated_batches_are_one_step(tmp_path, batches):
    rows = fit(tmp_path, Digits(), batches, MonitorCallback(every=2), accumulate_grad_batches=3)
    rows = [row for row in rows if row["block/net.1/gap"]]
    assert [int(row["step"]) for row in rows] == [0, 2]
    assert all(float(row["block/net.1/gradient"]) > 0 for row in rows)


def test_a_block_that_cannot_learn_is_reported_dead(tmp_path, batches):
    model = Digits(zero_init=True, learning_rate=0.0)
    with pytest.warns(BlockWarning, match=r'block "net\.1": at step 4 it is still dead'):
        rows = fit(tmp_path, model, batches, MonitorCallback(every=2, patience=3))
    assert {row["block/net.1/dead"] for row in rows} == {"1.0"}


def test_a_block_that_learns_is_not(tmp_path, batches):
    with warnings.catch_warnings():
        warnings.simplefilter("error", BlockWarning)
        rows = fit(tmp_path, Digits(zero_init=True), batches, MonitorCallback(every=2, patience=3))
    assert [row["block/net.1/dead"] for row in rows] == ["1.0", *["0.0"] * 4]


@pytest.mark.parametrize("fails", [False, True])
def test_no_hook_is_left_behind(tmp_path, batches, fails):
    model = Digits()
    if fails:
        model.on_train_batch_end = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            fit(tmp_path, model, batches, MonitorCallback(every=1))
    else:
        fit(tmp_path, model, batches, MonitorCallback(every=1))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_network_without_blocks_is_refused(tmp_path, batches):
    with pytest.raises(ValueError, match="Digits has no nonlocal block"):
        fit(tmp_path, Digits(has_block=False), batches, MonitorCallback())


def test_without_lightning_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.delitem(sys.modules, "snl_graph.monitor.callback")
    import snl_graph.monitor

    with pytest.raises(ImportError, match=r"snl-graph\[models\]"):
        _ = snl_graph.monitor.MonitorCallback
