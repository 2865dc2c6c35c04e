"""`vedette fleet pack` as an operator runs it: whole models, lean manifests, and bad input."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models import bundle, manifest
from models.manifest import Golden
from runtime.golden import read_answer
from runtime.locating import ZOO
from runtime.tasks import Box, Class
from tests.graphs import onnx, tflite
from tests.held_out import DETECT, draw
from tests.story.shell import Said, Shell

DIGITS, DETECTOR = ZOO / "digits" / "tflite", ZOO / "digits-detect" / "tflite"
REFUSED, UNAVAILABLE = 2, 1


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    assert shell.left_behind() == [], "what was worked in is gone"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures") / "digits", 60)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures") / "scenes", 40, DETECT, ".jpg")


def pack(shell: Shell, *words: object) -> Said:
    return shell.run("fleet", "pack", *map(str, words))


def packed(shell: Shell, *words: object) -> Any:
    said = pack(shell, *words, "--json")
    assert said.code == 0 and not said.troubles, said.err
    return json.loads(said.out)


def lean(folder: Path, source: Path = DIGITS) -> Path:
    """A model folder whose manifest says only what no tensor can say."""
    shutil.copytree(source, folder)
    whole = manifest.load(folder)
    eats = msgspec.structs.replace(whole.input, scale=None, zero_point=None)
    manifest.write(folder, msgspec.structs.replace(whole, input=eats, outputs=(), golden=()))
    for each in folder.glob("golden*"):
        each.unlink()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir())}


@pytest.mark.parametrize("model", ["digits/tflite", "digits/onnx", "digits-detect/tflite",
                                   "digits-detect/onnx"])  # fmt: skip
def test_a_whole_model_is_packed_as_it_is(shell: Shell, model: str) -> None:
    told = packed(shell, ZOO / model)
    name, form = model.split("/")
    assert told["output"] == f"{name}-1-{form}.zip"
    assert told["digest"] == bundle.folder_digest(ZOO / model)
    seen = bundle.inspect(shell.folder / told["output"])
    assert (seen.digest, seen.size) == (told["digest"], told["size"])
    assert (told["filled"], told["guessed"], told["check"]["golden"]) == ([], [], 4)


@pytest.mark.parametrize("model", ["digits/tflite", "digits/onnx"])
def test_a_lean_manifest_is_completed_from_the_tensors(
    shell: Shell, tmp_path: Path, digits: Path, model: str
) -> None:
    folder = lean(tmp_path / "model", ZOO / model)
    before = contents(folder)
    told = packed(shell, folder, "--golden", digits, "--version", "2.1")
    assert contents(folder) == before, "the user's folder is not changed"
    seen = bundle.unpack(shell.folder / told["output"], tmp_path / "out").manifest
    published = manifest.load(ZOO / model)
    assert (seen.input, seen.outputs) == (published.input, published.outputs)
    assert (seen.version, told["version"], len(seen.golden)) == ("2.1", "2.1", 6)
    filled = " ".join(told["filled"])
    assert "[[outputs]]" in filled
    assert ("[input] scale" in filled) == (published.input.scale is not None)
    answers = [read_answer(tmp_path / "out" / each.answer, "classify") for each in seen.golden]
    best = [each[0] for each in answers]
    assert all(isinstance(each, Class) for each in best)
    assert len({each.index for each in best if isinstance(each, Class)}) == 6, "six classes in six"


@pytest.mark.parametrize("model", ["digits-detect/tflite", "digits-detect/onnx"])
def test_golden_samples_of_a_detector(
    shell: Shell, tmp_path: Path, scenes: Path, model: str
) -> None:
    told = packed(shell, lean(tmp_path / "m", ZOO / model), "--golden", scenes, "--golden-count=3")
    seen = bundle.unpack(shell.folder / told["output"], tmp_path / "out").manifest
    assert len(seen.golden) == told["check"]["golden"] == 3
    for sample in seen.golden:
        found = read_answer(tmp_path / "out" / sample.answer, "detect")
        assert found, "a picture in which nothing is found shows little"
        least = seen.decoding.min_score + sample.tolerance
        assert all(isinstance(each, Box) and each.score >= least for each in found)
        picture = (tmp_path / "out" / sample.picture).read_bytes()
        assert picture.startswith(b"\x89PNG")
        width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
        assert (width, height) == (160, 120), "no larger than what the model can use"


def test_golden_samples_of_one_format_hold_for_the_other(
    shell: Shell, tmp_path: Path, digits: Path, scenes: Path
) -> None:
    """Another engine rounds differently: the samples that were chosen must not mind."""
    for name, pictures in (("digits", digits), ("digits-detect", scenes)):
        told = packed(shell, ZOO / name / "tflite", "--golden", pictures, "--golden-count=12",
                      "--force")  # fmt: skip
        out = tmp_path / name
        samples = bundle.unpack(shell.folder / told["output"], out).manifest.golden
        assert len(samples) >= 8
        other = tmp_path / f"{name}-onnx"
        shutil.copytree(ZOO / name / "onnx", other)
        for each in samples:
            for file in (each.picture, each.answer):
                shutil.copy(out / file, other / file)
        described = msgspec.structs.replace(manifest.load(other), golden=samples)
        manifest.write(other, described)
        assert packed(shell, other)["check"]["golden"] == len(samples)


def test_a_bare_model_says_what_was_guessed(shell: Shell, tmp_path: Path, digits: Path) -> None:
    shutil.copy(DIGITS / "digits.tflite", tmp_path / "numbers.tflite")
    shutil.copy(DIGITS / "labels.txt", tmp_path / "numbers.txt")
    said = pack(shell, "numbers.tflite", "--version", "3", "--golden", digits)
    assert said.code == 0, said.err
    assert "guessed, as there is no manifest. Wrong normalisation" in said.out
    assert "assumed: grey; pixels become (pixel - 0) / 255; letterboxed" in said.out
    assert "labels from labels.txt" in said.out
    seen = bundle.inspect(tmp_path / "numbers-3-tflite.zip").manifest
    assert (seen.name, seen.version, seen.file) == ("numbers", "3", "numbers.tflite")
    assert (seen.input.std, seen.labels, len(seen.golden)) == ((255.0,), "labels.txt", 6)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "home", "numbers-3-tflite.zip", "numbers.tflite", "numbers.txt", "tmp"
    ]  # fmt: skip


def test_a_model_file_beside_its_manifest_is_that_folder(shell: Shell) -> None:
    told = packed(shell, DIGITS / "digits.tflite", "--output", "d.zip")
    assert (told["guessed"], told["digest"]) == ([], bundle.folder_digest(DIGITS))


def test_the_same_bytes_twice_is_no_work_and_others_are_not_overwritten(
    shell: Shell, tmp_path: Path
) -> None:
    first = packed(shell, DIGITS, "--output", "b.zip")
    stamp = (tmp_path / "b.zip").stat().st_mtime_ns
    again = packed(shell, DIGITS, "--output", "b.zip")
    assert (first["unchanged"], again["unchanged"]) == (False, True)
    assert (tmp_path / "b.zip").stat().st_mtime_ns == stamp
    said = pack(shell, DIGITS, "--output", "b.zip", "--version", "2")
    check_line(said, REFUSED, "b.zip: is there already, with other content", "--force")
    assert bundle.inspect(tmp_path / "b.zip").digest == first["digest"]
    forced = packed(shell, DIGITS, "--output", "b.zip", "--version", "2", "--force")
    assert bundle.inspect(tmp_path / "b.zip").digest == forced["digest"] != first["digest"]


def test_the_operator_is_warned_of_what_a_device_cannot_see(shell: Shell, tmp_path: Path) -> None:
    said = pack(shell, lean(tmp_path / "model"))
    assert said.code == 0
    assert "note: no golden samples: a device cannot see that it answers wrongly" in said.out
    assert re.search(r"digest  [0-9a-f]{64}\n", said.out)


def check_line(said: Said, code: int, *parts: str) -> None:
    """Exactly one line, ours; nothing on stdout; the code that is meant."""
    assert "Traceback" not in said.err
    (line,) = said.troubles
    assert line == said.lines[-1], said.err
    assert [part for part in parts if part not in line] == [], line
    assert "vedette-pack-" not in line, "the folder that was worked in means nothing to anybody"
    assert (said.code, said.out) == (code, "")


def changed(folder: Path, **what: Any) -> Path:
    """A copy of the digits model with another manifest."""
    shutil.copytree(DIGITS, folder)
    manifest.write(folder, msgspec.structs.replace(manifest.load(folder), **what))
    return folder


def wrong_golden(place: Path) -> list[object]:
    folder = changed(place / "m")
    (folder / "golden-2.json").write_bytes(b'[{"index": 7, "label": "7", "score": 0.9}]')
    return [folder]


def wrong_tensor(place: Path) -> list[object]:
    output = msgspec.structs.replace(manifest.load(DIGITS).outputs[0], shape=(1, 11))
    return [changed(place / "m", outputs=(output,))]


def wrong_input(place: Path) -> list[object]:
    eats = msgspec.structs.replace(manifest.load(DIGITS).input, zero_point=3)
    return [changed(place / "m", input=eats)]


def wrong_labels(place: Path) -> list[object]:
    (place / "two.txt").write_text("cat\ndog\n")
    return [DIGITS, "--labels", "two.txt"]


def no_labels(place: Path) -> list[object]:
    folder = changed(place / "m")
    (folder / "labels.txt").unlink()
    return [folder]


def unreadable_picture(place: Path) -> list[object]:
    draw(place / "img", 3)
    (place / "img" / "001.png").write_bytes(b"\x89PNG\r\n\x1a\n garbage")
    return [DIGITS, "--golden", "img"]


def nothing_but_text(place: Path) -> list[object]:
    (place / "img").mkdir()
    (place / "img" / "notes.txt").write_text("no picture")
    return [DIGITS, "--golden", "img"]


def grey_pictures(place: Path) -> list[object]:
    draw(place / "img", 4, "synthetic://160x120?format=BGR3&digits=12")
    return [DETECTOR, "--golden", tinted(place / "img")]


def tinted(folder: Path) -> Path:
    """Pictures in which there is nothing to be found."""
    import cv2
    import numpy as np

    for each in folder.iterdir():
        cv2.imwrite(str(each), np.full((120, 160, 3), 90, np.uint8))
    return folder


def linked(place: Path) -> list[object]:
    folder = changed(place / "m")
    (folder / "labels.txt").unlink()
    (folder / "labels.txt").symlink_to(DIGITS / "labels.txt")
    return [folder]


def bare(place: Path, *more: object) -> list[object]:
    shutil.copy(DIGITS / "digits.tflite", place / "d.tflite")
    return ["d.tflite", *more]


def misnamed(place: Path) -> list[object]:
    shutil.copy(DIGITS / "digits.tflite", place / "my model (1).tflite")
    return ["my model (1).tflite", "--version=1"]


def read_only(place: Path) -> list[object]:
    os.mkdir(place / "out")
    return [DIGITS, "--output", "nowhere/b.zip"]


def golden_twice(place: Path) -> list[object]:
    samples = (Golden("golden-1.png", "golden-9.json"),)
    return [changed(place / "m", golden=samples)]


BAD: dict[str, tuple[Callable[[Path], list[object]], int, list[str]]] = {
    "no such folder": (lambda place: ["nowhere"], REFUSED, ["nowhere: there is no such folder"]),
    "a folder of variants": (lambda place: [ZOO / "digits"], REFUSED, ["pack each", "onnx, tfli"]),
    "an empty folder": (lambda place: [place / "home"], REFUSED, ["home: no manifest.toml in th"]),
    "no model": (lambda place: [ZOO / "README.md"], REFUSED, ["README.md: no model", ".onnx"]),
    "no version": (bare, REFUSED, ["d.tflite: has no manifest that gives its version", "--versi"]),
    "a bad version": (lambda p: bare(p, "--version=1 2"), REFUSED, ["--version '1 2': expected"]),
    "a bad name": (lambda p: bare(p, "--version=1", "--name=a/b"), REFUSED, ["--name 'a/b'"]),
    "a file that is no name": (misnamed, REFUSED, ["'my model (1)' cannot be the name", "--name"]),
    "a wrong golden answer": (wrong_golden, REFUSED,
                              ["m: golden sample golden-2.png: expected 7, found"]),
    "a golden answer that is not there": (golden_twice, REFUSED, ["golden-9.json: there is no s"]),
    "a wrong output": (wrong_tensor, REFUSED,
                       ["output 'PartitionedCall:0' says int8 (1, 11), the model gives int8"]),
    "a wrong input": (wrong_input, REFUSED, ["[input] scale", "zero_point = 3, the model has"]),
    "too few labels": (wrong_labels, REFUSED, ["labels.txt has 2 labels, the model 10 classes"]),
    "labels that are not there": (no_labels, REFUSED, ["m/labels.txt: there is no such file"]),
    "labels by a link": (linked, REFUSED, ["m/labels.txt: a link"]),
    "no such labels": (lambda place: [DIGITS, "--labels=none.txt"], REFUSED,
                       ["none.txt: there is no such file (given as --labels)"]),
    "an unreadable picture": (unreadable_picture, REFUSED,
                              ["img/001.png: is not a picture that can be read"]),
    "no picture": (nothing_but_text, REFUSED, ["img: no picture in it (.png, .jpg"]),
    "no pictures' folder": (lambda place: [DIGITS, "--golden=none"], REFUSED, ["none: there is n"]),
    "pictures of nothing": (grey_pictures, REFUSED,
                            ["img: digits-detect is sure of none of 4 pictures: give pictures"]),
    "too many samples": (lambda place: [DIGITS, "--golden-count=65"], REFUSED, ["1 to 64 are"]),
    "a model that crashes": (
        lambda place: [tflite.crash_on_run(place / "c.tflite"), "--version=1"], REFUSED,
        ["c.tflite: crashes its engine (SIG"]),
    "a model that crashes, of the other format": (
        lambda place: [onnx.crash_on_black(place / "c.onnx"), "--version=1"], REFUSED,
        ["c.onnx: crashes its engine (SIG"]),
    "a model of garbage": (lambda place: [garbage(place), "--version=1"], REFUSED, ["g.tflite"]),
    "no folder to write into": (read_only, REFUSED, ["nowhere: there is no such folder to write"]),
    "no ending": (lambda place: [DIGITS, "--output=b"], REFUSED, ["b: a bundle's name ends with"]),
    "a bundle": (lambda place: [zipped(place)], REFUSED, ["b.zip: is packed already"]),
}  # fmt: skip


def garbage(place: Path) -> Path:
    (place / "g.tflite").write_bytes(b"TFL3" * 500)
    return place / "g.tflite"


def zipped(place: Path) -> Path:
    bundle.pack(DIGITS, place / "b.zip")
    return place / "b.zip"


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_writes_nothing(shell: Shell, tmp_path: Path, name: str) -> None:
    shell.make_home()
    words, code, parts = BAD[name]
    asked = words(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    check_line(pack(shell, *asked), code, *parts)
    assert sorted(tmp_path.rglob("*")) == before
