"""A study that takes no time: its runs write down that they were made, and may fail on purpose."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from models.studies.study import Study
from models.studies.trial import Outcome, Trial


@dataclass(frozen=True)
class Toy(Trial):
    level: float
    ending: str = "well"
    seconds: float = 0.0

    def run(self, seed: int, data: Path) -> Outcome:
        with (data / "made.txt").open("a") as file:
            file.write(f"{self.level} {seed}\n")
        time.sleep(self.seconds)
        if self.ending == "error" and not (data / "mended").exists():
            raise RuntimeError("no luck,\ntoday")
        if self.ending == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(self.level + seed / 100, 1.5, 7)


def toy_study(ending: str = "well", *, rows: int = 3, seeds: int = 2, seconds: float = 0) -> Study:
    """Rows "0", "1", ... of accuracy 0.1 and up; row "1" ends as told."""
    trials = {
        str(row): Toy(row / 10 + 0.1, ending if row == 1 else "well", seconds)
        for row in range(rows)
    }
    return Study("Toy", "None.", "toy.csv", {"": trials}, seeds, references=("0",))
