"""Work to compare: a block on a map, an operator on features, a layer on a sparse graph."""

from snl_graph.bench.problems.attention import AffinityProblem
from snl_graph.bench.problems.block import BlockProblem
from snl_graph.bench.problems.layer import LayerProblem

__all__ = ["AffinityProblem", "BlockProblem", "LayerProblem"]
