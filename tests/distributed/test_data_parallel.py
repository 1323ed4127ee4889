"""Training on several processes, each with its part of the batch, has the gradients of one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import lightning
import pytest
import torch
import torch.distributed as dist
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader as GraphLoader
from torch_geometric.nn import global_mean_pool

from models.recipe import Recipe
from models.training import Classifier
from snl_graph import SNLConv, insert_block
from tests.distributed.processes import Processes
from tests.tolerances import assert_equal

Group = Callable[[int], Processes]


class Gradients(lightning.Callback):
    """Keeps the gradients of the first step, as the optimiser gets them."""

    found: list[Tensor]

    def on_before_optimizer_step(self, trainer: Any, module: nn.Module, optimizer: Any) -> None:
        self.found = [weight.grad.clone() for weight in module.parameters()]


def gradients_of_a_step(module: lightning.LightningModule, loader: DataLoader) -> list[Tensor]:
    """Those of one step of Lightning's DDP strategy, on the processes of this group."""
    gradients = Gradients()
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=dist.get_world_size(),
        strategy=DDPStrategy(
            cluster_environment=TorchElasticEnvironment(), process_group_backend="gloo"
        ),
        max_steps=1,
        callbacks=[gradients],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on the number of workers
        trainer.fit(module, loader)
    return gradients.found


def check_images() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.GroupNorm(2, 6)
    )
    insert_block(network, after="2", block="snl", zero_init=False, norm="group")
    classifier = Classifier(
        Recipe(network="preresnet8", dataset="digits"),
        nn.Sequential(network, nn.Flatten(), nn.Linear(6 * 4 * 4, 10)),
    ).double()
    images = torch.randn(8, 1, 8, 8, dtype=torch.float64)
    classes = torch.arange(8)
    cross_entropy(classifier(images), classes).backward()
    expected = [weight.grad.clone() for weight in classifier.parameters()]
    found = gradients_of_a_step(classifier, DataLoader(TensorDataset(images, classes), 4))
    for ours, theirs in zip(found, expected, strict=True):
        assert_equal(ours, theirs)


def test_a_network_with_a_block_has_the_gradients_of_one_process(group: Group) -> None:
    group(2).run(check_images)


class GraphRegression(lightning.LightningModule):
    """The mean over each graph of a layer's output, against a number."""

    def __init__(self, kernel: str | None) -> None:
        super().__init__()
        self.conv = SNLConv(3, 1, K=3, kernel=kernel)

    def training_step(self, graphs: Batch, index: int) -> Tensor:
        y = self.conv(graphs.x, graphs.edge_index, batch=graphs.batch)
        return (global_mean_pool(y, graphs.batch).squeeze(-1) - graphs.y).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def check_graphs(kernel: str | None, has_edges: bool) -> None:
    graphs = []
    for nodes in (4, 6, 3, 5):
        ring = torch.arange(nodes)
        edge_index = torch.stack([ring, ring.roll(1)])
        x = torch.randn(nodes, 3, dtype=torch.float64)
        y = torch.randn(1, dtype=torch.float64)
        graphs.append(Data(x, edge_index if has_edges else None, y=y))
    module = GraphRegression(kernel).double()
    module.training_step(Batch.from_data_list(graphs), 0).backward()
    expected = [weight.grad.clone() for weight in module.parameters()]
    found = gradients_of_a_step(module, GraphLoader(graphs, batch_size=2))
    for ours, theirs in zip(found, expected, strict=True):
        assert_equal(ours, theirs)


@pytest.mark.parametrize(("kernel", "has_edges"), [(None, True), ("dot", True), ("dot", False)])
def test_a_batch_of_graphs_has_the_gradients_of_one_process(
    group: Group, kernel: str | None, has_edges: bool
) -> None:
    group(2).run(check_graphs, kernel, has_edges)
