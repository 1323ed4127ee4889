"""The record of a study: one CSV line a finished run, and claims on the runs under way."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """One finished run, as a line of the CSV holds it.

    Attributes:
        setting: What a row is tried on, such as a distance or a graph; may be empty.
        row: What is compared.
        seed: Of the run.
        accuracy: Percent of the test part, after the last epoch; None for a run that failed.
        train_loss: Mean of the last epoch; None for a run that failed.
        parameters: Count; None for a run that failed.
        seconds: Of processor time, on one thread.
        error: Why the run failed; empty otherwise.
        torch: PyTorch's version.
        commit: Of the sources.
        trial: Fingerprint of everything that decides the run but its seed.
    """

    setting: str
    row: str
    seed: int
    accuracy: float | None
    train_loss: float | None
    parameters: int | None
    seconds: float
    error: str
    torch: str
    commit: str
    trial: str

    @property
    def key(self) -> tuple[str, int]:
        """Runs of one key are the same run."""
        return self.trial, self.seed

    @classmethod
    def from_line(cls, line: dict[str, str]) -> Record:
        """The record that a line of the CSV holds.

        Raises:
            ValueError: If a column is missing or no number where one belongs.
        """
        missing = [field.name for field in fields(cls) if line.get(field.name) is None]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        return cls(
            setting=line["setting"],
            row=line["row"],
            seed=int(line["seed"]),
            accuracy=float(line["accuracy"]) if line["accuracy"] else None,
            train_loss=float(line["train_loss"]) if line["train_loss"] else None,
            parameters=int(line["parameters"]) if line["parameters"] else None,
            seconds=float(line["seconds"]),
            error=line["error"],
            torch=line["torch"],
            commit=line["commit"],
            trial=line["trial"],
        )


class Ledger:
    """A CSV file of records that several processes may add to.

    The file is replaced as a whole, under a lock, so that it is never half written. A claim is a
    lock that the operating system gives back when the process that holds it ends, however it ends.

    Args:
        path: Of the CSV file. Its folder, and ``.locks`` for locks beside it, are made once
            something is claimed or added; to read leaves no trace.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.locks = path.parent / ".locks" / path.stem

    def read(self) -> list[Record]:
        """All records, in the order in which the runs ended.

        Raises:
            ValueError: If the file is no record of runs.
        """
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        records = []
        for number, line in enumerate(lines, start=2):
            try:
                records.append(Record.from_line(line))
            except ValueError as error:
                raise ValueError(
                    f"{self.path}, line {number}, is no record of a run: {error}. "
                    f"Delete the line; its run will be made again."
                ) from error
        return records

    def done(self, retry: bool = False) -> set[tuple[str, int]]:
        """Keys of the runs that need not be made; a failure is one unless it is to be retried."""
        return {record.key for record in self.read() if not (retry and record.error)}

    def append(self, record: Record) -> None:
        """Add a record; one of the same run that failed earlier is replaced."""
        with self._locked("file"):
            kept = [old for old in self.read() if not (old.key == record.key and old.error)]
            text = io.StringIO()
            names = [field.name for field in fields(Record)]
            writer = csv.DictWriter(text, names, lineterminator="\n")
            writer.writeheader()
            for each in [*kept, record]:
                writer.writerow(asdict(each))
            new = self.locks / f"new-{os.getpid()}.csv"
            with new.open("w", encoding="utf-8", newline="") as file:
                file.write(text.getvalue())
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)

    @contextmanager
    def claim(self, key: tuple[str, int]) -> Iterator[bool]:
        """Whether the run of this key is ours to make, for as long as the context lasts."""
        trial, seed = key
        with self._lock(f"{trial}-{seed}", fcntl.LOCK_EX | fcntl.LOCK_NB) as is_ours:
            yield is_ours

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with self._lock(name, fcntl.LOCK_EX):
            yield

    @contextmanager
    def _lock(self, name: str, how: int) -> Iterator[bool]:
        self.locks.mkdir(parents=True, exist_ok=True)
        (self.locks.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        with (self.locks / name).open("w") as file:
            try:
                fcntl.flock(file, how)
            except BlockingIOError:
                yield False
            else:
                yield True
