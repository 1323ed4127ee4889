"""One linear map, several interchangeable representations."""

from snl_graph.operators.base import AffinityOperator, ScaledOperator, SymmetrizedOperator
from snl_graph.operators.dense import DenseOperator, LogDenseOperator, densified
from snl_graph.operators.diagonal import Diagonal, LinearDiagonal, LogDiagonal
from snl_graph.operators.edges import EdgeOperator, LogEdgeOperator
from snl_graph.operators.factored import FactoredOperator
from snl_graph.operators.grid import GridOperator, LogGridOperator
from snl_graph.operators.sharded import FactoredShard, ShardedOperator
from snl_graph.operators.streaming import AttentionOperator, StreamingOperator

__all__ = [
    "AffinityOperator",
    "AttentionOperator",
    "DenseOperator",
    "Diagonal",
    "EdgeOperator",
    "FactoredOperator",
    "FactoredShard",
    "GridOperator",
    "LinearDiagonal",
    "LogDenseOperator",
    "LogDiagonal",
    "LogEdgeOperator",
    "LogGridOperator",
    "ScaledOperator",
    "ShardedOperator",
    "StreamingOperator",
    "SymmetrizedOperator",
    "densified",
]
