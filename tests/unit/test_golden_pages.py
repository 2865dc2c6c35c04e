"""Golden samples as the page of a version shows them, read of real bundles and of bad ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fleet.actions.place import ServedFolder, served
from fleet.actions.shelf import VariantLine
from fleet.folder import FleetFolder
from fleet.serve.acting import golden
from fleet.serve.acting.golden import picture_of, samples_of
from models import bundle
from tests.laws.sources import ROOT
from wire.config import Broker
from wire.release import target_file

ZOO = ROOT / "models" / "zoo"


def stored(place: Path, model: Path) -> tuple[ServedFolder, VariantLine]:
    """A depot that has the bundle of a model folder."""
    folder = served(FleetFolder(place, "yard", Broker("mqtt://127.0.0.1:9")))
    packed = place / "packed.zip"
    digest = bundle.pack(model, packed)
    variant = VariantLine("tflite", (), None, 1, digest, "models/m/1/any.zip")
    path = folder.depot / target_file(variant.path, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    packed.rename(path)
    return folder, variant


def test_classes(tmp_path: Path) -> None:
    folder, variant = stored(tmp_path, ZOO / "digits" / "tflite")
    samples = samples_of(folder, variant)
    assert [each.number for each in samples] == [1, 2, 3, 4]
    first = samples[0]
    assert first.expected is not None and first.expected[0].label == "1"
    assert first.expected[0].score == pytest.approx(0.97265625)
    assert first.expected[0].place is None and first.width and first.height
    picture = picture_of(folder, variant, 1)
    assert picture is not None and picture.kind == "image/png"
    assert picture.content == (ZOO / "digits" / "tflite" / "golden-1.png").read_bytes()


def test_boxes(tmp_path: Path) -> None:
    folder, variant = stored(tmp_path, ZOO / "digits-detect" / "tflite")
    first = samples_of(folder, variant)[0]
    assert first.expected is not None and first.whole >= len(first.expected) > 3
    place = first.expected[0].place
    assert place is not None and first.width is not None and first.height is not None
    for one in first.expected:
        assert one.place is not None
        assert 0 <= one.place.x < first.width and 0 <= one.place.y < first.height


@pytest.mark.parametrize("number", [-1, 0, 5, 10**9])
def test_there_are_no_other_pictures(number: int, tmp_path: Path) -> None:
    folder, variant = stored(tmp_path, ZOO / "digits" / "tflite")
    assert picture_of(folder, variant, number) is None


def test_what_is_no_picture_is_not_served(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ZOO / "digits" / "tflite", model)
    (model / "golden-1.png").write_bytes(b"<svg onload=alert(1)></svg>")
    (model / "golden-2.json").write_text('[{"label": "<b>1</b>", "score": "much"}]')
    (model / "golden-3.json").write_text("[]")
    folder, variant = stored(tmp_path, model)
    samples = samples_of(folder, variant)
    assert picture_of(folder, variant, 1) is None
    assert samples[0].width is None
    assert samples[1].expected is None, "it cannot be read, and the page says so"
    assert samples[2].expected == () and samples[3].expected


def test_what_is_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "LARGEST_ANSWER", 10)
    monkeypatch.setattr(golden, "LARGEST_PICTURE", 10)
    folder, variant = stored(tmp_path, ZOO / "digits" / "tflite")
    assert samples_of(folder, variant)[0].expected is None
    assert picture_of(folder, variant, 1) is None


def test_a_damaged_bundle_has_no_samples_until_it_is_whole(tmp_path: Path) -> None:
    folder, variant = stored(tmp_path, ZOO / "digits" / "tflite")
    path = folder.depot / target_file(variant.path, variant.digest)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000] + bytes(1000))
    assert samples_of(folder, variant) == () and picture_of(folder, variant, 1) is None
    path.write_bytes(whole)
    assert len(samples_of(folder, variant)) == 4
    path.unlink()
    assert samples_of(folder, variant) == ()
