"""The monitor as a callback of Lightning."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from snl_graph.monitor.hooks import BlockMonitor, check_numbers

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise ImportError(
        "MonitorCallback needs Lightning: pip install 'snl-graph[models]'. Without it, "
        "snl_graph.monitor.BlockMonitor watches any training loop."
    ) from error


class MonitorCallback(Callback):
    """Logs what every nonlocal block does, to all loggers of the trainer.

    Names are ``block/{name}/lambda_max`` and so on, see
    :meth:`~snl_graph.monitor.BlockObservation.to_dict`, at the optimizer step of the batch; the
    norm of each block's gradient at that step is among them. Written straight to the loggers,
    whatever ``log_every_n_steps`` is.

    Args:
        every: Optimizer steps from one observation to the next; the first is at step 0.
        patience: As in :class:`~snl_graph.monitor.BlockMonitor`.
        items: As in :func:`~snl_graph.monitor.observe`.
        rows: As in :func:`~snl_graph.monitor.observe`.

    Raises:
        ValueError: If a number is below its least; when training starts, if the network has no
            nonlocal block.

    Example:
        >>> from lightning import Trainer
        >>> trainer = Trainer(
        ...     callbacks=[MonitorCallback(every=100)],
        ...     accelerator="cpu", logger=False, enable_checkpointing=False,
        ... )
    """

    def __init__(
        self, every: int = 100, *, patience: int = 1000, items: int = 2, rows: int = 64
    ) -> None:
        check_numbers(every=every, patience=patience, items=items, rows=rows)
        self.options: dict[str, Any] = {
            "every": every,
            "patience": patience,
            "items": items,
            "rows": rows,
        }
        self.monitor: BlockMonitor | None = None
        self._step = 0
        self._seen: dict[str, float] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hang the hooks on, before anything is compiled."""
        self.monitor = BlockMonitor(
            pl_module, log=self._keep, step=lambda: trainer.global_step, **self.options
        )

    def _keep(self, numbers: dict[str, float], step: int) -> None:
        self._seen |= numbers
        self._step = step

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Add the gradients, which are complete and unscaled now."""
        # Of weights that are shared out, all processes ask: each holds a part of the gradient.
        if self.monitor is not None and trainer.global_step % self.monitor.every == 0:
            gradients = self.monitor.gradients()
            if self._seen:
                self._seen |= gradients

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log what was seen, once the step is made."""
        if self._seen and trainer.global_step > self._step:
            self._flush(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log what is left, and take the hooks off."""
        self._flush(trainer)
        self._remove()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Take the hooks off."""
        self._remove()

    def _flush(self, trainer: Trainer) -> None:
        if self._seen:
            for logger in trainer.loggers:
                logger.log_metrics(self._seen, step=self._step)
        self._seen = {}

    def _remove(self) -> None:
        if self.monitor is not None:
            self.monitor.remove()
        self.monitor = None
