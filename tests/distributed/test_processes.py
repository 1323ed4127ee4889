"""A program that hangs, dies or fails on some process fails its test, and soon."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist

from tests.distributed.processes import Processes

Group = Callable[[int], Processes]


def sum_of_ranks() -> float:
    total = torch.tensor(float(dist.get_rank()))
    dist.all_reduce(total)
    return float(total)


def reduce_on_the_first_only() -> None:
    if dist.get_rank() == 0:
        sum_of_ranks()


def die_on_the_last() -> None:
    if dist.get_rank() == 1:
        os._exit(1)
    sum_of_ranks()


def fail_on_the_last() -> None:
    if dist.get_rank() == 1:
        raise KeyError("unheard of")
    sum_of_ranks()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (reduce_on_the_first_only, r"\[0\] hang"),
        (die_on_the_last, r"process 1 of 2 .*it died|process 0 of 2 failed"),
        (fail_on_the_last, "process 1 of 2 failed(.|\n)*unheard of"),
    ],
)
def test_a_program_that_goes_wrong_fails_and_the_next_runs(
    group: Group, program: Callable[[], None], message: str
) -> None:
    processes = group(2)
    processes.patience = 2
    with pytest.raises(AssertionError, match=message):
        processes.run(program)
    assert not processes.is_running
    assert group(2).run(sum_of_ranks) == [1.0, 1.0]
