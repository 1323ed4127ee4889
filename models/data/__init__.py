"""Image data sets: read from disk, checked, and downloaded only when asked."""

from models.data.module import ImageDataModule
from models.data.source import DATASETS, DataFileError, DatasetSpec

__all__ = ["DATASETS", "DataFileError", "DatasetSpec", "ImageDataModule"]
