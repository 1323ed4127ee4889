"""All studies by name, and the order in which a sweep makes them."""

from __future__ import annotations

from models.studies.far_pairs import FAR_PAIR
from models.studies.fashion import BLOCK_COUNT, CHANNELS, FASHION, STAGE
from models.studies.graphs import GRAPH_STUDY
from models.studies.study import Study

STUDIES: dict[str, Study] = {
    "fashion": FASHION,
    "channels": CHANNELS,
    "stage": STAGE,
    "blocks": BLOCK_COUNT,
    "far_pair": FAR_PAIR,
    "graphs": GRAPH_STUDY,
}

PLAN: list[tuple[str, int | None]] = [
    ("fashion", 3),
    ("graphs", None),
    ("far_pair", None),
    ("fashion", None),
    ("channels", 3),
    ("stage", 3),
    ("blocks", 3),
    ("channels", None),
    ("stage", None),
    ("blocks", None),
]
"""What ``all`` makes, in turn: a study, and how many of its seeds (None: all)."""
