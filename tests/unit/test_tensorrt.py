"""The engine for TensorRT on a twin of it: built, kept, opened, recorded, given back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runtime import building
from runtime.building import Builds, build_now
from runtime.engines import (
    Engine,
    EngineOptions,
    TensorSpec,
    device_bytes,
    open_engine,
    tensorrt,
    tensorrt_plan,
)
from runtime.locating import ZOO, locate
from tests.graphs import onnx
from tests.twin_tensorrt import Device, device
from wire.troubles import Refused, Unavailable

OPTIONS = EngineOptions()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vedette" / "tensorrt"


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    folder = tmp_path / "twin"
    folder.mkdir()
    one = device(folder, monkeypatch)
    yield one
    one.set("lost", 0)
    one.set("left", -1)
    assert one.live == 0, "all that was taken of the device was given back"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return onnx.echo(tmp_path / "m.onnx")


def built(path: Path, options: EngineOptions = OPTIONS) -> Engine:
    shape = () if options.takes is None else options.takes.shape
    tensorrt.build(path, shape, (), lambda percent: None)
    return open_engine("tensorrt", path, options)


def answers(engine: Engine) -> bool:
    for seed in range(3):
        wanted = np.random.default_rng(seed).random(engine.takes.shape, np.float32)
        engine.input()[...] = wanted
        if not np.array_equal(engine.run()[0], wanted):
            return False
    return True


def test_a_model_is_built_kept_opened_and_run(twin: Device, model: Path) -> None:
    engine = built(model)
    assert engine.takes == TensorSpec("input", (1, 3, 6, 8), "float32")
    assert engine.gives == (TensorSpec("output", (1, 3, 6, 8), "float32"),)
    assert answers(engine)
    assert device_bytes(engine) > 0
    engine.close()


def test_work_that_cannot_be_recorded_is_given_each_time(twin: Device, model: Path) -> None:
    twin.set("no_graphs", 1)
    engine = built(model)
    assert answers(engine)
    engine.close()


def test_a_device_that_is_lost_is_said_and_closes_all_the_same(twin: Device, model: Path) -> None:
    engine = built(model)
    twin.set("lost", 1)
    with pytest.raises(Unavailable, match=r"cannot run it: CUDA: .*launch failure \(719\)"):
        engine.run()
    held = twin.live
    engine.close()
    twin.set("lost", 0)
    twin.set("live", twin.live - held)  # which a lost device has no more


@pytest.mark.parametrize("left", range(5))
def test_without_memory_nothing_is_kept_of_it_but_the_plan(
    twin: Device, model: Path, cache: Path, left: int
) -> None:
    """A plan takes minutes to build: it is no fault of it that others hold the memory now."""
    built(model).close()
    twin.set("left", left)
    try:
        open_engine("tensorrt", model, OPTIONS).close()
    except Unavailable as trouble:
        assert "out of memory" in str(trouble)
    assert len(list(cache.iterdir())) == 1


def test_a_plan_that_is_not_taken_is_built_anew(twin: Device, model: Path, cache: Path) -> None:
    built(model).close()
    tensorrt_plan.keep(tensorrt.key_here(model, ()), b"of another kind")
    with pytest.raises(Unavailable, match="does not take its plan"):
        open_engine("tensorrt", model, OPTIONS)
    with pytest.raises(Unavailable, match="was not built for this device yet"):
        open_engine("tensorrt", model, OPTIONS)
    built(model).close()


def test_an_open_batch_is_of_one_picture(twin: Device, tmp_path: Path) -> None:
    engine = built(onnx.open_batch(tmp_path / "m.onnx"))
    assert engine.takes.shape == (1, 3, 8, 8) and answers(engine)
    engine.close()


def test_an_open_size_is_what_is_declared(twin: Device, tmp_path: Path) -> None:
    model = onnx.open_size(tmp_path / "m.onnx")
    with pytest.raises(Refused, match=r"leaves its size open.*gives width and height"):
        built(model)
    for side in (16, 24):
        declared = EngineOptions(takes=TensorSpec("input", (1, 3, side, side), "float32"))
        engine = built(model, declared)
        assert engine.takes.shape == (1, 3, side, side), "each has a plan of its own"
        engine.close()


def test_a_quantised_model_is_built_with_the_flag_that_it_needs(
    twin: Device, tmp_path: Path
) -> None:
    """Up to version 10 the builder refuses Q/DQ nodes without it."""
    with locate(ZOO / "digits" / "onnx", "tensorrt") as located:
        said: list[str] = []
        build_now(located, said.append)
    assert said == [] or "being built" in said[0]


def test_constants_of_another_folder_are_not_read(twin: Device, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"0123456789abcdef")
    (tmp_path / "m").mkdir()
    model = onnx.outside(tmp_path / "m" / "m.onnx", "../secret", 16)
    with pytest.raises(Refused, match="not in its own folder"):
        tensorrt.build(model, (), (), lambda percent: None)


def test_weights_in_a_file_beside_are_part_of_the_key(twin: Device, tmp_path: Path) -> None:
    model = onnx.outside(tmp_path / "m.onnx", "weights", 16)
    keys = []
    for content in (b"0" * 16, b"1" * 16):
        (tmp_path / "weights").write_bytes(content)
        keys.append(tensorrt.key_here(model, ()))
    assert keys[0] != keys[1]


def test_who_asks_is_told_when_it_is_built(twin: Device) -> None:
    builds, end_s = Builds(), time.monotonic() + 120
    with locate(ZOO / "digits" / "onnx", "tensorrt") as located:
        while time.monotonic() < end_s:
            try:
                builds.need(located)
                return
            except Unavailable as trouble:
                assert "is being built for this device" in str(trouble)
                time.sleep(0.2)
    raise AssertionError("it never came to an end")


def test_who_starts_says_that_it_is_alive(twin: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long one percent takes: systemd would end a start that it hears nothing of."""
    monkeypatch.setattr(building, "SAY_S", 0.0)
    said: list[str] = []
    with locate(ZOO / "digits" / "onnx", "tensorrt") as located:
        build_now(located, said.append)
    assert said[0] == "digits.onnx is being built for this device: 0 %"
    assert len(set(said)) < len(said)
