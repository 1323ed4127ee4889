"""What is repeated over the seeds of a study, and what one repetition gives."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What one run gave.

    Attributes:
        accuracy: On the whole test part, after the last epoch; a fraction of 1.
        train_loss: Mean over the steps of the last epoch.
        parameters: Of everything that was trained.
    """

    accuracy: float
    train_loss: float
    parameters: int


@dataclass(frozen=True)
class Trial:
    """Everything that decides a run but its seed. Subclasses are frozen dataclasses too."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets that must lie on the disk before it can run; none that come with a package."""
        return ()

    @abstractmethod
    def run(self, seed: int, data: Path) -> Outcome:
        """Train and test once.

        Args:
            seed: Of weights, order and splits. Trials that are compared use it for the same
                things in the same way, so that runs of one seed are paired.
            data: Folder of the data sets.
        """

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, the same for equal trials on every machine.

        Fields that have their default value are left out, so that a new field with a default does
        not disown the runs that were made before it.
        """
        text = json.dumps([type(self).__name__, _spelled_out(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _spelled_out(value: Any) -> Any:
    if not dataclasses.is_dataclass(value):
        return list(value) if isinstance(value, tuple) else value
    found = {}
    for field in dataclasses.fields(value):
        own = getattr(value, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if own != default:
            found[field.name] = _spelled_out(own)
    return found
