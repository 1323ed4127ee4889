"""The graphs that a source on the command line stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from snl_graph.attention import block_inputs
from snl_graph.cli.errors import CommandError, one_line
from snl_graph.cli.inputs.files import EDGE_LISTS, READERS, read_graph_file
from snl_graph.cli.inputs.images import SUFFIXES, Preparation, channels_of, read_input
from snl_graph.cli.inputs.named import CHOICES, is_name, named_graph, nearest_name
from snl_graph.cli.inputs.networks import network
from snl_graph.names import lookup

Blocks = dict[str, tuple[nn.Module, Tensor]]


@dataclass(frozen=True)
class Graph:
    """One graph with a name to show.

    Attributes:
        label: Name.
        obj: What :func:`~snl_graph.spectrum` takes.
    """

    label: str
    obj: Any


@dataclass(frozen=True)
class Network:
    """What was said about a network, all of it optional.

    Attributes:
        factory: "package:factory".
        checkpoint: File of its weights.
        settings: "name=value" arguments of the factory.
        blocks: Names of the blocks to look at; none for all.
        preparation: What is done to the image.
    """

    factory: str | None = None
    checkpoint: Path | None = None
    settings: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    preparation: Preparation = field(default_factory=Preparation)

    @classmethod
    def parsed(
        cls,
        model: str | None,
        checkpoint: Path | None,
        settings: list[str] | None,
        block: list[str] | None,
        size: str | None,
        mean: str | None,
        std: str | None,
    ) -> Network:
        """Read from options.

        Raises:
            CommandError: If an option about a network is given without one.
        """
        preparation = Preparation.parsed(size, mean, std)
        found = cls(model, checkpoint, tuple(settings or ()), tuple(block or ()), preparation)
        if model is None and found != cls():
            raise CommandError(
                "--checkpoint, --set, --block, --size, --mean and --std go with --model "
                "package:factory."
            )
        return found

    def made(self) -> nn.Module:
        """The network with its weights.

        Raises:
            CommandError: If there is none, or it cannot be made.
        """
        if self.factory is None:
            raise CommandError(
                "this needs a network: --model package:factory and, for its weights, "
                "--checkpoint FILE."
            )
        return network(self.factory, self.checkpoint, self.settings)


def graphs_of(
    source: str, network: Network, *, item: int | None = None, directed: bool = False
) -> list[Graph]:
    """The graphs of a source: a name, a file, or the blocks of a network on an image.

    Raises:
        CommandError: If there is none.
    """
    if network.factory is not None:
        if directed:
            raise CommandError("--directed goes with an edge list, not with --model.")
        _, blocks = seen_by_network(source, network)
        found = [Graph(name, pair) for name, pair in blocks.items()]
    else:
        found = _plain(source, directed)
    if item is None:
        return found
    if item >= len(found):
        raise CommandError(f"--item counts from 0 to {len(found) - 1} here; got {item}.")
    return [found[item]]


def _plain(source: str, directed: bool) -> list[Graph]:
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        raise CommandError(
            f"{source} is an image, which has a graph only inside a network: add --model "
            f"package:factory and --checkpoint FILE."
        )
    is_file = suffix in READERS or suffix in EDGE_LISTS or path.exists()
    if is_file and not is_name(source):
        obj = read_graph_file(path, directed=directed)
    elif is_name(source):
        if directed:
            raise CommandError("--directed goes with an edge list.")
        obj = named_graph(source)
    else:
        near = nearest_name(source)
        hint = f' Did you mean "{near}"?' if near else ""
        raise CommandError(
            f'"{one_line(source, 80)}" is neither a file nor a graph by name.{hint} Names: '
            f"{CHOICES}."
        )
    name = path.name if is_file else source
    if isinstance(obj, list):
        return [Graph(f"{name}, graph {number}", graph) for number, graph in enumerate(obj)]
    return [Graph(name, obj)]


def seen_by_network(image: str, network: Network) -> tuple[Tensor, Blocks]:
    """The image as the network took it, and each block with the feature map that entered it.

    Raises:
        CommandError: If image or network cannot be had, or the one does not fit the other.
    """
    model = network.made()
    x = read_input(Path(image), channels_of(model), network.preparation)
    try:
        blocks = block_inputs(model, x)
    except ValueError:
        raise
    except Exception as error:  # of a network we know nothing about
        raise CommandError(
            f"the network does not take an input of shape {tuple(x.shape)}: "
            f"{type(error).__name__}: {one_line(str(error), 200).rstrip('.')}. Resize it with "
            f"--size H,W, or pass the very numbers as .npy."
        ) from error
    if not network.blocks:
        return x, blocks
    return x, {name: lookup(blocks, name, "block") for name in network.blocks}
