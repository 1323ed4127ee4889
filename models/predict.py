"""Ask a checkpoint what is in pictures: ``python -m models.predict CHECKPOINT FILE... [options]``.

Videos are asked about alike, where the checkpoint was trained with videos.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.transforms import v2

from models.checkpoints import CheckpointError, read_checkpoint
from models.data import FLOW_CHANNELS, ClipSpec, DataFileError, mean_over_clips
from models.data.pictures import Sample, is_picture, read_picture
from models.data.videos import Videos, is_video
from models.entry import errors_on_one_line, quiet
from models.learners import trained_learner
from models.loading import data_of
from models.recipe import Recipe
from models.training import Classifier

PROGRAM = "python -m models.predict"


@dataclass(frozen=True)
class Answer:
    """The likeliest classes of one file.

    Attributes:
        file: Which.
        classes: Their names, or numbers where the data set has no names; likeliest first.
        probabilities: Theirs.
    """

    file: str
    classes: list[str]
    probabilities: list[float]


def load(checkpoint: Path, accelerator: str = "cpu") -> Classifier:
    """The network of a checkpoint, ready to answer.

    Raises:
        CheckpointError: If the checkpoint cannot be used, or does not tell classes.
        ValueError: If there is no such accelerator here.
    """
    model = trained_learner(read_checkpoint(checkpoint), checkpoint)
    if not isinstance(model, Classifier):
        raise CheckpointError(
            f"{checkpoint} was trained for the task {model.recipe.task}, which names no classes. "
            f"Measure it with python -m models.evaluate."
        )
    if model.recipe.spec.in_channels == FLOW_CHANNELS:
        raise CheckpointError(
            f"{checkpoint} sees optical flow, which a video does not hold. Ask its student, or "
            f"measure it with python -m models.evaluate."
        )
    try:
        return model.eval().to({"gpu": "cuda"}.get(accelerator, accelerator))
    except (RuntimeError, AssertionError) as error:  # AssertionError: a PyTorch without CUDA
        raise ValueError(
            f'the accelerator "{accelerator}" is not to be had here: {error}. Take "cpu".'
        ) from error


def read(recipe: Recipe, file: Path) -> Tensor:
    """A picture or video as the network of a recipe takes it in testing.

    Shapes:
        (C, H, W) of a picture, (clips, C, T, H, W) of a video.

    Raises:
        DataFileError: If the file is missing, or cannot be read.
    """
    transform: Any = data_of(recipe, Path()).transform(train=False)
    if isinstance(recipe.spec, ClipSpec):
        if not file.exists():
            raise DataFileError(f"there is no {file}; expected a video, or a folder of frames.")
        clips: Tensor = Videos([Sample(str(file), 0)], transform)[0][0]
        return clips
    if not file.is_file():
        raise DataFileError(f"there is no {file}; expected a picture.")
    picture = read_picture(file)
    if recipe.spec.in_channels == 1:
        picture = picture.convert("L")
    if not recipe.spec.framing.test(recipe.spec.size):
        # Pictures of a data set in which all have one size may have any here.
        picture = v2.functional.resize(picture, list(recipe.spec.size))
    image: Tensor = transform(picture)
    return image


def predict(
    model: Classifier, files: Sequence[Path], top: int = 5, batch_size: int = 32
) -> list[Answer]:
    """The likeliest classes of every file.

    Args:
        model: What :func:`load` gave.
        files: Pictures or videos; a folder stands for what is in it, one that holds the frames of
            a video for that video.
        top: How many classes.
        batch_size: Files at a time.

    Raises:
        DataFileError: If a file is missing, or cannot be read.
        ValueError: If there is no file, or ``top`` is below 1.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1; got {top}.")
    files = _expanded(model.recipe, files)
    names = model.recipe.classes or tuple(map(str, range(model.recipe.spec.num_classes)))
    answers = []
    for start in range(0, len(files), batch_size):
        chosen = files[start : start + batch_size]
        batch = torch.stack([read(model.recipe, file) for file in chosen]).to(model.device)
        with torch.inference_mode():
            is_video = batch.dim() == 6
            found = mean_over_clips(model, batch) if is_video else model(batch).softmax(-1)
        best = found.double().topk(min(top, len(names)))
        for file, values, indices in zip(chosen, *map(Tensor.tolist, best), strict=True):
            answers.append(Answer(str(file), [names[i] for i in indices], values))
    return answers


def _expanded(recipe: Recipe, files: Sequence[Path]) -> list[Path]:
    clips = isinstance(recipe.spec, ClipSpec)
    is_wanted = is_video if clips else is_picture
    found: list[Path] = []
    for file in files:
        inside = sorted(path for path in file.rglob("*") if path.is_file())
        if not file.is_dir():
            found.append(file)
        elif clips and (pictures := [path for path in inside if is_picture(path.name)]):
            found += dict.fromkeys(path.parent for path in pictures)
        found += [path for path in inside if is_wanted(path.name)]
    if not found:
        what = "video" if clips else "picture"
        raise ValueError(f"there is no {what} to ask about; name files, or folders that hold some.")
    return found


def main(args: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = ArgumentParser(
        prog=PROGRAM,
        exit_on_error=False,
        allow_abbrev=False,
        description="Ask a checkpoint what is in pictures or videos.",
    )
    parser.add_argument("checkpoint", type=Path, help="A file that models.train wrote.")
    parser.add_argument("files", type=Path, nargs="+", help="Pictures, folders of them, videos.")
    parser.add_argument("--top", type=int, default=5, help="How many classes of each.")
    parser.add_argument("--json", action="store_true", help="One JSON object a line.")
    parser.add_argument("--accelerator", default="cpu", help='"cpu", "gpu" or "mps".')
    with quiet(), errors_on_one_line(PROGRAM):
        chosen = parser.parse_args(sys.argv[1:] if args is None else list(args))
        answers = predict(load(chosen.checkpoint, chosen.accelerator), chosen.files, chosen.top)
        if chosen.json:
            for answer in answers:
                likely = dict(zip(answer.classes, answer.probabilities, strict=True))
                print(json.dumps({"file": answer.file, "classes": likely}, ensure_ascii=False))
            return
        table = Table("file", *(f"{place}." for place in range(1, len(answers[0].classes) + 1)))
        for answer in answers:
            cells = zip(answer.classes, answer.probabilities, strict=True)
            table.add_row(answer.file, *(f"{name} {100 * p:.1f} %" for name, p in cells))
        Console().print(table)


if __name__ == "__main__":
    main()
