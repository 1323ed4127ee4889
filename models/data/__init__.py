"""Data sets: read from disk, checked, and downloaded only when asked."""

from models.data.clip_module import ClipDataModule, mean_over_clips
from models.data.flow import FLOW_CHANNELS
from models.data.module import ImageDataModule
from models.data.modules import data_module
from models.data.ranking import Ranking, rank
from models.data.source import DATASETS, ClipSpec, DataFileError, DatasetSpec, TrackletSpec
from models.data.tracklet_module import TrackletDataModule

__all__ = [
    "DATASETS",
    "FLOW_CHANNELS",
    "ClipDataModule",
    "ClipSpec",
    "DataFileError",
    "DatasetSpec",
    "ImageDataModule",
    "Ranking",
    "TrackletDataModule",
    "TrackletSpec",
    "data_module",
    "mean_over_clips",
    "rank",
]
