"""Synthetic data sets in every layout, made once a session."""

import shutil

import pytest

from models.data.checking import LAYOUTS
from models.data.making import make
from models.data.synthetic import Plan

PLAN = Plan(classes=3, items=2, frames=6, height=16, width=24)


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """Folder of each data set, made when first asked for; not to be changed."""
    made = {}

    def folder(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / "root"
            make(name, made[name], PLAN)
        return made[name]

    return folder


@pytest.fixture
def synthetic(originals, tmp_path):
    """A copy of a data set, to spoil."""

    def folder(name):
        assert name in LAYOUTS
        return shutil.copytree(originals(name), tmp_path / name)

    return folder
