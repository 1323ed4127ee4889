"""Train a network by a recipe: ``python -m models.train RECIPE [options]``.

RECIPE is a name in ``models/recipes`` or the path of a YAML file; every key of it is also an option
that overrides it: ``python -m models.train digits --block nl --epochs 5``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from rich.console import Console

from models.checkpoints import read_checkpoint, require_same_architecture
from models.data import ImageDataModule
from models.entry import devices_of, errors_on_one_line, print_results, quiet
from models.recipe import RECIPES, Recipe, recipe_path
from models.training import Classifier
from snl_graph.monitor import MonitorCallback
from snl_graph.names import lookup

PROGRAM = "python -m models.train"


def parser() -> ArgumentParser:
    """Options of the command line: those of a run, and every key of a recipe."""
    names = ", ".join(path.stem for path in sorted(RECIPES.glob("*.yaml")))
    made = ArgumentParser(
        prog=f"{PROGRAM} RECIPE",
        exit_on_error=False,
        allow_abbrev=False,
        description=f"Train a network by RECIPE: a YAML file, or one of {names}.",
    )
    made.add_argument("--config", action="config", help="A further YAML file, laid over RECIPE.")
    made.add_argument("--data", type=Path, default="data", help="Folder that holds the data sets.")
    made.add_argument("--download", action="store_true", help="Fetch missing data.")
    made.add_argument("--resume", type=Path | None, help="Checkpoint to go on from.")
    made.add_argument("--out", type=Path, default="runs", help="Folder of the run folders.")
    made.add_argument("--accelerator", default="auto", help='"cpu", "gpu", "mps" or "auto".')
    made.add_argument("--devices", type=str, default="auto", help='How many, a list, or "auto".')
    made.add_argument("--precision", type=str, default="32-true", help='Such as "bf16-mixed".')
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
    options = dict.fromkeys(("help", "config", "data", "download", "resume", "out"))
    options |= dict.fromkeys(("accelerator", "devices", "precision", "monitor", "print_config"))
    options |= {recipe_field.name: None for recipe_field in fields(Recipe)}
    for arg in args[1:]:
        if arg.startswith("--"):
            name = arg[2:].split("=")[0].split(".")[0].removesuffix("+").replace("-", "_")
            lookup(options, name, "option")
    chosen = made.parse_args(["--config", str(path), *args[1:]])
    values: dict[str, Any] = {f.name: chosen[f.name] for f in fields(Recipe)}
    if isinstance(values["block_options"], Namespace):
        values["block_options"] = values["block_options"].as_dict()
    return path.stem, Recipe(**values), chosen


def make_trainer(name: str, recipe: Recipe, options: Namespace, steps_per_epoch: int) -> Trainer:
    """Trainer that writes to a run folder of its own, ``OUT/NAME/version_N`` with N not yet used.

    The last checkpoint is kept: none is chosen by its accuracy on the test part.
    """
    csv = CSVLogger(options.out, name=name)
    tensorboard = TensorBoardLogger(
        options.out, name=name, version=csv.version, default_hp_metric=False
    )
    return Trainer(
        accelerator=options.accelerator,
        devices=devices_of(options.devices),
        precision=options.precision,
        max_epochs=recipe.epochs,
        logger=[csv, tensorboard],
        callbacks=[
            ModelCheckpoint(
                filename="epoch={epoch}",
                auto_insert_metric_name=False,
                save_last=True,
                enable_version_counter=False,
            ),
            RichProgressBar(),
            *([MonitorCallback(every=options.monitor)] if options.monitor else []),
        ],
        num_sanity_val_steps=0,
        enable_model_summary=False,
        log_every_n_steps=max(
            1, min(50, steps_per_epoch // 16)
        ),  # in each epoch, on 16 devices too
    )


@rank_zero_only
def _open_run_folder(trainer: Trainer, recipe: Recipe) -> None:
    folder = Path(str(trainer.log_dir))
    folder.mkdir(parents=True)  # fails if another run has taken it meanwhile
    for logger in trainer.loggers:
        _ = logger.experiment  # type: ignore[attr-defined]  # opens its files in the empty folder
    text = yaml.safe_dump(recipe.to_dict(), sort_keys=False)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")


def train(name: str, recipe: Recipe, options: Namespace) -> Path:
    """Train, and return the run folder. Everything that can be wrong is looked at first."""
    if options.monitor and recipe.block is None:
        raise ValueError(
            f"--monitor {options.monitor} watches blocks, and this recipe has none. Name one, for "
            "instance --block snl --after [layer2.0], or leave out --monitor."
        )
    seed_everything(recipe.seed, workers=True, verbose=False)
    model = Classifier(recipe)
    if options.resume is not None:
        content = read_checkpoint(options.resume)
        require_same_architecture(content, model, options.resume)
        if content["epoch"] + 1 >= recipe.epochs:
            raise ValueError(
                f"{options.resume} has finished epoch {content['epoch'] + 1} of {recipe.epochs}: "
                f"nothing is left to train. Give more, for instance --epochs {2 * recipe.epochs}."
            )
    data = ImageDataModule(
        recipe.dataset,
        options.data,
        batch_size=recipe.batch_size,
        crop_padding=recipe.crop_padding,
        flip=recipe.flip,
        download=options.download,
    )
    rank_zero_only(data.prepare_data)()
    data.setup()
    trainer = make_trainer(name, recipe, options, len(data.train_dataloader()))
    folder = Path(str(trainer.log_dir))
    _open_run_folder(trainer, recipe)
    start = time.perf_counter()
    trainer.fit(model, datamodule=data, ckpt_path=options.resume, weights_only=True)
    if trainer.is_global_zero:
        print_results(
            Console(),
            f"{name}, test part after epoch {trainer.current_epoch}",
            model,
            {key: float(value) for key, value in trainer.callback_metrics.items()},
            {"seconds": f"{time.perf_counter() - start:.0f}", "run folder": str(folder)},
        )
    return folder


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    with quiet(), errors_on_one_line(PROGRAM):
        train(*parse(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
