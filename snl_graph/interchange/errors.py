"""What can be wrong with weights from elsewhere, or with a file of blocks."""

from __future__ import annotations


class InterchangeError(ValueError):
    """Weights or a file that cannot become blocks; says what came and what to do."""
