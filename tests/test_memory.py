"""Dense matrices that cannot fit are refused before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from snl_graph import affinity, memory
from snl_graph.kernels import Concatenation
from snl_graph.memory import free_bytes, require_room_for_matrices

GIB = 2**30


@pytest.fixture
def one_gibibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: GIB)


@pytest.mark.usefixtures("one_gibibyte")
def test_a_dense_affinity_that_cannot_fit_is_refused_with_the_numbers_and_the_alternative() -> None:
    phi = torch.rand(20_000, 1)  # 3 · 20,000² · 4 bytes = 4.47 GiB
    with pytest.raises(ValueError, match="dense") as refusal:
        affinity(phi, representation="dense")
    text = str(refusal.value)
    assert "4.5 GiB for 3 matrices of 20000×20000" in text
    assert "cpu has 1.0 GiB" in text
    assert '"factored"' in text
    assert "edges" not in text  # of a full mask, edges take more than the matrix


@pytest.mark.usefixtures("one_gibibyte")
@pytest.mark.parametrize(
    ("kernel", "mask", "hint"),
    [
        ("gaussian", "full", '"streaming"'),
        ("gaussian", "criss_cross", '"grid"'),
        ("gaussian", "window:1", '"edges"'),
        (Concatenation(1), "full", '"window:R"'),
    ],
    ids=["streaming", "grid", "edges", "none"],
)
def test_the_alternative_is_one_that_kernel_and_mask_have(
    kernel: object, mask: str, hint: str
) -> None:
    phi = torch.rand(20_000, 1)
    with pytest.raises(ValueError, match="needs at least") as refusal:
        affinity(phi, kernel=kernel, mask=mask, size=(100, 200), representation="dense")  # type: ignore[arg-type]
    assert hint in str(refusal.value)


@pytest.mark.usefixtures("one_gibibyte")
def test_what_fits_is_not_refused() -> None:
    """16,000² float32 numbers take 0.95 of a GiB: one matrix fits, three do not."""
    features = torch.empty(0)
    require_room_for_matrices(features, (16_000, 16_000), matrices=1, instead=str)
    with pytest.raises(ValueError, match="3 matrices"):
        require_room_for_matrices(features, (16_000, 16_000), matrices=3, instead=str)


@pytest.mark.usefixtures("one_gibibyte")
def test_half_precision_is_counted_as_it_is_written_down_and_double_as_double() -> None:
    for dtype, fits in ((torch.float16, True), (torch.float32, True), (torch.float64, False)):
        features = torch.empty(0, dtype=dtype)
        if fits:
            require_room_for_matrices(features, (16_000, 16_000), matrices=1, instead=str)
        else:
            with pytest.raises(ValueError, match="1 matrix of"):
                require_room_for_matrices(features, (16_000, 16_000), matrices=1, instead=str)


@pytest.mark.usefixtures("one_gibibyte")
def test_tensors_without_numbers_are_not_asked_for_room() -> None:
    with FakeTensorMode():
        phi = torch.rand(20_000, 4)
        assert affinity(phi, representation="dense").shape == (20_000, 20_000)


def test_small_sizes_do_not_ask_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: torch.device) -> int:
        raise AssertionError("asked")

    monkeypatch.setattr(memory, "free_bytes", fail)
    assert affinity(torch.rand(64, 4), representation="dense").representation == "dense"


def test_free_memory_is_that_of_the_system_within_the_limit_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, limit = tmp_path / "meminfo", tmp_path / "memory.max"
    facts.write_text("MemTotal:  9000 kB\nMemAvailable:    5000 kB\n", encoding="ascii")
    monkeypatch.setattr(memory, "_MEMORY_FACTS", facts)
    monkeypatch.setattr(memory, "_MEMORY_LIMIT", limit)
    cpu = torch.device("cpu")
    assert free_bytes(cpu) == 5000 * 1024  # no container
    limit.write_text("max\n", encoding="ascii")
    assert free_bytes(cpu) == 5000 * 1024
    limit.write_text("4096\n", encoding="ascii")
    assert free_bytes(cpu) == 4096


def test_a_device_that_tells_nothing_is_not_held_to_anything() -> None:
    assert free_bytes(torch.device("meta")) is None
    require_room_for_matrices(
        torch.empty(0, device="meta"), (10**6, 10**6), matrices=1, instead=str
    )
