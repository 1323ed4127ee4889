"""State dicts saved by every release so far load strictly, and mean what they meant."""

from pathlib import Path

import pytest
from safetensors import safe_open
from torch import Tensor

from snl_graph import load_blocks
from tests.interchange.first_release import BLOCKS, CASES, DATA, output
from tests.tolerances import assert_equal

STATES = sorted(path for path in DATA.glob("release-*.safetensors") if "-blocks" not in path.name)
MOST_BYTES = 100_000


def name_of(path: Path) -> str:
    return path.stem


def content_of(path: Path) -> dict[str, Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


RECORDED = [
    pytest.param(path, name.removesuffix(" y"), id=f"{path.stem}-{name}")
    for path in STATES
    for name in content_of(path)
    if name.endswith(" y")
]


@pytest.mark.parametrize(("path", "name"), RECORDED)
def test_state_dict_of_a_release_loads_strictly_and_gives_its_output(path: Path, name: str) -> None:
    content = content_of(path)
    state = {
        key.removeprefix(f"{name}/"): value
        for key, value in content.items()
        if key.startswith(f"{name}/")
    }
    module = CASES[name]()
    module.load_state_dict(state, strict=True)
    assert_equal(output(name, module, content["x"]), content[f"{name} y"])


@pytest.mark.parametrize("path", STATES, ids=name_of)
def test_file_of_blocks_of_a_release_is_read_and_gives_its_outputs(path: Path) -> None:
    content = content_of(path)
    blocks = load_blocks(path.with_name(f"{path.stem}-blocks.safetensors"))
    assert blocks
    assert blocks.keys() <= BLOCKS.keys()
    for name, block in blocks.items():
        assert_equal(output(name, block, content["x"]), content[f"{name} y"])


def test_the_first_release_recorded_every_case_it_had() -> None:
    assert STATES[0].stem == "release-0.1.0"
    recorded = {case.values[1] for case in RECORDED if case.values[0] == STATES[0]}
    assert len(recorded) == 32  # what 0.1.0 had; later releases add cases to files of their own
    assert recorded <= CASES.keys()


def test_recorded_files_are_small() -> None:
    assert all(path.stat().st_size < MOST_BYTES for path in DATA.glob("release-*.safetensors"))
