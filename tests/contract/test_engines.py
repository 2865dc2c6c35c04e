"""What every engine promises: its memory is ours to write, in place, for as long as it is open."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from runtime.engines import BY_FORMAT, Engine, EngineOptions, TensorSpec, open_engine
from tests.graphs import onnx, tflite
from tests.graphs.numbers import Scaling
from tests.graphs.tflite_tiny import shape_of
from wire.troubles import Refused, Unavailable

ONE_THREAD = EngineOptions(threads=1)
GRAPHS: dict[str, Any] = {"litert": tflite, "onnxruntime": onnx}
ENDING = {kind: f".{ending}" for ending, kind in BY_FORMAT.items()}
SLOW_ROUNDS = {"litert": 400_000, "onnxruntime": 40_000}


@dataclass(frozen=True)
class Maker:
    """Builds graphs for one engine and opens them."""

    kind: str
    folder: Path

    def file(self, build: str, **how: Any) -> Path:
        path = self.folder / f"{build}{ENDING[self.kind]}"
        getattr(GRAPHS[self.kind], build)(path, **how)
        return path

    def open(self, build: str, options: EngineOptions = ONE_THREAD, **how: Any) -> Engine:
        return open_engine(self.kind, self.file(build, **how), options)


@pytest.fixture(params=GRAPHS)
def maker(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request.param, tmp_path)


@pytest.fixture
def echo(maker: Maker) -> Iterator[Engine]:
    engine = maker.open("echo", dtype="uint8")
    yield engine
    engine.close()


def address(tensor: Any) -> int:
    return int(tensor.__array_interface__["data"][0])


def content(engine: Engine, seed: int = 1) -> Any:
    chance = np.random.default_rng(seed)
    return chance.integers(-128, 128, engine.takes.shape).astype(engine.takes.dtype)


def test_the_input_is_one_writable_aligned_array_for_life(echo: Engine) -> None:
    first = echo.input()
    assert first.flags.writeable and first.flags.c_contiguous
    assert address(first) % 64 == 0
    assert (first.shape, first.dtype.name) == (echo.takes.shape, echo.takes.dtype)
    for _ in range(20):
        echo.run()
        assert echo.input() is first


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_what_is_written_there_is_what_the_model_sees(
    maker: Maker, dtype: str, layout: str, channels: int
) -> None:
    engine = maker.open("echo", dtype=dtype, layout=layout, channels=channels, width=7, height=5)
    assert engine.takes.shape == engine.gives[0].shape == shape_of(7, 5, channels, layout)
    assert engine.takes.dtype == engine.gives[0].dtype == dtype
    for seed in range(3):
        engine.input()[...] = content(engine, seed)
        (seen,) = engine.run()
        assert np.array_equal(seen, content(engine, seed))
    engine.close()


@pytest.mark.parametrize("build", ["echo", "colours"])
def test_what_was_written_once_survives_many_runs(maker: Maker, build: str) -> None:
    """Letterbox margins are written when a model is opened, and never again."""
    engine = maker.open(build, dtype="uint8")
    margins = content(engine)
    engine.input()[...] = margins
    first = [output.copy() for output in engine.run()]
    for _ in range(300):
        outputs = engine.run()
    assert np.array_equal(engine.input(), margins)
    assert all(np.array_equal(a, b) for a, b in zip(first, outputs, strict=True))
    engine.close()


def test_the_memory_of_a_deep_model_is_not_reused_for_its_input(maker: Maker) -> None:
    """An arena planner gives memory that is no longer needed to later tensors."""
    engine = maker.open("mobilenet_v2", size=64, classes=10)
    engine.input()[...] = content(engine)
    before = engine.input().copy()
    for _ in range(3):
        engine.run()
    assert np.array_equal(engine.input(), before)
    engine.close()


def test_outputs_are_in_place_and_hold_until_the_next_run(echo: Engine) -> None:
    echo.input().fill(7)
    (first,) = echo.run()
    echo.input().fill(9)
    assert (first == 7).all(), "valid until the next run"
    (second,) = echo.run()
    assert address(second) == address(first)
    assert (first == 9).all(), "a view, not a copy"


def test_a_new_engine_starts_from_zero(echo: Engine) -> None:
    assert not echo.input().any()


def test_specs_tell_the_quantisation(tmp_path: Path) -> None:
    path = tflite.echo(tmp_path / "e.tflite", dtype="int8", scaling=Scaling(0.5, -3))
    engine = open_engine("litert", path, ONE_THREAD)
    assert engine.takes == TensorSpec("input", (1, 6, 8, 3), "int8", 0.5, -3)
    assert engine.gives == (TensorSpec("output", (1, 6, 8, 3), "int8", 0.5, -3),)
    engine.close()
    plain = open_engine("litert", tflite.echo(tmp_path / "p.tflite"), ONE_THREAD)
    assert plain.takes == TensorSpec("input", (1, 6, 8, 3), "uint8", None, None)
    plain.close()


def test_several_outputs_keep_their_order(tmp_path: Path) -> None:
    tflite.ssd_known(tmp_path / "s.tflite", order=tflite.TF2_ORDER)
    engine = open_engine("litert", tmp_path / "s.tflite", ONE_THREAD)
    assert [spec.shape for spec in engine.gives] == [(1, 10), (1, 10, 4), (1,), (1, 10)]
    engine.input()[0, :24, 24:48] = (255, 0, 0)
    scores, boxes, count, classes = engine.run()
    assert (count[0], scores[0, 0], classes[0, 0]) == (1, pytest.approx(1, abs=0.01), 0)
    assert boxes[0, 0] == pytest.approx([0, 0.25, 0.25, 0.5], abs=1e-6)
    engine.close()


def test_a_dynamic_output_is_read_where_it_is(maker: Maker) -> None:
    """`hungry` fills a tensor whose size is known only when it runs."""
    engine = maker.open("hungry", mebibytes=1)
    assert engine.gives[0].shape == (1, 1 << 18)
    for value in (3, 5):
        engine.input().fill(value)
        (filled,) = engine.run()
        assert filled.shape == (1, 1 << 18) and (filled == value).all()
    engine.close()


def test_an_output_may_be_of_another_size_at_every_run(maker: Maker) -> None:
    engine = maker.open("growing")
    assert engine.gives[0].shape == (0,)
    for size in (3, 255, 0, 1, 200, 255, 2):
        engine.input().fill(size)
        (ones,) = engine.run()
        assert ones.shape == (size,) and (ones == 1).all()
    engine.close()


def test_open_dimensions_take_what_the_manifest_declares(maker: Maker) -> None:
    assert maker.open("open_batch").takes.shape[0] == 1
    layout = "NHWC" if maker.kind == "litert" else "NCHW"
    declared = TensorSpec("input", shape_of(9, 4, 3, layout), "float32")
    engine = maker.open("open_size", EngineOptions(threads=1, takes=declared))
    assert engine.takes.shape == declared.shape
    engine.input().fill(0.25)
    assert engine.run()[0].ravel() == pytest.approx([0.25] * 3)
    engine.close()
    with pytest.raises(Refused, match=r"leaves its size open.*manifest"):
        maker.open("open_size")


@pytest.mark.budget
def test_thousands_of_runs_do_not_grow(echo: Engine) -> None:
    def turn(times: int) -> None:
        for _ in range(times):
            echo.input()[0, 0, 0, 0] = 1
            echo.run()

    process = psutil.Process()
    turn(1_000)
    rss = process.memory_info().rss
    turn(3_000)
    assert process.memory_info().rss - rss < 2 << 20
    tracemalloc.start()
    try:
        turn(200)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        turn(1_000)
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4_096  # 4 bytes a run: less than any object
    assert peak - before < 16_384


def test_opening_and_closing_leaves_nothing_behind(maker: Maker) -> None:
    """Hot swaps go on for months."""
    path = maker.file("mobilenet_v2", size=96, classes=10)

    def turn(times: int) -> None:
        for _ in range(times):
            engine = open_engine(maker.kind, path, ONE_THREAD)
            engine.run()
            engine.close()

    process = psutil.Process()
    turn(4)
    gc.collect()
    before, files = process.memory_info().rss, process.num_fds()
    turn(12)
    gc.collect()
    assert process.memory_info().rss - before < 12 << 20  # one model takes about 5 MiB
    assert process.num_fds() <= files + 1


def test_two_engines_run_in_two_threads(maker: Maker) -> None:
    path = maker.file("echo", dtype="uint8")
    wrong: list[object] = []

    def turn(seed: int) -> None:
        try:
            engine = open_engine(maker.kind, path, ONE_THREAD)
            wanted = content(engine, seed)
            for _ in range(500):
                engine.input()[...] = wanted
                if not np.array_equal(engine.run()[0], wanted):
                    wrong.append(seed)
            engine.close()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=turn, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_run_lets_other_threads_work(maker: Maker) -> None:
    """The interpreter lock is free meanwhile: a counter goes on as the model counts."""
    engine = maker.open("slow", rounds=SLOW_ROUNDS[maker.kind])
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.001):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    begun = time.monotonic()
    engine.run()
    ended = time.monotonic()
    stop.set()
    thread.join()
    engine.close()
    assert ended - begun > 0.02, "too quick to tell"
    assert sum(begun < at < ended for at in ticks) >= 5


def test_threads_are_made_as_asked(maker: Maker) -> None:
    path = maker.file("mobilenet_v2", size=96, classes=10)

    def threads_with(wanted: int) -> int:
        before = psutil.Process().num_threads()
        engine = open_engine(maker.kind, path, EngineOptions(threads=wanted))
        engine.run()
        made = psutil.Process().num_threads() - before
        engine.close()
        return made

    assert threads_with(1) == 0
    assert threads_with(4) >= 3


def test_by_default_one_core_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, expected in (({0}, 1), ({0, 1}, 1), ({0, 1, 2, 3}, 3)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: cores)
        assert EngineOptions().thread_count == expected


def test_an_unknown_accelerator_is_not_there(maker: Maker) -> None:
    with pytest.raises(Unavailable, match=r"nobody") as told:
        maker.open("echo", EngineOptions(accelerators=("nobody.so",)))
    assert "\n" not in str(told.value)


def test_a_library_that_is_no_delegate_says_so_and_no_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tflite.echo(tmp_path / "e.tflite")
    with pytest.raises(Unavailable, match=r"'libm.so.6'.*no delegate.*CPU"):
        open_engine("litert", path, EngineOptions(accelerators=("libm.so.6",)))
    gc.collect()
    assert capfd.readouterr().err == ""


def test_the_cpu_provider_may_be_named(tmp_path: Path) -> None:
    path = onnx.echo(tmp_path / "e.onnx")
    for name in ("cpu", "CPUExecutionProvider"):
        open_engine("onnxruntime", path, EngineOptions(1, (name,))).close()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def spoil(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(3_000))


@pytest.mark.parametrize(
    ("build", "damage", "why"),
    [
        ("echo", spoil, "copy or export it again"),
        ("echo", lambda path: path.write_bytes(b""), "copy or export it again"),
        ("echo", lambda path: path.write_text("a text\n" * 100), "copy or export it again"),
        ("two_inputs", None, r"2 inputs \(left, right\)"),
        ("unknown_op", None, "NobodyKnowsThisOp|Mystery"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_by_name(
    maker: Maker, build: str, damage: Callable[[Path], object] | None, why: str
) -> None:
    path = maker.file(build)
    if damage is not None:
        damage(path)
    with pytest.raises(Refused, match=why) as told:
        open_engine(maker.kind, path, ONE_THREAD)
    assert str(told.value).startswith(f"{path}: ")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_an_input_of_another_type_is_refused(maker: Maker, dtype: str) -> None:
    with pytest.raises(Refused, match=f"'input' is {dtype}; uint8, int8 or float32"):
        maker.open("echo", dtype=dtype)


def test_a_run_that_fails_is_said_in_one_line_and_the_next_one_works(maker: Maker) -> None:
    """An operator may find in the middle of a run that it cannot work with these very values."""
    engine = maker.open("fails_on_bright")
    path = maker.file("fails_on_bright")
    for _ in range(3):
        engine.input().fill(1)
        with pytest.raises(Refused, match=r"cannot run it: (?!Error).*bounds") as told:
            engine.run()
        assert str(told.value).startswith(f"{path}: ") and "\n" not in str(told.value)
        engine.input().fill(0)
        assert engine.run()[0] == 1
    engine.close()


def test_a_model_that_wants_more_memory_than_there_is_says_so(maker: Maker) -> None:
    with pytest.raises(Refused, match="not enough memory"):
        maker.open("hungry", mebibytes=1 << 24)  # 16 TiB


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -0.5])
def test_a_scale_that_is_none_is_refused(tmp_path: Path, scale: float) -> None:
    path = tflite.echo(tmp_path / "e.tflite", dtype="int8", scaling=Scaling(scale, 0))
    with pytest.raises(Refused, match=r"scale"):
        open_engine("litert", path, ONE_THREAD)


def test_the_null_engine_gives_what_the_manifest_declares(tmp_path: Path) -> None:
    takes = TensorSpec("input", (1, 4, 6, 3), "int8", 0.1, 2)
    gives = (TensorSpec("a", (1, 3), "float32"), TensorSpec("b", (2, 0), "uint8"))
    engine = open_engine("null", tmp_path / "none", EngineOptions(takes=takes, gives=gives))
    assert engine.input() is engine.input()
    assert address(engine.input()) % 64 == 0 and engine.input().shape == takes.shape
    engine.input().fill(5)
    assert engine.run() is engine.run()
    assert [(out.shape, out.dtype.name, out.any()) for out in engine.run()] == [
        ((1, 3), "float32", False), ((2, 0), "uint8", False)]  # fmt: skip
    engine.close()
    with pytest.raises(Refused, match="needs a manifest"):
        open_engine("null", tmp_path / "none")


def test_an_engine_that_nobody_knows_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    known = "litert, onnxruntime, tensorrt, null"
    with pytest.raises(Refused, match=f"'tensorflow': use one of {known}"):
        open_engine("tensorflow", tmp_path / "m.tflite")
