"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_NETWORK = "Network"
_RESULT = "Result"

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A graph by name (karate, les_miserables, davis, florentine, path:10, grid:8x8, ...); "
        "a file: .graphml, an edge list (.txt .csv .tsv .edges), .npz, .npy, a saved PyG object "
        "(.pt); or, with --model, an image.",
        show_default=False,
    ),
]
Image = Annotated[
    str,
    typer.Argument(
        metavar="IMAGE",
        help="What the network looks at: .png, .jpg, ..., or .npy with the numbers, (C, H, W).",
        show_default=False,
    ),
]
Item = Annotated[
    int | None,
    typer.Option(min=0, help="Of a file with several graphs, only this one, counted from 0."),
]
Directed = Annotated[
    bool, typer.Option("--directed", help="Lines of an edge list go one way, source to target.")
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON object, and nothing else.", rich_help_panel=_RESULT
    ),
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "--save",
        "-o",
        metavar="FILE",
        help="Write a file; its name says what: .png .svg .pdf a picture, .json .csv .npz numbers. "
        "May be given again.",
        rich_help_panel=_RESULT,
    ),
]
OutputOfNumbers = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "--save",
        "-o",
        metavar="FILE",
        help="Write a file; its name says what: .json or .csv. May be given again.",
        rich_help_panel=_RESULT,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace files that exist.", rich_help_panel=_RESULT)
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="PACKAGE:FACTORY",
        help="Function or class that makes the network, importable from here.",
        rich_help_panel=_NETWORK,
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Its weights: a state dict or Lightning checkpoint (.pt .pth .ckpt), or .safetensors. "
        "No code in it is run.",
        rich_help_panel=_NETWORK,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Argument of the factory; the value is read as JSON where it is JSON. May be given "
        "again.",
        rich_help_panel=_NETWORK,
    ),
]
Block = Annotated[
    list[str] | None,
    typer.Option(help="Only the block of this name. May be given again.", rich_help_panel=_NETWORK),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="H,W", help="Resize the image to H by W pixels.", rich_help_panel=_NETWORK
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="M,...",
        help="Subtract this from the pixels, 0 to 1: one number, or one a channel.",
        rich_help_panel=_NETWORK,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(metavar="S,...", help="Divide them by this, then.", rich_help_panel=_NETWORK),
]
