"""Tiny pictures and clips that stand in for a data set in tests and dry runs.

Each class has a colour and a direction of movement, so that a network can learn them. A folder of
them says so in ``synthetic.json``, with the counts a check is to find there.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.data.files import DataFileError

MARKER = "synthetic.json"
Pixels = npt.NDArray[np.uint8]

_GOLDEN = (5**0.5 - 1) / 2  # its multiples keep apart on a circle, however many there are


@dataclass(frozen=True)
class Plan:
    """What to make.

    Args:
        classes: How many, or how many persons of a part.
        items: Files of each class in each part; tracklets of each person and camera.
        frames: Of each clip.
        height: In pixels.
        width: In pixels.
        seed: Of every pixel.

    Raises:
        ValueError: If a number is too small.
    """

    classes: int = 3
    items: int = 4
    frames: int = 24
    height: int = 32
    width: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"classes": 2, "items": 1, "frames": 1, "height": 8, "width": 8, "seed": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} must be at least {bound}; got {getattr(self, name)}.")


class Painter:
    """Draws clips of a class.

    Args:
        plan: Sizes and seed.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = np.random.default_rng(plan.seed)

    def clip(self, label: int, frames: int | None = None) -> Pixels:
        """A coloured square that moves over noise, (T, H, W, 3)."""
        plan = self.plan
        frames = plan.frames if frames is None else frames
        hue = label * _GOLDEN % 1
        angle = 2 * np.pi * hue
        pixels = self.random.integers(0, 96, (frames, plan.height, plan.width, 3), dtype=np.uint8)
        colour = np.array(colorsys.hsv_to_rgb(hue, 0.8, 1.0)) * 255
        side = max(2, min(plan.height, plan.width) // 3)
        top, left = self.random.integers(0, (plan.height, plan.width))
        for number in range(frames):
            rows = (int(top + number * np.sin(angle)) + np.arange(side)) % plan.height
            columns = (int(left + number * np.cos(angle)) + np.arange(side)) % plan.width
            pixels[number, rows[:, None], columns] = colour
        return pixels

    def picture(self, label: int) -> Pixels:
        """One frame of such a clip, (H, W, 3)."""
        still: Pixels = self.clip(label, 1)[0]
        return still

    def save_picture(self, path: Path, label: int) -> None:
        """Write a picture, in the format of its suffix."""
        save_pixels(path, self.picture(label))

    def save_frames(self, paths: list[Path], label: int, mode: str = "RGB") -> None:
        """Write a clip, one picture a frame, of three channels or (mode "L") of one."""
        for path, pixels in zip(paths, self.clip(label, len(paths)), strict=True):
            save_pixels(path, pixels, mode)

    def save_video(self, path: Path, label: int) -> None:
        """Write a clip into one file, MPEG-4 at 25 frames a second, as UCF-101's are."""
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=Fraction(25))
            stream.height, stream.width = self.plan.height, self.plan.width
            stream.pix_fmt = "yuv420p"
            stream.bit_rate = 400_000
            for pixels in self.clip(label):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())


def save_pixels(path: Path, pixels: Pixels, mode: str = "RGB") -> None:
    """Write one picture, (H, W, 3), in the format of its suffix and the mode of Pillow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)


def write_marker(root: Path, title: str, counts: Mapping[str, int], **more: Any) -> None:
    """Say that a folder is synthetic, and what it holds."""
    text = json.dumps({"dataset": title, "counts": dict(counts), **more}, indent=1)
    (root / MARKER).write_text(text + "\n", encoding="utf-8")


def read_marker(root: Path, title: str) -> dict[str, Any] | None:
    """What :func:`write_marker` said of that data set, or None where the data are real."""
    path = root / MARKER
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = dict(content) if content["dataset"] == title else None
    except (ValueError, KeyError, TypeError) as error:
        raise DataFileError(
            f"{path} is corrupt ({error!r}); it marks synthetic data. Make them again, or delete "
            f"it if these data are real."
        ) from error
    return found
