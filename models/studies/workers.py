"""Runs in processes of their own, one thread each: what breaks one leaves the others alone."""

from __future__ import annotations

import multiprocessing
import signal
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from models.entry import quiet
from models.studies.ledger import Ledger, Record
from models.studies.study import Run
from models.studies.trial import Outcome

PRELOADED = ["models.studies.catalogue"]
"""Imported once, by the process that the processes of the runs are forked from."""


STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _stops_held_back() -> Iterator[None]:
    """Deliver Ctrl-C and SIGTERM after the context, which would be left half done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(run: Run, data: Path, sender: Connection) -> None:
    """In the process of a run: do it and send (outcome or error, processor seconds)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    torch.set_num_threads(1)
    began = time.process_time()
    result: Outcome | str
    try:
        with quiet():
            result = run.trial.run(run.seed, data)
    except Exception as error:  # whatever it is, it is this run's own
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        result = " ".join(f"{type(error).__name__}: {error} ({where})".split())
    with suppress(BrokenPipeError):  # the sweep is gone, and what it did not hear is not recorded
        sender.send((result, time.process_time() - began))


@dataclass(frozen=True)
class Job:
    """A run and where it is recorded."""

    run: Run
    ledger: Ledger


@dataclass
class _Started:
    job: Job
    process: BaseProcess
    receiver: Connection
    claim: ExitStack
    began: float

    def record(self, commit: str) -> Record:
        """What the process sent, or what became of it."""
        try:
            result, seconds = self.receiver.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode or 0
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            result = f"the process of the run ended by {how}"
            seconds = time.monotonic() - self.began
        self.process.join()
        made = result if isinstance(result, Outcome) else None
        run = self.job.run
        return Record(
            setting=run.setting,
            row=run.row,
            seed=run.seed,
            accuracy=None if made is None else round(100 * made.accuracy, 4),
            train_loss=None if made is None else round(made.train_loss, 6),
            parameters=None if made is None else made.parameters,
            seconds=round(seconds, 2),
            error=result if isinstance(result, str) else "",
            torch=torch.__version__,
            commit=commit,
            trial=run.key[0],
        )

    def stop(self) -> None:
        """End the process, if it has not ended, and give the claim back."""
        self.process.terminate()
        self.process.join()
        self.claim.close()


def _start(job: Job, data: Path, retry: bool) -> _Started | None:
    """A process for the job, unless another sweep makes it or has made it."""
    with ExitStack() as stack:
        key = job.run.key
        if not stack.enter_context(job.ledger.claim(key)) or key in job.ledger.done(retry):
            return None
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(job.run, data, sender), daemon=True)
        process.start()
        sender.close()  # so that the receiver sees the end of the process
        return _Started(job, process, receiver, stack.pop_all(), time.monotonic())


def make_all(
    jobs: Iterable[Job], data: Path, *, processes: int, commit: str, retry: bool = False
) -> Iterator[tuple[Run, Record]]:
    """Make what is neither recorded nor claimed by another sweep; record each run as it ends.

    Args:
        jobs: In the order to start them.
        data: Folder of the data sets.
        processes: Runs at a time.
        commit: Of the sources.
        retry: Whether to make runs again that failed.

    Yields:
        Each run and its record, as the runs end.
    """
    waiting = iter(jobs)
    started: list[_Started] = []
    try:
        while True:
            while len(started) < processes and (job := next(waiting, None)) is not None:
                with _stops_held_back():
                    new = _start(job, data, retry)
                    if new is not None:
                        started.append(new)
            if not started:
                return
            ready = wait([each.receiver for each in started])
            for ended in [each for each in started if each.receiver in ready]:
                record = ended.record(commit)
                ended.job.ledger.append(record)
                started.remove(ended)
                ended.claim.close()
                yield ended.job.run, record
    finally:
        for each in started:
            each.stop()
