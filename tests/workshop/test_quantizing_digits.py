"""What smaller numbers cost the digits classifier and detector, by the runtime's own engines."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from runtime.engines import EngineOptions
from tests.workshop.float_digits import FloatDigits, folder_of, several_float_digits
from workshop.comparing.accuracy import accuracy_of
from workshop.quantizing import CALIBRATED, QUANTIZERS, SENSITIVITY, Made, Request, Sensitivity
from workshop.quantizing import SensitivityRequest as Ask
from workshop.quantizing.mixed import Mixed, find_mixed
from workshop.samples import Samples
from workshop.samples.opening import open_samples
from workshop.step import run_step

POINT = 0.01
SCENES = {"digits": ("digits=1", 300), "digits-detect": ("digits=6", 80)}
LABELS = tuple("0123456789")
BOTH = [(name, kind) for name in SCENES for kind in ("tflite", "onnx")]
# of the float32 file's bytes; a small .onnx carries more of its graph
LARGEST_SHARE = {"float16": 0.53, "dynamic": 0.32, "int8": 0.32, "int8x16": 0.32}
ONE_THREAD = EngineOptions(threads=1)


class Digits:
    """One network of the zoo, in float32."""

    def __init__(self, name: str, files: FloatDigits) -> None:
        self.name, self.files = name, files
        scene, count = SCENES[name]
        words = f"synthetic://640x480?{scene}"
        self.samples: Samples = open_samples(words, LABELS, count)

    def source(self, kind: str) -> Path:
        return self.files.model(kind) / f"{self.name}.{kind}"

    def value(self, folder: Path) -> float:
        return accuracy_of(folder, self.samples, ONE_THREAD)

    def folder_of(self, kind: str, file: Path) -> Path:
        return folder_of(self.files.model(kind), file, file.with_suffix(""))

    def made(self, kind: str, precision: str, file: Path, **more: object) -> Made:
        if precision in CALIBRATED:
            more = {"calibration": str(self.files.samples(kind))} | more
        request = Request(str(self.source(kind)), str(file), precision, **more)  # type: ignore[arg-type]
        made: Made = importlib.import_module(QUANTIZERS[kind]).step(request)  # type: ignore[index]
        return made


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, float], Digits]:
    """By name and spread: those of 1.5 are kind to int8, those of 3 are not."""
    wanted = [
        (name, tmp_path_factory.mktemp(name), spread) for spread in (1.5, 3.0) for name in SCENES
    ]
    made = several_float_digits(wanted)
    return {
        (name, spread): Digits(name, files)
        for (name, _, spread), files in zip(wanted, made, strict=True)
    }


@pytest.mark.parametrize(("name", "kind"), BOTH)
def test_int8_and_the_others_are_within_one_point_of_float(
    networks: dict[tuple[str, float], Digits], name: str, kind: str, tmp_path: Path
) -> None:
    digits = networks[name, 1.5]
    wanted = digits.value(digits.files.model(kind))
    assert wanted > 0.98
    for precision, share in LARGEST_SHARE.items():
        file = tmp_path / f"{precision}.{kind}"
        digits.made(kind, precision, file)
        assert digits.value(digits.folder_of(kind, file)) >= wanted - POINT, precision
        assert file.stat().st_size < share * digits.source(kind).stat().st_size, precision


@pytest.mark.parametrize("name", SCENES)
def test_onnx_for_a_cpu_is_within_one_point_too(
    networks: dict[tuple[str, float], Digits], name: str, tmp_path: Path
) -> None:
    digits = networks[name, 1.5]
    file = tmp_path / "cpu.onnx"
    digits.made("onnx", "int8", file, suits="cpu")
    wanted = digits.value(digits.files.model("onnx"))
    assert digits.value(digits.folder_of("onnx", file)) >= wanted - POINT


@pytest.mark.parametrize("method", ["percentile", "entropy"])
@pytest.mark.parametrize("kind", QUANTIZERS)
def test_a_detector_keeps_its_rare_high_scores_by_any_method(
    networks: dict[tuple[str, float], Digits], kind: str, method: str, tmp_path: Path
) -> None:
    """Of 3,000 scores a few are above 0.3: whoever clips those finds nothing."""
    digits = networks["digits-detect", 1.5]
    file = tmp_path / f"clipped.{kind}"
    digits.made(kind, "int8", file, method=method)
    wanted = digits.value(digits.files.model(kind))
    assert digits.value(digits.folder_of(kind, file)) >= wanted - POINT


@pytest.mark.parametrize(("name", "kind"), BOTH[:3])
def test_mixed_precision_brings_back_what_int8_lost(
    networks: dict[tuple[str, float], Digits], name: str, kind: str, tmp_path: Path
) -> None:
    digits = networks[name, 3.0]
    wanted = digits.value(digits.files.model(kind)) - 0.003
    found, ranked = _mixed(digits, kind, wanted, tmp_path)
    assert found.trail[0].keep == ()
    assert found.trail[0].score < wanted - 0.003, "int8 alone is not good enough"
    assert found.score >= wanted
    assert 0 < len(found.keep) <= len(ranked) / 2
    assert found.file.stat().st_size < 0.75 * digits.source(kind).stat().st_size
    assert digits.value(digits.folder_of(kind, found.file)) == found.score


def _mixed(digits: Digits, kind: str, wanted: float, folder: Path) -> tuple[Mixed, list[str]]:
    ranges = str(folder / "ranges.json")
    files = digits.files
    source, held = str(digits.source(kind)), str(files.samples(kind, held=True))
    ask = Ask(source, "int8", held, str(files.samples(kind)), ranges=ranges)
    ranked = [each.name for each in run_step(SENSITIVITY, ask, Sensitivity).layers]

    def quantize(keep: frozenset[str]) -> Path:
        file = folder / f"mixed.{kind}"
        digits.made(kind, "int8", file, keep=tuple(sorted(keep)), ranges=ranges)
        return file

    def score(file: Path) -> float:
        return digits.value(digits.folder_of(kind, file))

    return find_mixed(quantize, score, wanted, ranked), ranked
