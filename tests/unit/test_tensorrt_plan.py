"""What TensorRT built: found again by all that it depends on, and by nothing less; built apart."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from models.plans import Key
from runtime.building import Builds, build_now
from runtime.engines import EngineOptions, engine_reason, open_engine, tensorrt_plan
from runtime.locating import ZOO, locate
from tests.graphs import onnx
from wire.troubles import Refused, Unavailable

MODEL = ZOO / "digits" / "onnx"
KEY = Key("a" * 64, (1, 3, 28, 28), "tensorrt 10.3.0", "sm_87", "36.4.3")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vedette" / "tensorrt"


def test_a_plan_is_found_by_the_very_same_key_only() -> None:
    tensorrt_plan.keep(KEY, b"plan")
    assert tensorrt_plan.kept(KEY) == b"plan"
    others: dict[str, Any] = {
        "model": "b" * 64, "shape": (1, 3, 28, 32), "tensorrt": "tensorrt 10.3.1",
        "architecture": "sm_72", "l4t": "",
    }  # fmt: skip
    for field, value in others.items():
        assert tensorrt_plan.kept(replace(KEY, **{field: value})) is None, field
    tensorrt_plan.forget(KEY)
    assert tensorrt_plan.kept(KEY) is None


def test_the_key_is_of_the_file_the_version_the_device_and_its_system(tmp_path: Path) -> None:
    file, module = tmp_path / "m.onnx", SimpleNamespace(__name__="tensorrt", __version__="10.3.0")
    onnx.echo(file)
    key = tensorrt_plan.key_of(file, (1, 3), module, "sm_87")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert key == Key(digest, (1, 3), "tensorrt 10.3.0", "sm_87", tensorrt_plan.l4t_release())
    onnx.echo(file, width=16)
    assert tensorrt_plan.key_of(file, (1, 3), module, "sm_87") != key


def test_what_was_used_least_recently_goes(cache: Path) -> None:
    """The plan that runs was built first; whoever opened it used it."""
    tensorrt_plan.keep(KEY, b"runs")
    for number in range(tensorrt_plan.MOST_KEPT + 3):
        for path in cache.glob("*.plan"):
            os.utime(path, (number, number))
        assert tensorrt_plan.kept(KEY) == b"runs"
        tensorrt_plan.keep(replace(KEY, model=f"{number:064}"), b"tried once")
    assert len(list(cache.iterdir())) == tensorrt_plan.MOST_KEPT
    assert tensorrt_plan.kept(replace(KEY, model=f"{number:064}")) == b"tried once"


@pytest.mark.parametrize(("most", "more"), [(-1, b""), (-1, b"!"), (0, b"")])
def test_a_plan_that_the_disk_damaged_is_none(cache: Path, most: int, more: bytes) -> None:
    """It is native code: what runs of it when a bit of it is another, nobody knows."""
    tensorrt_plan.keep(KEY, b"a plan")
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:most] + more)
    assert tensorrt_plan.kept(KEY) is None


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64", "36.4.3"),
        ("something else", ""),
        (None, ""),
    ],
)
def test_the_release_of_a_jetson(tmp_path: Path, text: str | None, release: str) -> None:
    path = tmp_path / "nv_tegra_release"
    if text is not None:
        path.write_text(text)
    assert tensorrt_plan.l4t_release(path) == release


needs_none = pytest.mark.skipif(engine_reason("tensorrt") is None, reason="TensorRT is here")


@needs_none
def test_without_tensorrt_it_is_said_what_to_install() -> None:
    with pytest.raises(Unavailable, match="JetPack"):
        open_engine("tensorrt", MODEL / "digits.onnx", EngineOptions())
    with locate(MODEL, "tensorrt") as located, pytest.raises(Unavailable, match="JetPack"):
        build_now(located, lambda line: None)


@needs_none
def test_who_asks_does_not_wait_for_a_build() -> None:
    builds = Builds()
    with locate(MODEL, "tensorrt") as located:
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s:
            try:
                builds.need(located)
            except Unavailable as trouble:
                if "JetPack" in str(trouble):
                    return
                assert "is being built for this device: 0 %" in str(trouble)
    raise AssertionError("it never came to an end")


def test_what_needs_no_build_is_there_at_once() -> None:
    with locate(MODEL) as located:
        Builds().need(located)
        build_now(located, lambda line: None)


def test_a_tflite_model_is_not_for_tensorrt() -> None:
    with (
        pytest.raises(Refused, match="engine tensorrt cannot run tflite: use litert"),
        locate(MODEL.parent / "tflite", "tensorrt"),
    ):
        pass


class TestBuilder:
    """With the builder of TensorRT for RTX, which needs no device to build for one."""

    @pytest.fixture(autouse=True)
    def module(self) -> object:
        return pytest.importorskip("tensorrt_rtx")

    def test_a_quantised_model_is_built_and_tells_how_far_it_is(self, module: object) -> None:
        told: list[int] = []
        plan = tensorrt_plan.build(module, MODEL / "digits.onnx", (), told.append)
        assert len(plan) > 100_000
        assert told == sorted(set(told)) and told[-1] == 100 and len(told) > 5

    def test_what_it_cannot_read_is_refused_in_its_words(
        self, module: object, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"\x08\x07garbage")
        with pytest.raises(Refused, match=r"TensorRT cannot read it: .+"):
            tensorrt_plan.build(module, broken, (), lambda percent: None)

    def test_what_it_cannot_compute_is_refused_in_its_words(
        self, module: object, tmp_path: Path
    ) -> None:
        """It takes symmetric quantisation only."""
        onnx.mobilenet_v2(tmp_path / "m.onnx", size=64, classes=10)
        with pytest.raises(Refused, match="Non-zero zero point is not supported"):
            tensorrt_plan.build(module, tmp_path / "m.onnx", (), lambda percent: None)

    @pytest.mark.parametrize("shape", [(), (1, 3, 8, 8)])
    def test_an_open_batch_is_closed(
        self, module: object, tmp_path: Path, shape: tuple[int, ...]
    ) -> None:
        model = onnx.open_batch(tmp_path / "m.onnx")
        assert tensorrt_plan.build(module, model, shape, lambda percent: None)
        with pytest.raises(Refused, match="leaves its size open"):
            tensorrt_plan.build(module, onnx.open_size(model), (), lambda percent: None)

    def test_an_open_size_is_what_is_declared(self, module: object, tmp_path: Path) -> None:
        model = onnx.open_size(tmp_path / "m.onnx")
        plans = [
            tensorrt_plan.build(module, model, (1, 3, side, side), lambda percent: None)
            for side in (16, 32)
        ]
        assert plans[0] and plans[0] != plans[1]
