"""Small networks in place of those of the video tasks, so that whole runs are quick."""

from functools import partial

import pytest
from torchvision.models.resnet import BasicBlock

from models.clips import FrameResNet
from models.networks import NETWORKS
from models.resnet3d import ResNet3d
from tests.distributed.conftest import group

__all__ = ["group"]


class SmallTemporalPooling(FrameResNet):
    """As ResNet50TemporalPooling, of four basic blocks."""

    def __init__(self, *, in_channels=3, num_classes=625):
        super().__init__(BasicBlock, (1, 1, 1, 1), in_channels=in_channels, num_classes=num_classes)

    def features(self, clips):
        return self.frame_features(clips).mean(dim=1)

    def forward(self, clips):
        return self.fc(self.features(clips))


SMALL = {
    "resnet50tp": SmallTemporalPooling,
    "resnext3d101": partial(ResNet3d, (1, 1, 1, 1), groups=32),
}


@pytest.fixture
def small_networks(monkeypatch):
    for name, network in SMALL.items():
        monkeypatch.setitem(NETWORKS, name, network)
