"""Look at the blocks of a network every so many steps, from hooks that change nothing."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from snl_graph.attention import blocks_of
from snl_graph.blocks import NonlocalBlock
from snl_graph.checks import whole_number
from snl_graph.monitor.findings import BlockWarning, findings
from snl_graph.monitor.observation import BlockObservation
from snl_graph.monitor.observe import observe
from snl_graph.monitor.weights import gradient_norm

Log = Callable[[dict[str, float], int], Any]


class BlockMonitor:
    """Observes every nonlocal block of a network at every n-th step of its training.

    A forward pre-hook of each block takes the feature map that enters it; outputs, gradients,
    statistics, random state and state dict stay what they are. Passes in evaluation mode do not
    count. Close it with :meth:`remove`, or use it as a context manager.

    Copies and pickles of the network, as of a moving average of its weights, are not observed.
    Under DistributedDataParallel the first process observes its own part of the batch.
    ``torch.compile`` breaks its graph at each observed block, where the hook runs in eager mode;
    the monitor must be there before the first compiled pass, and not with ``fullgraph=True``.

    Args:
        model: The network; names are those that :func:`~snl_graph.inserted_blocks` gives, of other
            blocks those of the submodules.
        every: Steps from one observation to the next; the first is at step 0.
        log: Called with ``{"block/{name}/{key}": number}`` and the step for each block, e.g.
            ``wandb.log`` or a Lightning logger's ``log_metrics``. None keeps them in ``latest``
            alone. See :meth:`BlockObservation.to_dict` for the keys.
        step: Tells the number of the step, for loops of several passes a step; None counts the
            passes of each block in training mode.
        patience: Steps after which a dead block and maps that do not depend on the query are
            warned of, once each. A block that holds NaN is warned of at once.
        items: As in :func:`~snl_graph.monitor.observe`.
        rows: As in :func:`~snl_graph.monitor.observe`.

    Raises:
        ValueError: If the model has no block, or a number is below its least.

    Cost: that of an observation every n steps, see ``docs/monitor.md``; otherwise a counter.

    Example:
        >>> import snl_graph
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), snl_graph.nonlocal_block("snl", 8))
        >>> seen = []
        >>> with BlockMonitor(net, every=2, log=lambda numbers, step: seen.append((step, numbers))):
        ...     for _ in range(4):
        ...         y = net(torch.randn(2, 3, 6, 6))
        >>> [(step, "block/1/lambda_max" in numbers) for step, numbers in seen]
        [(0, True), (2, True)]
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 100,
        log: Log | None = None,
        *,
        step: Callable[[], int] | None = None,
        patience: int = 1000,
        items: int = 2,
        rows: int = 64,
    ) -> None:
        check_numbers(every=every, patience=patience, items=items, rows=rows)
        if log is not None:
            _check_log(log)
        self.blocks = {
            name: block for name, block in blocks_of(model) if isinstance(block, NonlocalBlock)
        }
        if not self.blocks:
            raise ValueError(
                f"{type(model).__name__} has no nonlocal block to watch; put one in with "
                "snl_graph.insert_block(model, after=...)."
            )
        self.every, self.log, self.step, self.patience = every, log, step, patience
        self.items, self.rows = items, rows
        self.latest: dict[str, BlockObservation] = {}
        self._passes = dict.fromkeys(self.blocks, 0)
        self._observed: dict[str, int] = {}  # the last step at which each block was
        self._warned: set[tuple[str, str]] = set()
        self._handles = [
            block.register_forward_pre_hook(_Look(self, name), with_kwargs=True)
            for name, block in self.blocks.items()
        ]

    def gradients(self) -> dict[str, float]:
        """Norm of the gradient of each block that holds one, as ``block/{name}/gradient``.

        Call it between ``backward()`` and ``zero_grad()``: while the network runs forward, loops
        that set gradients to None have none.
        """
        norms = {name: gradient_norm(block) for name, block in self.blocks.items()}
        return {f"block/{name}/gradient": n for name, n in norms.items() if n is not None}

    def remove(self) -> None:
        """Take the hooks off; what was seen last stays in ``latest``."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def _look(self, name: str, x: Any, valid: Tensor | None) -> None:
        block = self.blocks[name]
        if not block.training or not _is_first_process():
            return
        step = self._passes[name] if self.step is None else self.step()
        self._passes[name] += 1
        if step % self.every or self._observed.get(name) == step:
            return
        self._observed[name] = step
        try:
            seen = observe(block, x, valid, items=self.items, rows=self.rows)
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            # Whatever cannot be looked at can still be trained.
            self._warn(name, type(error).__name__, f"it could not be observed: {error}")
            return
        self.latest[name] = seen
        for kind, text in findings(seen, step, self.patience):
            self._warn(name, kind, f"at step {step} {text}")
        if self.log is not None:
            self.log({f"block/{name}/{key}": n for key, n in seen.to_dict().items()}, step)

    def _warn(self, name: str, kind: str, text: str) -> None:
        if (name, kind) not in self._warned:
            self._warned.add((name, kind))
            warnings.warn(f'block "{name}": {text}', BlockWarning, stacklevel=2)


def check_numbers(*, every: int, patience: int, items: int, rows: int) -> None:
    """Raise a ``ValueError`` if a number is no whole number or below its least."""
    for name, number, least in (
        ("every", every, 1),
        ("patience", patience, 0),
        ("items", items, 1),
        ("rows", rows, 1),
    ):
        whole_number(number, name, least)


class _Look:
    """Forward pre-hook of one block. Its copies and pickles are hooks that do nothing."""

    def __init__(self, monitor: BlockMonitor | None = None, name: str = "") -> None:
        self.monitor, self.name = monitor, name

    # A compiler would trace the observation into the network and count steps at compile time.
    @torch.compiler.disable
    def __call__(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Hand the input to the monitor."""
        if self.monitor is not None:
            x, valid = (*args, None, None)[:2]
            self.monitor._look(self.name, kwargs.get("x", x), kwargs.get("valid", valid))

    def __reduce__(self) -> tuple[type[_Look], tuple[()]]:
        return _Look, ()


def _is_first_process() -> bool:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return True
    return torch.distributed.get_rank() == 0


def _check_log(log: object) -> None:
    """Raise unless ``log`` can be called with the numbers and the step."""
    came = repr(log)
    if callable(log):
        try:
            inspect.signature(log).bind({}, 0)
            return
        except ValueError:  # a function in C may hide its arguments
            return
        except TypeError as error:
            came = f"{getattr(log, '__name__', came)}, with which that fails: {error}"
    raise TypeError(
        f"log is called with the numbers and the step; got {came}. Pass a function, such as "
        "wandb.log."
    )
