"""What the command lines share: a quiet terminal, and errors without a traceback."""

from __future__ import annotations

import logging
import math
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException
from rich.console import Console
from rich.table import Table
from torch import nn

from models.checkpoints import CheckpointError
from models.data import DataFileError

# Warnings of other packages about their own code, which a user of ours can do nothing about.
_NOT_OURS: tuple[tuple[type[Warning], str, str], ...] = (
    # PyG and Lightning still call TorchScript and old tree utilities of PyTorch when imported.
    (FutureWarning, r"`torch\.jit\.", ""),
    (DeprecationWarning, r"`torch\.jit\.", ""),
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated", ""),
    (DeprecationWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated", ""),
    # The small sets are tensors in memory: worker processes would only cost time.
    (UserWarning, r"The '\w+' does not have many workers", "lightning"),
    # torchdata tells PyTorch of its loader in a way that PyTorch no longer wants.
    (UserWarning, r"'set_vital' is deprecated", "torchdata"),
    # It takes one process that measures alone for one that trains with others.
    (UserWarning, r"It is recommended to use `self\.log\(.*, sync_dist=True\)`", "lightning"),
    # Resuming in a new run folder is what we do on purpose; ModelCheckpoint remarks on it.
    (UserWarning, r"The dirpath has changed from", "lightning"),
)


class RunStoppedError(RuntimeError):
    """Something ended a run; says what, and where to go on."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence other packages' remarks about themselves; everything else is shown."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for category, message, module in _NOT_OURS:
            warnings.filterwarnings("ignore", message, category, module)
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def errors_on_one_line(program: str) -> Iterator[None]:
    """Turn errors that need no traceback into a message.

    The exit status is 2 for what a caller can put right at once, 1 for what ended a run.
    """
    try:
        yield
    except (
        ArgumentError,
        CheckpointError,
        DataFileError,
        ValueError,
        FileNotFoundError,
        FileExistsError,
    ) as error:
        # jsonargparse shows values on lines of their own.
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from error
    except MisconfigurationException as error:
        print(
            f"{program}: error: {error} Look at --accelerator, --devices, --strategy and "
            f"--precision.",
            file=sys.stderr,
        )
        raise SystemExit(2) from error
    except (FloatingPointError, OSError, RunStoppedError) as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        print(f"\n{program}: stopped.", file=sys.stderr)
        raise SystemExit(130) from None


def devices_of(text: str) -> str | int | list[int]:
    """What Lightning takes for ``--devices``: "auto", a number, or a list such as "0,2".

    Example:
        >>> devices_of("auto"), devices_of("2"), devices_of("0,2")
        ('auto', 2, [0, 2])
    """
    if text == "auto":
        return text
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f'--devices is "auto", a number or a list like 0,2; got "{text}".'
        ) from None
    return numbers if len(numbers) > 1 else numbers[0]


MEASURES: dict[str, tuple[str, Callable[[float], str]]] = {
    "test_top1": ("Top-1 %", lambda value: f"{100 * value:.2f}"),
    "test_top5": ("Top-5 %", lambda value: f"{100 * value:.2f}"),
    "test_rank1": ("rank-1 %", lambda value: f"{100 * value:.2f}"),
    "test_mAP": ("mAP %", lambda value: f"{100 * value:.2f}"),
    "test_loss": ("loss", lambda value: f"{value:.4f}"),
}
"""What is measured on a test part: its label, and how it is printed."""


def print_results(
    console: Console, title: str, model: nn.Module, metrics: dict[str, float], rest: dict[str, str]
) -> None:
    """Table of what was measured, accuracies in percent, parameters, and the rest as it is."""
    table = Table(title=title, title_justify="left", show_header=False)
    for name, (label, printed) in MEASURES.items():
        if name in metrics:
            table.add_row(label, printed(metrics[name]))
    table.add_row("parameters", f"{sum(p.numel() for p in model.parameters()):,}")
    for label, value in rest.items():
        table.add_row(label, value)
    console.print(table)
    if not math.isfinite(metrics.get("test_loss", 0.0)):
        console.print(
            "The loss is no finite number: some answers of the network are not, and count as "
            "wrong. After a few steps of training the running statistics of batch norm are often "
            "the cause; later, a learning rate that is too high."
        )
