"""Files of a data set: one clear error for each way they can be wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path


class DataFileError(ValueError):
    """A data file is missing, corrupt, truncated or in the wrong form."""


def require_folder(folder: Path, dataset: str, layout: str) -> None:
    """Raise a :class:`DataFileError` if there is no such folder.

    Args:
        folder: Where the files should be.
        dataset: Name of the data set for the error.
        layout: The files that belong there.
    """
    if not folder.is_dir():
        raise DataFileError(
            f"no {dataset} at {folder}: that folder does not exist; expected it to hold {layout}. "
            f"Name the folder above it with --data ROOT, or fetch the data with --download."
        )


def require_file(path: Path, dataset: str) -> None:
    """Raise a :class:`DataFileError` if there is no such file; says so if it is there gzipped."""
    if path.is_file():
        return
    zipped = path.with_name(path.name + ".gz")
    if zipped.is_file():
        raise DataFileError(
            f"{zipped} is gzipped; expected {dataset}'s file unpacked, as {path.name}. "
            f"Unpack it: gunzip --keep {zipped}"
        )
    raise DataFileError(
        f"{dataset} lacks {path}. Name the folder that holds the data with --data ROOT, or fetch "
        f"the missing file with --download."
    )


def require_md5(path: Path, expected: str, dataset: str) -> None:
    """Raise a :class:`DataFileError` if the file is not, byte for byte, the published one."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected:
        raise DataFileError(
            f"{path} is corrupt or truncated: {path.stat().st_size:,} bytes with MD5 {found}, "
            f"expected {dataset}'s MD5 {expected}. Delete it and fetch it again with --download."
        )


def fetch(download: Callable[[], object], root: Path, dataset: str) -> None:
    """Let torchvision download a data set.

    Raises:
        DataFileError: If that fails, for want of a network or of room, say.
    """
    try:
        download()
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        raise DataFileError(
            f"{dataset} could not be fetched into {root}: {error}. Try again where its site can be "
            f"reached, or copy the files there by hand and leave --download out."
        ) from error
