"""What became of the weights of a block that was trained elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Carried:
    """One weight of the block here.

    Attributes:
        name: Its name here.
        sources: Names there, relative to the prefix.
        how: What was done to it; "" for nothing but another shape.
    """

    name: str
    sources: tuple[str, ...]
    how: str = ""

    def __str__(self) -> str:
        how = f" ({self.how})" if self.how else ""
        return f"{self.name} ← {' × '.join(self.sources)}{how}"


@dataclass(frozen=True)
class ConversionReport:
    """What of a block trained elsewhere matched, what did not, and why.

    Attributes:
        layout: Name of the layout of its keys.
        source: The implementation that writes such keys.
        prefix: Where in the state dict the block was.
        row: Row of Table 1 that it became.
        options: Arguments of :func:`~snl_graph.nonlocal_block` beside the row, as text.
        matched: Weights here and where they are from.
        added: Weights here that have none there, and what they were set to.
        unused: Weights there that have no place here, and why.
        assumed: What weights do not tell and nobody said, as it was taken to be.
        differences: Where the block here does something else than the one there.
    """

    layout: str
    source: str
    prefix: str
    row: str
    options: Mapping[str, str]
    matched: tuple[Carried, ...]
    added: Mapping[str, str]
    unused: Mapping[str, str]
    assumed: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether the block is the same function with the same parameters, as far as is known.

        What was ``assumed`` has to hold for that.
        """
        return not self.differences and not self.unused

    def to_dict(self) -> dict[str, Any]:
        """All attributes and ``is_exact``, as plain values."""
        facts = asdict(self)
        facts["matched"] = [
            {"name": one.name, "sources": list(one.sources), "how": one.how} for one in self.matched
        ]
        for name in ("options", "added", "unused"):
            facts[name] = dict(getattr(self, name))
        return {
            **{name: list(v) if isinstance(v, tuple) else v for name, v in facts.items()},
            "is_exact": self.is_exact,
        }

    def to_json(self, indent: int | None = 2) -> str:
        """:meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def __str__(self) -> str:
        options = "".join(f", {name}={text}" for name, text in self.options.items())
        at = f' at "{self.prefix}"' if self.prefix else ""
        lines = [
            f'{self.layout}{at} → "{self.row}"{options}',
            f"  from {self.source}",
            *_listed("matched", [str(one) for one in self.matched]),
            *_listed("added", [f"{name}: {what}" for name, what in self.added.items()]),
            *_listed("not used", [f"{name}: {why}" for name, why in self.unused.items()]),
            *_listed("assumed", self.assumed),
            *_listed("differs", self.differences),
        ]
        if self.is_exact:
            lines.append(
                "  the same function" + (", if what was assumed holds" * bool(self.assumed))
            )
        return "\n".join(lines)


def _listed(title: str, items: Any) -> list[str]:
    return [f"  {title}:", *(f"    {item}" for item in items)] if items else []
