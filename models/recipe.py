"""A recipe: everything that decides a training run, as one YAML file holds it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from models.data import DATASETS, ClipSpec, DatasetSpec
from models.networks import NETWORKS
from models.norms import NORMS
from models.rivals import RIVALS
from models.schedules import OPTIMIZERS, SCHEDULES
from models.tasks import Task, task_of
from snl_graph.names import lookup

RECIPES = Path(__file__).parent / "recipes"
PAPER_RECIPES = RECIPES / "paper"
"""Rows of the paper's tables; :mod:`models.paper` writes them."""
BlockOption = int | float | bool | str


@dataclass(frozen=True)
class Recipe:
    """Network, blocks, data and schedule of one run.

    Args:
        network: Name in the table of networks.
        dataset: Name in the table of data sets.
        task: "classification", "distillation" or "reidentification".
        task_options: What that task alone has, e.g. ``margin: 0.3`` (see :mod:`models.tasks`).
        block: Block to insert ("snl", "nl", ...); null for none.
        after: Submodules of the network that get a block each.
        block_options: Further arguments of the block, e.g. ``reduction: 4``.
        rival: "se", "ge" or "cgd" in every residual block of a ResNet; null for none.
        zero_init: Whether a block starts as the identity; for pretrained networks.
        norm: "batch" or "group", of the network and, unless block_options say otherwise, its block.
        pretrained: Weights to start from: a file, or a name of torchvision (see
            :func:`models.pretrained.load_pretrained`).
        size: Height and width in pixels; null for the data set's.
        split: Official split of the data set; null for the first.
        frames: Of a clip; null for the data set's.
        stride: Frames of a video from one of a clip to the next; null for the data set's.
        test_clips: Clips of each test video, whose probabilities are averaged.
        test_every: Epochs from one look at the test part to the next.
        classes: Names of the classes; training fills them in from the data.
        epochs: Passes over the training part.
        batch_size: Images at a time and device.
        accumulate: Batches whose gradients make one step.
        clip_norm: Largest norm of the gradient of a step; 0 for any.
        optimizer: "sgd" (Nesterov off), "adam" or "adamw".
        learning_rate: At the end of the warm-up.
        rates: Factor of the learning rate by pattern of a parameter's name in the network, e.g.
            ``{"layer1.*": 0.1}``; the first that matches decides.
        frozen_epochs: Epochs at the start in which blocks and the last layer learn alone.
        momentum: Of SGD.
        dampening: Of SGD: a gradient enters the momentum times 1 − dampening.
        weight_decay: On every parameter.
        schedule: "multi_step" or "cosine".
        warmup_epochs: Linear warm-up from zero.
        milestones: Epochs after which multi_step multiplies the learning rate by ``gamma``.
        gamma: That factor.
        crop_padding: Random crop after padding by so many pixels; 0 for none.
        flip: Random mirror image.
        seed: Of weights, order and augmentation.

    Raises:
        ValueError: If a name is unknown or a number out of its range.

    Example:
        >>> Recipe(network="preresnet8", dataset="digits", epochs=2).schedule
        'multi_step'
    """

    network: str
    dataset: str
    task: str = "classification"
    task_options: dict[str, BlockOption | None] = field(default_factory=dict)
    block: str | None = None
    after: tuple[str, ...] = ()
    block_options: dict[str, BlockOption] = field(default_factory=dict)
    rival: str | None = None
    zero_init: bool = False
    norm: str = "batch"
    pretrained: str | None = None
    size: tuple[int, int] | None = None
    split: int | None = None
    frames: int | None = None
    stride: int | None = None
    test_clips: int = 1
    test_every: int = 1
    classes: tuple[str, ...] = ()
    epochs: int = 10
    batch_size: int = 128
    accumulate: int = 1
    clip_norm: float = 0.0
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    rates: dict[str, float] = field(default_factory=dict)
    frozen_epochs: int = 0
    momentum: float = 0.9
    dampening: float = 0.0
    weight_decay: float = 1e-4
    schedule: str = "multi_step"
    warmup_epochs: float = 0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    crop_padding: int = 0
    flip: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        lookup(NETWORKS, self.network, "network")
        lookup(DATASETS, self.dataset, "data set")
        lookup(NORMS, self.norm, "norm")
        lookup(OPTIMIZERS, self.optimizer, "optimizer")
        lookup(SCHEDULES, self.schedule, "schedule")
        if self.rival is not None:
            lookup(RIVALS, self.rival, "rival")
        self.learning.check(self.dataset, DATASETS[self.dataset], self.batch_size)
        leasts = {"epochs": 1, "batch_size": 1, "accumulate": 1, "clip_norm": 0}
        leasts |= {"frozen_epochs": 0, "crop_padding": 0, "seed": 0}
        leasts |= {
            "test_clips": 1,
            "test_every": 1,
            "momentum": 0,
            "dampening": 0,
            "weight_decay": 0,
        }
        for name, least in leasts.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}; got {getattr(self, name)}.")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size must be at least 1×1; got {self.size[0]}×{self.size[1]}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0; got {self.learning_rate}.")
        if not 0 <= self.warmup_epochs <= self.epochs:
            raise ValueError(
                f"warmup_epochs must lie in 0 .. epochs = {self.epochs}; got {self.warmup_epochs}."
            )
        if self.epochs % self.test_every:
            raise ValueError(
                f"test_every must divide epochs = {self.epochs}, so that the last one is measured; "
                f"got {self.test_every}."
            )
        if self.frozen_epochs and self.pretrained is None:
            raise ValueError(
                f"frozen_epochs = {self.frozen_epochs} would keep a network as it is that has "
                f"learned nothing. Name its weights with pretrained, or leave frozen_epochs out."
            )
        if self.block is not None and not self.after:
            raise ValueError(
                f'block "{self.block}" has no place in the network. Name one, for instance '
                f"after: [layer1.0], or leave block empty."
            )

    @property
    def learning(self) -> Task:
        """The task with its options."""
        return task_of(self.task, self.task_options)

    @property
    def source(self) -> DatasetSpec:
        """The data set as this recipe takes it; of a person's own, the classes may be unknown.

        Raises:
            ValueError: If it has no such split, or no such clips.
        """
        spec = DATASETS[self.dataset]
        if self.split is not None:
            spec = spec.split(self.split)
        if self.size is not None:
            spec = spec.sized(self.size)
        for name in ("frames", "stride"):
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(spec, ClipSpec) or not hasattr(spec.sampling, name):
                raise ValueError(
                    f'"{self.dataset}" has no clips, or none with a {name}; leave out '
                    f"{name} = {value}."
                )
            spec = replace(spec, sampling=replace(spec.sampling, **{name: value}))
        return spec

    @property
    def spec(self) -> DatasetSpec:
        """The data set as the network sees it, with as many classes as it tells apart.

        Raises:
            ValueError: If it has no such split or clips, or only its folder can tell how many
                classes it has and :attr:`classes` is empty.
        """
        spec = self.source
        if self.classes:
            spec = replace(spec, num_classes=len(self.classes))
        if not spec.num_classes:
            raise ValueError(
                f'only its folder tells the classes of "{self.dataset}": name it with --data ROOT, '
                f"or the classes with --classes [cat, dog]."
            )
        return spec

    def at(self, root: Path) -> Recipe:
        """The same with the classes that the data in a folder have.

        Raises:
            DataFileError: If what tells them is missing or corrupt.
            ValueError: If :attr:`classes` are others: their numbers would mean something else.
        """
        spec = DATASETS[self.dataset]
        if self.split is not None:
            spec = spec.split(self.split)
        if spec.layout is not None:
            found = tuple(spec.layout.classes(root))
        else:  # it has no names for them
            found = self.classes if len(self.classes) == spec.num_classes else ()
        if self.classes and self.classes != found:
            has = _some(found) if found else f"{spec.num_classes} classes"
            raise ValueError(
                f"the network is to tell apart {_some(self.classes)}; {self.dataset} at {root} has "
                f"{has}. Name the folder of the same classes with --data ROOT, or leave out "
                f"--classes."
            )
        return replace(self, classes=found)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary, lists in place of tuples, as YAML and checkpoints hold it."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe that :meth:`to_dict` wrote."""
        restored: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**restored)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def recipe_path(name: str) -> Path:
    """File of a recipe given by its path or by its name in ``models/recipes``.

    Raises:
        FileNotFoundError: If a path to a YAML file was given and there is no such file.
        ValueError: If there is no recipe of that name; lists the choices. Also if the file holds
            an unknown key, or is no mapping.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise FileNotFoundError(f"no recipe at {path}; expected a YAML file.")
    else:
        path = lookup(_choices(name), name, "recipe")
    try:
        keys = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML file: {error}") from error
    if not isinstance(keys, dict):
        raise ValueError(f"{path} must hold `key: value` lines; it holds {keys!r}.")
    choices = {recipe_field.name: None for recipe_field in dataclasses.fields(Recipe)}
    for key in keys:
        lookup(choices, str(key), f"key in {path}:")
    return path


def _choices(name: str) -> dict[str, Path]:
    """Recipes that such a name may mean: of one table of the paper, or those of no table."""
    folder, prefix = RECIPES, ""
    if name.startswith("table"):
        folder, prefix = PAPER_RECIPES, name.split("_")[0] + "_"
    found = {path.stem: path for path in sorted(folder.glob(f"{prefix}*.yaml"))}
    if not found:
        tables = sorted({path.stem.split("_")[0] for path in PAPER_RECIPES.glob("*.yaml")})
        raise ValueError(
            f'unknown recipe "{name}": recipes of the paper are of {tables[0]} to {tables[-1]}. '
            f"python -m models.paper lists them."
        )
    return found
