"""The table of bars that the library is held to."""

from __future__ import annotations

from snl_graph.bench.cases import (
    AUTO,
    Case,
    CrossCase,
    GrowthCase,
    PeakCase,
    RatioBar,
    RatioCase,
    SavedCase,
)
from snl_graph.bench.contenders import FORWARD, TRAINING
from snl_graph.bench.problems import AffinityProblem, BlockProblem, LayerProblem
from snl_graph.bench.problems.attention import FOUR_CALLS
from snl_graph.bench.problems.block import FLOOR
from snl_graph.bench.problems.layer import CHEB_CONV, LISTED, PREPARED, PRODUCTS
from snl_graph.bench.problems.sizes import MESSAGES, NAIVE
from snl_graph.bench.timing import Effort


def _block(name: str, batch: int, channels: int, side: int, bar: float, effort: Effort) -> Case:
    ratios = [RatioBar("naive dense / snl", NAIVE, AUTO, bar)]
    if side**2 >= 1024:
        ratios.append(RatioBar("snl / floor", AUTO, FLOOR, 1.5, is_at_least=False))
    work = f"snl block ({batch}, {channels}, {side}×{side}), forward+backward"
    problem = BlockProblem("snl", batch, channels, (side, side))
    return RatioCase(name, work, problem, tuple(ratios), effort)


def _streaming(name: str, batch: int, nodes: int, width: int) -> Case:
    problem = AffinityProblem("embedded_gaussian", "sym", "full", batch, (nodes,), width, width)
    ratios = (
        RatioBar("naive dense / streaming", NAIVE, "streaming", 2.2, mode=FORWARD),
        RatioBar(
            "streaming / its four attention calls",
            "streaming",
            FOUR_CALLS,
            1.3,
            is_at_least=False,
            mode=FORWARD,
        ),
    )
    work = f"streaming sym, forward, ({batch}, {nodes} nodes, r = {width})"
    return RatioCase(name, work, problem, ratios, Effort(7, 15.0))


def _layer() -> Case:
    ratios = []
    for mode, bar in ((FORWARD, 15.0), (TRAINING, 5.0)):
        claim = f"ChebConv / SNLConv, prepared adjacency, {mode}"
        ratios.append(RatioBar(claim, CHEB_CONV, PREPARED, bar, mode=mode))
    claim = "ChebConv / SNLConv, plain edge_index, forward"
    ratios.append(RatioBar(claim, CHEB_CONV, LISTED, 3.0, mode=FORWARD))
    for mode in (FORWARD, TRAINING):
        claim = f"SNLConv, prepared adjacency / the products alone, {mode}"
        ratios.append(RatioBar(claim, PREPARED, PRODUCTS, 1.3, is_at_least=False, mode=mode))
    work = "SNLConv K = 3, 100,000 nodes, 1,000,000 edges, 128 → 32"
    problem = LayerProblem(100_000, 1_000_000, 128, 32)
    return RatioCase("snlconv", work, problem, tuple(ratios), Effort(7, 12.0))


CASES: tuple[Case, ...] = (
    _block("block-32", 32, 64, 32, 12.0, Effort(7, 8.0)),
    _block("block-56", 4, 256, 56, 8.0, Effort(7, 10.0)),
    _block("block-96", 2, 256, 96, 30.0, Effort(3, 15.0)),
    _block("block-14", 8, 1024, 14, 1.0, Effort(15, 6.0)),
    _block("small-7", 8, 256, 7, 1.0, Effort(101, 6.0)),
    _block("small-8", 2, 64, 8, 1.0, Effort(101, 3.0)),
    _block("small-14", 2, 64, 14, 1.0, Effort(101, 3.0)),
    GrowthCase(
        "growth",
        "snl block (1, 64, N), N = 4,096 to 65,536, forward+backward",
        BlockProblem("snl", 1, 64, (64, 64)),
        sizes=((64, 64), (90, 91), (128, 128), (181, 181), (256, 256)),
        naive_sizes=((32, 32), (45, 45), (64, 64)),
        bar=1.15,
        effort=Effort(9, 12.0),
    ),
    SavedCase(
        "saved",
        "snl block (1, 256, 96×96): memory kept for backward",
        BlockProblem("snl", 1, 256, (96, 96)),
        bar=60.0,
    ),
    PeakCase(
        "map-512",
        "snl block (1, 64, 512×512), N = 262,144, forward+backward",
        BlockProblem("snl", 1, 64, (512, 512)),
        AUTO,
        bar=2e9 / 2**20,
        is_above_inputs=False,
    ),
    _streaming("streaming-1024", 32, 1024, 32),
    _streaming("streaming-8192", 1, 8192, 64),
    PeakCase(
        "streaming-32768",
        "streaming sym (1, 32,768 nodes, r = C = 64), forward+backward",
        AffinityProblem("embedded_gaussian", "sym", "full", 1, (32768,), 64, 64),
        "streaming",
        bar=1e9 / 2**20,
        is_above_inputs=True,
        growth=(512, 1024, 2048, 4096),
        growth_bar=1.05,
    ),
    CrossCase(
        "criss-cross",
        "criss-cross attention (2, 512, 97×97), r = 64, rw, forward",
        AffinityProblem("embedded_gaussian", "rw", "criss_cross", 2, (97, 97), 64, 512),
        (RatioBar("gather–softmax–scatter / grid", MESSAGES, "grid", 5.0, mode=FORWARD),),
        Effort(3, 10.0),
    ),
    _layer(),
)
"""All of them, in the order in which they run."""
