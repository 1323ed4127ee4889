"""Measure a checkpoint: ``python -m models.evaluate CKPT [options]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from lightning import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from rich.console import Console

from models.checkpoints import progress_of, read_checkpoint
from models.entry import devices_of, errors_on_one_line, print_results, quiet
from models.learners import trained_learner
from models.loading import data_of

PROGRAM = "python -m models.evaluate"


def evaluate(
    checkpoint: Path,
    data: Path = Path("data"),
    download: bool = False,
    accelerator: str = "auto",
    devices: str = "1",
    batch_size: int | None = None,
    batches: int | None = None,
    workers: int | None = None,
) -> dict[str, float]:
    """What the task of a checkpoint measures on the test part of its data set.

    Args:
        checkpoint: A file that models.train wrote; it tells its network and data set.
        data: Folder that holds the data sets.
        download: Fetch missing data.
        accelerator: "cpu", "gpu", "mps" or "auto".
        devices: How many, a list, or "auto". With more than one, the last batches are filled up
            with images seen before, as Lightning does; one device counts each image once.
        batch_size: Images at a time; by default that of the training.
        batches: At most so many; by default all. Of persons to be found again, that are some
            queries with an answer each.
        workers: Processes that prepare items; by default as many as the data set needs.

    Returns:
        ``test_loss``, and the fractions ``test_top1`` and ``test_top5``, or ``test_rank1`` and
        ``test_mAP`` of re-identification.

    Raises:
        CheckpointError: If the checkpoint cannot be used.
        DataFileError: If a data file is missing or corrupt.
        ValueError: If a number is below 1, or the folder has other classes.
    """
    for name, value in (("batch_size", batch_size), ("batches", batches)):
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1; got {value}.")
    content = read_checkpoint(checkpoint)
    return measure(
        content, checkpoint, data, download, accelerator, devices, batch_size, batches, workers
    )


def measure(
    content: dict[str, Any],
    checkpoint: Path,
    data: Path,
    download: bool = False,
    accelerator: str = "auto",
    devices: str = "1",
    batch_size: int | None = None,
    batches: int | None = None,
    workers: int | None = None,
) -> dict[str, float]:
    """As :func:`evaluate`, of a checkpoint that has been read: ``content``, from ``checkpoint``."""
    model = trained_learner(content, checkpoint)
    recipe = model.recipe
    if not recipe.source.num_classes:  # a person's own folder, which may have others
        recipe.at(data)
    size = batch_size or recipe.batch_size
    module = data_of(
        recipe,
        data,
        batch_size=size,
        download=download,
        test_items=None if batches is None else batches * size,
        workers=workers,
    )
    trainer = Trainer(
        accelerator=accelerator,
        devices=devices_of(devices),
        limit_test_batches=batches,
        logger=False,
        enable_checkpointing=False,
        callbacks=[RichProgressBar()],
        enable_model_summary=False,
    )
    (metrics,) = trainer.test(model, datamodule=module, verbose=False)
    found = {name: float(value) for name, value in metrics.items()}
    rank_zero_only(print_results)(
        Console(),
        f"{recipe.network} on {recipe.dataset}, test part",
        model,
        found,
        {"epochs trained": str(progress_of(content)[0]), "checkpoint": str(checkpoint)},
    )
    return found


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = ArgumentParser(
        prog=PROGRAM,
        exit_on_error=False,
        allow_abbrev=False,
        description="Measure a checkpoint on the test part.",
    )
    parser.add_argument("checkpoint", type=Path, help="A file that models.train wrote.")
    parser.add_argument(
        "--data", type=Path, default="data", help="Folder that holds the data sets."
    )
    parser.add_argument("--download", action="store_true", help="Fetch missing data.")
    parser.add_argument("--accelerator", default="auto", help='"cpu", "gpu", "mps" or "auto".')
    parser.add_argument("--devices", type=str, default="1", help='How many, a list, or "auto".')
    parser.add_argument("--batches", type=int | None, help="At most so many; by default all.")
    parser.add_argument("--workers", type=int | None, help="Processes that prepare images.")
    parser.add_argument("--batch_size", type=int | None, help="Images at a time; as in training.")
    with quiet(), errors_on_one_line(PROGRAM):
        chosen = parser.parse_args(sys.argv[1:] if args is None else list(args))
        evaluate(**chosen.as_dict())


if __name__ == "__main__":
    main()
