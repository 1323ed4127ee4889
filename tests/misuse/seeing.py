"""Wrong calls of pictures, the explorer and the monitor."""

from tests.misuse.case import Area, Case

SEEING = Area(
    "Pictures, the explorer, the monitor",
    """
import networkx as nx
import torch
from torch import nn

from snl_graph import nonlocal_block, spectrum
from snl_graph.attention import attention_of, block_inputs
from snl_graph.explorer import explore
from snl_graph.filters import Heat
from snl_graph.monitor import BlockMonitor, observe
from snl_graph.plotting import (
    plot_attention_maps, plot_before_and_after, plot_block_attention, plot_eigenvalue_histogram,
    plot_eigenvalues, plot_feature_map, plot_graph_signal, plot_grid_signal,
    plot_spectral_density, plot_taps
)

block, maps = nonlocal_block("snl", 4), torch.ones(1, 4, 6, 6)
graph = nx.path_graph(4)
""",
    (
        Case(
            "The eigenvalues of a graph, not yet computed",
            "plot_eigenvalues(graph)",
            TypeError,
            ("of a Spectrum", "got Graph", "spectrum(obj)"),
        ),
        Case(
            "A spectrum where a density belongs",
            "plot_spectral_density(spectrum(graph))",
            TypeError,
            ("of a Density", "got Spectrum", "spectral_density(obj)"),
        ),
        Case(
            "A histogram without bins",
            "plot_eigenvalue_histogram(spectrum(graph), bins=0)",
            ValueError,
            ("a whole number ≥ 1", "got 0"),
        ),
        Case(
            "A filter by its name",
            'plot_taps("heat")',
            TypeError,
            ("of a GraphFilter", "got str", "Heat(2)"),
        ),
        Case(
            "A curve of no points",
            "plot_taps(Heat(2), points=0)",
            ValueError,
            ("2 at least", "got 0"),
        ),
        Case(
            "Where a block looks, not yet looked up",
            "plot_block_attention(block, [(0, 0)])",
            TypeError,
            ("of a BlockAttention", "got NonlocalBlock", "attention_of(block, x)"),
        ),
        Case(
            "One position in place of a list of them",
            "plot_block_attention(attention_of(block, maps), (0, 0))",
            TypeError,
            ("a list of 2 whole numbers each", "[(0, 0)]"),
        ),
        Case(
            "A position between pixels",
            "plot_block_attention(attention_of(block, maps), [(0.5, 0)])",
            TypeError,
            ("a list of 2 whole numbers each", "got (0.5, 0)"),
        ),
        Case(
            "No positions",
            "plot_block_attention(attention_of(block, maps), [])",
            ValueError,
            ("a list of 2 whole numbers each", "got none"),
        ),
        Case(
            "A position outside the map",
            "plot_block_attention(attention_of(block, maps), [(6, 0)])",
            ValueError,
            ("position (6, 0)", "outside the 6×6 map"),
        ),
        Case(
            "A head of a block that has one",
            'plot_block_attention(attention_of(block, maps), [(0, 0)], view="head 1")',
            ValueError,
            ('no view "head 1"', "one head", "Leave view out"),
        ),
        Case(
            "A block in place of its operator",
            "plot_attention_maps(block, (6, 6), [(0, 0)])",
            TypeError,
            ("an operator or matrix A", "got NonlocalBlock", "block.affinity_of(x)"),
        ),
        Case(
            "The operators of a whole batch",
            "plot_attention_maps(block.affinity_of(maps), (6, 6), [(0, 0)])",
            ValueError,
            ("needs A of shape (36, 36)", "got (1, 36, 36)", "pass one item"),
        ),
        Case(
            "A batch where one map belongs",
            "plot_feature_map(torch.ones(2, 4, 6, 6))",
            ValueError,
            ("(1, C, *spatial)", "got (2, 4, 6, 6)", "x[:1]"),
            "philipperemy/keract#46, cftang0827/face_alignment#2",
        ),
        Case(
            "Two maps in place of a block and a map",
            "plot_before_and_after(maps, maps)",
            TypeError,
            ("of a Module", "got Tensor", "the block and the feature map"),
        ),
        Case(
            "A signal of other nodes",
            "plot_graph_signal(graph, torch.ones(5))",
            ValueError,
            ("each of the 4 nodes", "got shape (5,)"),
        ),
        Case(
            "A complex signal",
            "plot_graph_signal(graph, torch.ones(4) * 1j)",
            ValueError,
            ("this signal is complex", "its real and its imaginary part"),
            "openPMD/openPMD-viewer#353",
        ),
        Case(
            "A signal on a matrix",
            "plot_graph_signal(torch.ones(4, 4), torch.ones(4))",
            TypeError,
            ("of a Graph", "got Tensor", "networkx.from_numpy_array"),
        ),
        Case(
            "A signal of another grid",
            "plot_grid_signal(torch.ones(16), (4, 5))",
            ValueError,
            ("(4, 5) holds 20 numbers", "got shape (16,)"),
        ),
        Case(
            "The attention of a convolution",
            "attention_of(nn.Conv2d(4, 4, 1), maps)",
            TypeError,
            ("Conv2d has no affinity_of(x)", "expected a nonlocal block", "block_inputs"),
        ),
        Case(
            "The blocks of a network without any",
            "block_inputs(nn.Sequential(nn.Conv2d(4, 4, 1)), maps)",
            ValueError,
            ("has no nonlocal block", "insert_block(model, after=...)"),
        ),
        Case(
            "A page about a network",
            "explore(block, maps)",
            TypeError,
            ("a mapping of names", "got Tensor", "block_inputs(model, x)"),
        ),
        Case(
            "A page about nothing",
            "explore(None, {})",
            ValueError,
            ("no block to look at", "expected at least one"),
        ),
        Case(
            "A page heavier than allowed",
            'explore(None, {"snl": (block, maps)}, max_bytes=1000)',
            ValueError,
            ("more than the 1,000 allowed", "Take fewer positions"),
            elided=(r"weigh [\d,]+ bytes", r"(?<=; )[\d,]+(?= of them)"),
        ),
        Case(
            "A monitor of a network without blocks",
            "BlockMonitor(nn.Conv2d(3, 3, 1))",
            ValueError,
            ("no nonlocal block to watch", "insert_block(model, after=...)"),
        ),
        Case(
            "A monitor that never looks",
            "BlockMonitor(block, every=0)",
            ValueError,
            ("every is a whole number ≥ 1", "got 0"),
            "deepfindr/gnn-project#9, deepset-ai/FARM#307",
        ),
        Case(
            "A file as the monitor's log",
            'BlockMonitor(block, log="log.csv")',
            TypeError,
            ("called with the numbers and the step", "got 'log.csv'", "wandb.log"),
        ),
        Case(
            "A log without the step",
            "BlockMonitor(block, log=lambda numbers: print(numbers))",
            TypeError,
            ("called with the numbers and the step", "too many positional", "wandb.log"),
        ),
        Case(
            "An observation of a convolution",
            "observe(nn.Conv2d(4, 4, 1), maps)",
            TypeError,
            ("looks at a NonlocalBlock", "got Conv2d"),
        ),
    ),
)
