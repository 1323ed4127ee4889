"""Train a network by a recipe: ``python -m models.train RECIPE [options]``.

RECIPE is a name in ``models/recipes`` or the path of a YAML file; every key of it is also an option
that overrides it: ``python -m models.train digits --block nl --epochs 5``.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning import Trainer, seed_everything
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from rich.console import Console

from models.checkpoints import (
    progress_of,
    read_checkpoint,
    require_same_architecture,
    require_same_course,
)
from models.entry import errors_on_one_line, print_results, quiet
from models.evaluate import measure
from models.learners import learner_of
from models.loading import ResumableData, data_of
from models.pretrained import load_pretrained
from models.recipe import RECIPES, Recipe, recipe_path
from models.saving import require_as_many_processes
from models.sharding import whole
from models.trainer import STRATEGIES, make_trainer, told_where_to_go_on
from models.training import Learner
from snl_graph.names import lookup

PROGRAM = "python -m models.train"
RUN_OPTIONS = (
    *("data", "download", "workers", "resume", "out", "checkpoint_every", "dry_run", "monitor"),
    *("accelerator", "devices", "strategy", "precision", "deterministic"),
)
"""Options that decide where and how a run is made, not what it learns."""

DRY_BATCH = 4
DRY_BATCHES = 2
"""Images in a batch, and batches in an epoch, of a dry run."""


def parser() -> ArgumentParser:
    """Options of the command line: those of a run, and every key of a recipe."""
    names = ", ".join(path.stem for path in sorted(RECIPES.glob("*.yaml")))
    made = ArgumentParser(
        prog=f"{PROGRAM} RECIPE",
        exit_on_error=False,
        allow_abbrev=False,
        description=f"Train a network by RECIPE: a YAML file, one of {names}, or a row of the "
        f"paper's tables 2 to 9, such as table5_snl_x3; python -m models.paper lists them.",
    )
    made.add_argument("--config", action="config", help="A further YAML file, laid over RECIPE.")
    made.add_argument("--data", type=Path, default="data", help="Folder that holds the data sets.")
    made.add_argument("--download", action="store_true", help="Fetch missing data.")
    made.add_argument("--resume", type=Path | None, help="Checkpoint to go on from.")
    made.add_argument(
        "--checkpoint_every", type=int, default=0, help="Steps between checkpoints in an epoch."
    )
    made.add_argument(
        "--dry-run", "--dry_run", action="store_true", help="Prove that the recipe runs; keep none."
    )
    made.add_argument("--out", type=Path, default="runs", help="Folder of the run folders.")
    made.add_argument("--accelerator", default="auto", help='"cpu", "gpu", "mps" or "auto".')
    made.add_argument("--devices", type=str, default="auto", help='How many, a list, or "auto".')
    made.add_argument("--precision", type=str, default="32-true", help='Such as "bf16-mixed".')
    made.add_argument("--strategy", default="auto", help=f"One of {', '.join(STRATEGIES)}.")
    made.add_argument("--workers", type=int | None, help="Processes that prepare images.")
    made.add_argument(
        "--deterministic", action="store_true", help="Refuse what gives other bits each time."
    )
    made.add_argument("--monitor", type=int, default=0, help="Steps between looks at each block.")
    made.add_class_arguments(Recipe)
    return made


def parse(args: Sequence[str]) -> tuple[str, Recipe, Namespace]:
    """Name of the recipe, the recipe with its overrides, and the options of the run.

    Raises:
        ValueError: If a name, key, option or value is unknown; lists the choices.
    """
    made = parser()
    if not args or args[0] in ("-h", "--help"):
        made.print_help()
        raise SystemExit(0 if args else 2)
    path = recipe_path(args[0])
    options = dict.fromkeys(("help", "config", "print_config", *RUN_OPTIONS))
    options |= {recipe_field.name: None for recipe_field in fields(Recipe)}
    for arg in args[1:]:
        if arg.startswith("--"):
            name = arg[2:].split("=")[0].split(".")[0].removesuffix("+").replace("-", "_")
            lookup(options, name, "option")
    chosen = made.parse_args(["--config", str(path), *args[1:]])
    values: dict[str, Any] = {f.name: chosen[f.name] for f in fields(Recipe)}
    for key in ("block_options", "rates", "task_options"):
        if isinstance(values[key], Namespace):
            values[key] = values[key].as_dict()
    return path.stem, Recipe(**values), chosen


@rank_zero_only
def _open_run_folder(folder: Path, trainer: Trainer, recipe: Recipe) -> None:
    folder.mkdir(parents=True)  # fails if another run has taken it meanwhile
    for logger in trainer.loggers:
        _ = logger.experiment  # type: ignore[attr-defined]  # opens its files in the empty folder
    text = yaml.safe_dump(recipe.to_dict(), sort_keys=False)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """What a training run leaves.

    Attributes:
        folder: Its recipe, logs and checkpoints.
        checkpoint: The last one.
        metrics: Last value of everything that was logged.
        model: As the last step left it.
    """

    folder: Path
    metrics: dict[str, float]
    model: Learner

    @property
    def checkpoint(self) -> Path:
        """Written at the end of the last epoch."""
        return self.folder / "checkpoints" / "last.ckpt"


def prepare_model(recipe: Recipe, resume: Path | None, *, download: bool = False) -> Learner:
    """The recipe's network with the weights it starts from, and what it learns.

    Raises:
        CheckpointError: If the checkpoint to resume does not fit or the weights cannot be used.
        ValueError: If the checkpoint leaves nothing to do.
    """
    model = learner_of(recipe)
    if resume is not None:
        content = read_checkpoint(resume)
        require_same_architecture(content, model, resume)
        finished, _ = progress_of(content)
        if finished >= recipe.epochs:
            raise ValueError(
                f"{resume} has finished epoch {finished} of {recipe.epochs}: "
                f"nothing is left to train. Give more, for instance --epochs {2 * recipe.epochs}."
            )
    elif recipe.pretrained is not None:
        matched = load_pretrained(model.network, recipe.pretrained, download=download)
        text = f"{recipe.pretrained}: {matched}."
        rank_zero_only(Console().print)(text, highlight=False, soft_wrap=True)
    model.prepare()
    return model


def train(name: str, recipe: Recipe, options: Namespace, batches: int | None = None) -> Run:
    """Train. Everything that can be wrong is looked at before anything is written.

    Args:
        name: Of the recipe; the run folder is below a folder of that name.
        recipe: What to train, and how.
        options: Of the command line, as :func:`parse` gives them.
        batches: At most so many of each part in an epoch.

    Raises:
        RunStoppedError: If a full disk, an unreadable item or a loss that is no number ended it.
        ValueError: If something about the recipe, the data or the checkpoint is wrong.
    """
    if options.checkpoint_every < 0:
        raise ValueError(f"--checkpoint_every must be at least 0; got {options.checkpoint_every}.")
    if options.monitor and recipe.block is None:
        raise ValueError(
            f"--monitor {options.monitor} watches blocks, and this recipe has none. Name one, for "
            "instance --block snl --after [layer2.0], or leave out --monitor."
        )
    seed_everything(recipe.seed, workers=True, verbose=False)
    data = data_of(
        recipe,
        options.data,
        download=options.download,
        test_items=None if batches is None else batches * recipe.batch_size,
        workers=options.workers,
    )
    rank_zero_only(data.prepare_data)()
    recipe = recipe.at(options.data)
    model = prepare_model(recipe, options.resume, download=options.download)
    data.setup()
    steps = min(len(data.train_dataloader()), batches or sys.maxsize)
    trainer = make_trainer(name, recipe, options, steps, model, batches)
    if options.resume is not None:
        content = read_checkpoint(options.resume)
        require_as_many_processes(content, trainer.num_devices, options.resume)
        require_same_course(content, recipe, options.resume)
    # Lightning reads a checkpoint before it does so, and would round float64 to float32.
    trainer.precision_plugin.convert_module(model)
    folder = Path(str(trainer.log_dir))
    _open_run_folder(folder, trainer, recipe)
    start = time.perf_counter()
    with told_where_to_go_on(trainer):
        trainer.fit(
            model,
            datamodule=ResumableData(data, recipe.seed, options.workers),
            ckpt_path=options.resume,
            weights_only=True,
        )
    folder = Path(str(trainer.log_dir))  # where several train together, that of the first
    metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
    if trainer.is_global_zero:
        print_results(
            Console(),
            f"{name}, test part after epoch {trainer.current_epoch}",
            model,
            metrics,
            {"seconds": f"{time.perf_counter() - start:.0f}", "run folder": str(folder)},
        )
    return Run(folder, metrics, model)


def wait_for_others() -> int:
    """How many processes train together, once all have come as far as this."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    torch.distributed.barrier()
    return torch.distributed.get_world_size()


