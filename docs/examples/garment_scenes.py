"""Train the three small networks whose blocks the explorer's picture shows; minutes on one core.

    python docs/examples/garment_scenes.py DATA OUT

DATA holds Fashion-MNIST in torchvision's layout (``python -m models.train fashion_mnist --download
--data DATA`` puts it there). A PreResNet-8 first learns the ten classes from single garments. Then,
for each kind of block, one copy of it with a block inserted behind ``layer2.0`` learns to name the
four garments of a scene, a canvas of 56×56 pixels on which the block sees 28×28 positions.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchvision.datasets import FashionMNIST

from models.networks import build_network
from snl_graph import insert_block

SIDE, CLASSES = 28, 10
PLACE = "layer2.0"
KINDS: dict[str, dict[str, int]] = {"nl": {}, "snl": {}, "cc": {"recurrence": 2}}
Loss = Callable[[Tensor, Tensor], Tensor]


def garments(root: str, train: bool) -> tuple[Tensor, Tensor]:
    """Pictures (n, 28, 28) in 0 .. 1 and their classes."""
    data = FashionMNIST(root, train=train)
    return data.data / 255, data.targets


def scenes(
    pictures: Tensor, classes: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Canvases (count, 1, 56, 56) of four garments, and which classes are there, (count, 10)."""
    chosen = torch.randint(len(pictures), (count, 4), generator=generator)
    quarters = pictures[chosen].view(count, 2, 2, SIDE, SIDE)
    canvas = quarters.transpose(2, 3).reshape(count, 1, 2 * SIDE, 2 * SIDE)
    return canvas, torch.zeros(count, CLASSES).scatter_(1, classes[chosen], 1.0)


def network(kind: str | None) -> nn.Module:
    """PreResNet-8 for grey pictures, with a block or without."""
    model = build_network("preresnet8", in_channels=1, num_classes=CLASSES)
    if kind is not None:
        example = torch.zeros(2, 1, SIDE, SIDE)
        insert_block(model, PLACE, kind, example=example, zero_init=False, **KINDS[kind])
    return model


def fit(model: nn.Module, batches: list[tuple[Tensor, Tensor]], rate: float, loss_of: Loss) -> None:
    """One pass with AdamW; the rate rises over the first twentieth, then falls as a cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    model.train()
    for step, (x, label) in enumerate(batches):
        warm = min(1.0, 20 * (step + 1) / len(batches))
        fall = 0.5 * (1 + math.cos(math.pi * step / len(batches)))
        optimizer.param_groups[0]["lr"] = rate * warm * fall
        optimizer.zero_grad()
        loss = loss_of(model(x), label)
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"  {step}/{len(batches)} loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, label: Tensor) -> float:
    """Share of right answers; of a scene there is one for each class."""
    model.eval()
    scores = torch.cat([model(part) for part in x.split(200)])
    answer = scores.argmax(1) if label.dim() == 1 else (scores > 0).float()
    return float((answer == label).float().mean())


def main(data: str, out: str, steps: int = 250) -> None:
    """Train what is not in OUT yet."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    pictures, classes = garments(data, True)
    test_pictures, test_classes = garments(data, False)
    torch.manual_seed(0)
    start = folder / "garments.pt"
    if not start.exists():
        model = network(None)
        order = torch.cat([torch.randperm(len(pictures)) for _ in range(2)])
        batches = [(pictures[i, None], classes[i]) for i in order.split(128)]
        fit(model, batches, 0.003, cross_entropy)
        print(f"garments: {accuracy(model, test_pictures[:, None], test_classes):.3f}")
        torch.save(model.state_dict(), start)
    learned = torch.load(start, weights_only=True)
    generator = torch.Generator().manual_seed(1)
    train_scenes = [scenes(pictures, classes, 32, generator) for _ in range(steps)]
    test = scenes(test_pictures, test_classes, 2000, generator)
    for kind in KINDS:
        file = folder / f"{kind}.pt"
        if file.exists():
            continue
        torch.manual_seed(0)
        began = time.perf_counter()
        model = network(kind)
        model.load_state_dict(learned, strict=False)
        fit(model, train_scenes, 0.003, binary_cross_entropy_with_logits)
        seconds = time.perf_counter() - began
        print(f"{kind}: {accuracy(model, *test):.3f} on 2,000 test scenes, {seconds:.0f} s")
        torch.save(model.state_dict(), file)


if __name__ == "__main__":
    main(*sys.argv[1:3])
