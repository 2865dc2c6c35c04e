"""An engine that outlives its accelerator, in one process: the same answers, whoever gives them."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from runtime.accelerated import AcceleratedEngine, Ways, degraded
from runtime.engines import Engine, EngineOptions, accelerators, open_engine
from runtime.lasting import open_lasting
from runtime.locating import ZOO, Located, locate
from tests.delegates import Plug, plug
from wire.troubles import Refused, Unavailable

FILE = ZOO / "digits" / "tflite" / "digits.tflite"


@pytest.fixture
def stick(tmp_path: Path) -> Plug:
    return plug(tmp_path)


def opened(*names: str) -> Engine:
    return open_engine("litert", FILE, EngineOptions(threads=1, accelerators=names))


@pytest.fixture
def engine(stick: Plug) -> Iterator[AcceleratedEngine]:
    def try_out() -> None:
        if stick.gone.exists():
            raise Unavailable("not there")

    ways = Ways(lambda: opened(stick.accelerator), opened, try_out)
    engine = AcceleratedEngine(ways, lambda: None, first_retry_s=0.01)
    yield engine
    engine.close()


def answer(engine: Engine, seed: int) -> list[int]:
    chance = np.random.default_rng(seed)
    engine.input()[...] = chance.integers(-128, 128, engine.takes.shape)
    values: list[int] = engine.run()[0].ravel().tolist()
    return values


def until(what: object) -> None:
    end_s = time.monotonic() + 20
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_the_very_frame_in_which_it_is_lost_is_answered(
    engine: AcceleratedEngine, stick: Plug
) -> None:
    alone = opened()
    assert answer(engine, 1) == answer(alone, 1)
    assert degraded(engine) is None
    before = engine.input()
    stick.pull()
    assert answer(engine, 2) == answer(alone, 2)
    assert "the accelerator does not answer" in str(degraded(engine))
    assert engine.input() is not before
    assert [answer(engine, seed) for seed in (3, 4)] == [answer(alone, seed) for seed in (3, 4)]
    alone.close()


def test_it_is_taken_back_between_two_frames_as_often_as_it_returns(
    engine: AcceleratedEngine, stick: Plug
) -> None:
    alone = opened()
    for seed in range(3):
        stick.pull()
        assert answer(engine, seed) == answer(alone, seed)
        assert degraded(engine) is not None
        stick.push()

        def is_back() -> bool:
            engine.input()
            return degraded(engine) is None

        until(is_back)
        assert answer(engine, 10 + seed) == answer(alone, 10 + seed)
    alone.close()


def test_a_model_that_fails_on_the_processor_as_well_is_to_blame(stick: Plug) -> None:
    class Broken:
        """Refuses every picture, as an operator that cannot work on these very values."""

        takes, gives = opened().takes, opened().gives

        def input(self) -> np.ndarray:
            return np.zeros(self.takes.shape, self.takes.dtype)

        def run(self) -> tuple[()]:
            raise Refused("it divides by zero")

        def close(self) -> None: ...

    broken = AcceleratedEngine(Ways(Broken, Broken, lambda: None), lambda: None)
    with pytest.raises(Refused, match="divides by zero"):
        broken.run()
    assert degraded(broken) is None
    broken.close()


def test_one_that_only_another_process_can_use_says_so(stick: Plug) -> None:
    tries: list[int] = []

    def stuck() -> Engine:
        tries.append(1)
        raise Unavailable("CUDA failure 719: unspecified launch failure")

    engine = AcceleratedEngine(Ways(stuck, opened, lambda: None), lambda: None, 0.001)
    assert not engine.needs_new_process
    until(lambda: engine.needs_new_process)
    assert len(tries) >= 4 and answer(engine, 1)
    engine.close()


def test_no_memory_for_it_now_is_no_reason_to_give_up(stick: Plug) -> None:
    troubles: list[Exception] = [Unavailable("not yet"), MemoryError(), OSError("no room")]

    def accelerated() -> Engine:
        if troubles:
            raise troubles.pop(0)
        return opened(stick.accelerator)

    engine = AcceleratedEngine(Ways(accelerated, opened, lambda: None), lambda: None, 0.001)

    def is_back() -> bool:
        engine.input()
        return degraded(engine) is None

    until(is_back)
    assert troubles == [] and answer(engine, 1)
    engine.close()


def test_files_are_closed_if_it_opens_in_no_way(tmp_path: Path, stick: Plug) -> None:
    closed: list[str] = []
    (tmp_path / "m.tflite").write_bytes(b"no model")

    @contextmanager
    def located() -> Iterator[Located]:
        try:
            with locate(tmp_path / "m.tflite") as found:
                yield found
        finally:
            closed.append("files")

    options = EngineOptions(threads=1, accelerators=(stick.accelerator,))
    with pytest.raises(Refused) as told:
        open_lasting(located(), options, print)
    assert closed == ["files"], told.value


def test_what_it_kept_open_is_closed_with_it(stick: Plug) -> None:
    closed: list[str] = []
    ways = Ways(lambda: opened(stick.accelerator), opened, lambda: None)
    engine = AcceleratedEngine(ways, lambda: closed.append("files"))
    stick.pull()
    answer(engine, 1)
    engine.close()
    assert closed == ["files"]


@pytest.mark.parametrize(
    ("words", "name", "options"),
    [
        ("edgetpu", "edgetpu", {}),
        ("edgetpu?device=usb:0", "edgetpu", {"device": "usb:0"}),
        ("/opt/lib.so?a=1&b=", "/opt/lib.so", {"a": "1", "b": ""}),
    ],
)
def test_names_and_options(words: str, name: str, options: dict[str, str]) -> None:
    assert accelerators.parse(words) == (name, options)


def test_an_option_without_a_value_is_refused() -> None:
    with pytest.raises(Refused, match="NAME\\?key=value"):
        accelerators.parse("edgetpu?usb:0")


def test_the_usual_library_of_a_name_is_looked_for() -> None:
    with pytest.raises(Unavailable, match=r"delegate 'edgetpu'.*libedgetpu\.so\.1"):
        opened("edgetpu")


def test_what_the_tensorrt_provider_builds_has_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider makes one folder, and not those above it: on a new device it would not start."""
    ort = importlib.import_module("onnxruntime")
    seen: list[dict[str, str]] = []

    def session(path: str, settings: object, providers: list[tuple[str, dict[str, str]]]) -> None:
        seen.extend(options for _, options in providers)
        raise RuntimeError("there is no such device")

    here = ["TensorrtExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "home"))
    monkeypatch.setattr(ort, "get_available_providers", lambda: here)
    monkeypatch.setattr(ort, "InferenceSession", session)
    with pytest.raises(Refused, match="no such device"):
        model = ZOO / "digits" / "onnx" / "digits.onnx"
        open_engine("onnxruntime", model, EngineOptions(accelerators=("tensorrt",)))
    assert Path(seen[0]["trt_engine_cache_path"]).is_dir()
