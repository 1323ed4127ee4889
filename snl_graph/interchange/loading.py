"""Blocks alone, read from a file: made anew, or put into a network."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from snl_graph import places
from snl_graph.insert import insert_block, inserted_blocks, remove_block
from snl_graph.interchange.description import NotDescribedError, describe, make
from snl_graph.interchange.errors import InterchangeError
from snl_graph.interchange.files import read_safetensors
from snl_graph.interchange.saving import ENTRY, FORMAT

_SECOND = re.compile(r"#\d+$")


def load_blocks(
    path: str | os.PathLike[str], model: nn.Module | None = None, *, example: Any = None
) -> dict[str, nn.Module]:
    """Blocks of a file of :func:`~snl_graph.save_blocks`, made anew or loaded into a network.

    A block that the network has at the same place is checked and filled; one that it has not is
    inserted there. Either all blocks are loaded or, with an error, the network is as it was.

    Args:
        path: The file; no code of it is run.
        model: A network, which is changed in place; None makes blocks that belong to none.
        example: One input of the network, as :func:`~snl_graph.insert_block` takes it.

    Returns:
        The blocks by place, in the network if there is one.

    Raises:
        InterchangeError: If the file cannot be read or is no file of blocks, a block of it cannot
            be made, or one of the network is another: made otherwise, of other shapes, or missing
            in the file.
        ValueError: If the network has no such place, or the block does not fit there.
        FileNotFoundError: If there is no such file.
        ImportError: If the extra ``weights`` is not installed.

    Example:
        >>> import tempfile, torch, snl_graph
        >>> block = snl_graph.nonlocal_block("nl", 8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = snl_graph.save_blocks({"layer3": block}, f"{folder}/blocks.safetensors")
        ...     loaded = load_blocks(path)["layer3"]
        >>> x = torch.randn(1, 8, 4, 5)
        >>> torch.equal(loaded(x), block(x))
        True
    """
    if isinstance(path, nn.Module):
        raise TypeError(
            f"the path of the file comes first, got {type(path).__name__}. Write "
            "load_blocks(path, model)."
        )
    where = Path(path)
    tensors, metadata = read_safetensors(where)
    saved = _saved(where, tensors, metadata)
    if model is None:
        return {place: one.made(where) for place, one in saved.items()}
    present = inserted_blocks(model)
    surplus = [place for place in present if place not in saved]
    if surplus:
        raise InterchangeError(
            f"the network has blocks behind {places.quote(surplus)}, {where} has none for them; it "
            f"has {places.quote(saved)}. Load into a network without these, or take the blocks by "
            "load_blocks(path) and load one by one."
        )
    new: dict[str, nn.Module] = {}
    for place, one in saved.items():
        if place in present:
            one.check(present[place], where)
        else:
            places.check_name(model, _SECOND.sub("", place))
            new[place] = one.made(where)
    done: list[nn.Module] = []
    try:
        for place, block in new.items():
            insert_block(model, _SECOND.sub("", place), block, example=example)
            done.append(block)
    except Exception:
        for block in reversed(done):
            remove_block(model, block)
        raise
    for place, block in present.items():
        block.load_state_dict(saved[place].tensors)
    return {place: inserted_blocks(model)[place] for place in saved}


class SavedBlock:
    """One block of a file.

    Args:
        place: Its name.
        entry: What its metadata says.
        tensors: Its weights by their keys.
    """

    def __init__(self, place: str, entry: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        self.place, self.tensors = place, tensors
        self.kind, self.description = entry.get("class"), entry.get("made")
        self.why = entry.get("why")

    def made(self, path: Path) -> nn.Module:
        """The block, made anew."""
        if self.description is None:
            raise InterchangeError(
                f'the block "{self.place}" of {path} cannot be made anew: {self.why}. Insert one '
                "like it into the network, then load_blocks(path, network)."
            )
        try:
            block = make(self.description)
        except InterchangeError as error:
            raise InterchangeError(f'"{self.place}" of {path}: {error}') from error
        self._check_shapes(block, path)
        block.load_state_dict(self.tensors, assign=True)
        return block

    def check(self, block: nn.Module, path: Path) -> None:
        """Raise an error if a block of a network is another."""
        if type(block).__name__ != self.kind:
            raise InterchangeError(
                f'"{self.place}" of {path} is a {self.kind}, the network has a '
                f"{type(block).__name__} there."
            )
        try:
            ours: Mapping[str, Any] | None = describe(block)
        except NotDescribedError:
            ours = None
        if ours is not None and isinstance(self.description, Mapping) and ours != self.description:
            facts = "; ".join(
                f"{name} is {json.dumps(self.description.get(name))} in the file and "
                f"{json.dumps(value)} in the network"
                for name, value in ours.items()
                if self.description.get(name) != value
            )
            raise InterchangeError(f'"{self.place}" of {path} is another block: {facts}.')
        self._check_shapes(block, path)

    def _check_shapes(self, block: nn.Module, path: Path) -> None:
        ours = {key: tuple(value.shape) for key, value in block.state_dict().items()}
        theirs = {key: tuple(value.shape) for key, value in self.tensors.items()}
        facts = [
            *(f"{key} is missing" for key in ours if key not in theirs),
            *(f"{key} has no place in it" for key in theirs if key not in ours),
            *(
                f"{key} has shape {theirs[key]}, not {ours[key]}"
                for key in ours
                if key in theirs and ours[key] != theirs[key]
            ),
        ]
        if facts:
            more = f" and {len(facts) - 4} more" if len(facts) > 4 else ""
            raise InterchangeError(
                f'the weights of "{self.place}" in {path} are not those of its block: '
                f"{'; '.join(facts[:4])}{more}."
            )


def _saved(
    path: Path, tensors: dict[str, Tensor], metadata: Mapping[str, str]
) -> dict[str, SavedBlock]:
    """The blocks of a file by place."""
    if ENTRY not in metadata:
        raise InterchangeError(
            f"{path} was not written by save_blocks. Blocks in the weights of a whole network are "
            "loaded with it; those of other implementations by convert_block."
        )
    try:
        content = json.loads(metadata[ENTRY])
        form, entries = content["format"], content["blocks"]
        newer = isinstance(form, int) and form > FORMAT
        is_valid = isinstance(form, int) and isinstance(entries, dict)
        is_valid = is_valid and all(isinstance(entry, dict) for entry in entries.values())
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InterchangeError(
            f"{path}: the list of its blocks is broken ({type(error).__name__})."
        ) from error
    if newer:
        raise InterchangeError(
            f"{path} was written by snl-graph {content.get('version')} in form {form}; this "
            f"release reads forms up to {FORMAT}. Install a newer one."
        )
    if not is_valid:
        raise InterchangeError(f"{path}: the list of its blocks is broken.")
    found: dict[str, dict[str, Tensor]] = {place: {} for place in entries}
    for name, tensor in tensors.items():
        # The longest place that fits, for a place may begin like another.
        fitting = [place for place in entries if name.startswith(f"{place}/")]
        if not fitting:
            raise InterchangeError(f'{path}: "{name}" belongs to none of its blocks.')
        place = max(fitting, key=len)
        # A copy: what safetensors gives may lie in the file, which others can change.
        found[place][name.removeprefix(f"{place}/")] = tensor.clone()
    return {place: SavedBlock(place, entries[place], found[place]) for place in entries}
