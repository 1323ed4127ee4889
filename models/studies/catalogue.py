"""All studies by name, and the order in which a sweep makes them."""

from __future__ import annotations

from models.studies.fashion import BLOCK_COUNT, CHANNELS, FASHION, STAGE
from models.studies.study import Study

STUDIES: dict[str, Study] = {
    "fashion": FASHION,
    "channels": CHANNELS,
    "stage": STAGE,
    "blocks": BLOCK_COUNT,
}

PLAN: list[tuple[str, int | None]] = [
    ("fashion", 3),
    ("fashion", None),
    ("channels", None),
    ("stage", None),
    ("blocks", None),
]
"""What ``all`` makes, in turn: a study, and how many of its seeds (None: all)."""