def part_from_others() -> None:
    """End the group of processes that trained together, while Python is still whole.

    A thread of gloo that lets go of the last tensor when Python is already being taken down ends
    its process with "terminate called without an active exception" (PyTorch's pull request 179291).
    """
    wait_for_others()  # who leaves first would take the connection from under the last one's step
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def dry_run(name: str, recipe: Recipe, options: Namespace) -> None:
    """Prove that a recipe runs from end to end, on a few images, and leave nothing behind.

    One epoch of two small batches (and one more after frozen epochs) with a checkpoint after each
    step, then the whole way back: the checkpoint is read, its weights compared with the run's, and
    everything measured again that the run had measured.

    Raises:
        RuntimeError: If the checkpoint does not give what the run gave.
    """
    start = time.perf_counter()
    batch_size, frozen = min(recipe.batch_size, DRY_BATCH), min(recipe.frozen_epochs, 1)
    short = replace(
        recipe,
        task_options=asdict(recipe.learning.small(batch_size)),
        test_clips=min(recipe.test_clips, 2),
        test_every=1,
        epochs=min(recipe.epochs, 1 + frozen),
        batch_size=batch_size,
        warmup_epochs=min(recipe.warmup_epochs, 1),
        frozen_epochs=frozen,
        accumulate=1,
    )
    with TemporaryDirectory(prefix="dry_run_") as folder:
        options = options.clone()
        options.out, options.checkpoint_every = Path(folder), 1
        run = train(name, short, options, DRY_BATCHES)
        content = read_checkpoint(run.checkpoint)
        found = measure(
            content,
            run.checkpoint,
            options.data,
            accelerator=options.accelerator,
            batches=DRY_BATCHES,
            workers=options.workers,
        )
        processes = wait_for_others()  # before the folder goes
    for weight, value in run.model.state_dict().items():
        if not torch.equal(content["state_dict"][weight], whole(value).cpu()):
            raise RuntimeError(f"the checkpoint of {name} has not the run's {weight}.")
    if DRY_BATCHES * batch_size % processes:  # some items have counted twice in the run
        found = {}
    for what, value in found.items():
        before = run.metrics[what]
        # A step from scratch may leave a deep network that overflows in testing, both times alike.
        both_overflow = math.isnan(value) and math.isnan(before)
        if not both_overflow and not math.isclose(value, before, rel_tol=1e-3, abs_tol=1e-3):
            raise RuntimeError(
                f"the checkpoint of {name} has a {what} of {value}, its run had {before}: it "
                f"does not hold all that decides the result."
            )
    rank_zero_only(Console().print)(
        f"{name}: trained, tested, saved, read and measured again in "
        f"{time.perf_counter() - start:.0f} s; nothing was kept.",
        highlight=False,
    )


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    with quiet(), errors_on_one_line(PROGRAM):
        name, recipe, options = parse(sys.argv[1:] if args is None else args)
        if options.dry_run:
            dry_run(name, recipe, options)
        else:
            train(name, recipe, options)
        part_from_others()


if __name__ == "__main__":
    main()
