"""A table of a study as data: trials by setting and row, repeated over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from models.studies.trial import Trial


@dataclass(frozen=True)
class Run:
    """One run of a table.

    Attributes:
        setting, row: Where it stands in the table.
        seed: Of the run.
        trial: What to do.
    """

    setting: str
    row: str
    seed: int
    trial: Trial

    @property
    def key(self) -> tuple[str, int]:
        """Equal runs have equal keys, whichever table they stand in."""
        return self.trial.fingerprint(), self.seed

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.row}{f', {self.setting}' if self.setting else ''}, seed {self.seed}"


@dataclass(frozen=True)
class Study:
    """One table.

    Args:
        title: For people.
        budget: What a run is, in a sentence or two.
        results: Name of the CSV file that holds its runs; tables may share one, and with it the
            runs they have in common.
        trials: By setting, then by row.
        seeds: How many, from 0 on.
        references: Rows that the others are compared with, seed by seed.
        setting_label: What a setting is; empty where there is one only.
        paper: Top-1 in the paper of (setting, row), in percent.
        paper_label: Which table of the paper, and on what.
    """

    title: str
    budget: str
    results: str
    trials: Mapping[str, Mapping[str, Trial]]
    seeds: int
    references: tuple[str, ...]
    setting_label: str = ""
    paper: Mapping[tuple[str, str], float] = field(default_factory=dict)
    paper_label: str = ""

    def items(self) -> Iterator[tuple[tuple[str, str], Trial]]:
        """((setting, row), trial) of every place in the table."""
        for setting, rows in self.trials.items():
            for row, trial in rows.items():
                yield (setting, row), trial

    def runs(self, seeds: int | None = None) -> list[Run]:
        """Every different run, seed by seed, so that what is done so far is paired.

        Args:
            seeds: Only so many of them.
        """
        found: dict[tuple[str, int], Run] = {}
        for seed in range(self.seeds if seeds is None else min(seeds, self.seeds)):
            for (setting, row), trial in self.items():
                run = Run(setting, row, seed, trial)
                found.setdefault(run.key, run)
        return list(found.values())
