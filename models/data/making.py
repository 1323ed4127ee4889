"""Write a tiny synthetic data set in the exact layout of a real one."""

from __future__ import annotations

from pathlib import Path

from models.data.checking import LAYOUTS
from models.data.synthetic import Painter, Plan, write_marker
from snl_graph.names import lookup


def make(name: str, root: Path, plan: Plan | None = None) -> dict[str, int]:
    """Write it, and return the counts of its parts.

    Args:
        name: Of the data set, as recipes name it.
        root: A folder that does not exist, or is empty.
        plan: How much; None for three classes of four.

    Raises:
        ValueError: If there is no such data set, or it cannot have so many classes.
        FileExistsError: If the folder holds anything: real data must not be written over.
    """
    layout = lookup(LAYOUTS, name, "data set on disk")
    plan = Plan() if plan is None else plan
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FileExistsError(
            f"{root} is not empty; synthetic data are written into a new folder only, so that no "
            f"real data are mixed with them or lost. Name another."
        )
    root.mkdir(parents=True, exist_ok=True)
    content = layout.make(root, plan, Painter(plan))
    counts = content.pop("counts")
    write_marker(root, layout.title, counts, **content)
    return dict(counts)
