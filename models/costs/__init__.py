"""What blocks cost in a network: parameters, multiply-adds, memory kept for the backward pass."""

from models.costs.advisor import Advice, advise
from models.costs.block import BlockCost, block_cost, kept_numbers
from models.costs.counting import count_macs, count_parameters
from models.costs.positions import Position, Survey, survey

__all__ = [
    "Advice",
    "BlockCost",
    "Position",
    "Survey",
    "advise",
    "block_cost",
    "count_macs",
    "count_parameters",
    "kept_numbers",
    "survey",
]
