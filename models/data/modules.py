"""The data module of any data set, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.data.clip_module import ClipDataModule
from models.data.module import ImageDataModule
from models.data.source import DATASETS, ClipSpec, DatasetSpec, TrackletSpec
from models.data.tracklet_module import TrackletDataModule
from snl_graph.names import lookup

MODULES: dict[type[DatasetSpec], type[ImageDataModule]] = {
    DatasetSpec: ImageDataModule,
    ClipSpec: ClipDataModule,
    TrackletSpec: TrackletDataModule,
}


def data_module(name: str, root: Path | str = "data", **options: Any) -> ImageDataModule:
    """The module that reads a data set: of images, of clips or of tracklets.

    Args:
        name: Of the data set.
        root: Folder that holds it.
        options: Of the module.

    Raises:
        ValueError: If there is no such data set; lists the choices.
        TypeError: If its module has no such option.

    Example:
        >>> type(data_module("ucf101", split=2)).__name__
        'ClipDataModule'
    """
    return MODULES[type(lookup(DATASETS, name, "data set"))](name, root, **options)
