"""Pictures as PNG data URIs; nothing but zlib is needed."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

_GREY, _RGB = 0, 2  # colour types of the PNG specification, table 11.1


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of grey pixels (H, W) or RGB pixels (H, W, 3).

    Source: W3C, Portable Network Graphics Specification, 2003, §5 and §11.
    """
    height, width = pixels.shape[:2]
    kind = _GREY if pixels.ndim == 2 else _RGB
    lines = np.ascontiguousarray(pixels).reshape(height, -1)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1)  # filter "none"
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """The same as ``data:image/png;base64,...``."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
