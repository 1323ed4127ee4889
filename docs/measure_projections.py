"""Time of 1×1 projections of one map, as convolutions and as the products of `snl_graph`.

Run `python docs/measure_projections.py`. One row a feature map and memory layout: Φ, Ψ and Z by
three of PyTorch's convolutions, and by the products that blocks take; the last columns are what
the convolutions take beside the products. Processor time of one thread, the least of several.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from snl_graph.blocks.products import FanOut

SHAPES = ((2, 64, 8, 8), (8, 256, 7, 7), (8, 1024, 14, 14), (32, 64, 32, 32), (4, 256, 56, 56))
LAYOUTS = {"": torch.contiguous_format, "channels last": torch.channels_last}
Form = Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor]]


def convolutions(x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """One convolution a projection."""
    return [conv2d(x, weight[..., None, None]) for weight in weights]


def products(x: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The same numbers as node signals, with one backward pass for all."""
    return FanOut.apply(x.flatten(2).mT, *weights)


def milliseconds(form: Form, x: Tensor) -> list[float]:
    """Least processor time of the forward and of the backward pass."""
    channels = x.shape[1]
    weights = [torch.randn(channels // 2, channels, requires_grad=True) for _ in range(3)]
    probes = [torch.randn_like(one) for one in form(x, weights)]
    times = []
    for _ in range(max(5, min(100, 10**10 // (x.numel() * channels)))):
        start = time.process_time()
        found = form(x, weights)
        middle = time.process_time()
        torch.autograd.grad(found, [x, *weights], probes)
        times.append((middle - start, time.process_time() - middle))
    return [1e3 * min(spent) for spent in zip(*times, strict=True)]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"{'map':32}  convolutions, ms     products, ms       ratio")
    print(f"{'':32} forward  backward forward  backward forward  backward")
    for shape in SHAPES:
        for name, layout in LAYOUTS.items():
            x = torch.randn(shape).to(memory_format=layout).requires_grad_()
            theirs, ours = milliseconds(convolutions, x), milliseconds(products, x)
            ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
            numbers = "".join(f"{number:9.2f}" for number in (*theirs, *ours, *ratios))
            print(f"{'×'.join(map(str, shape)):15} {name:14}{numbers}")


if __name__ == "__main__":
    main()
