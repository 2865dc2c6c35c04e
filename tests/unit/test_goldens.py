"""Which pictures become golden samples: varied and small ones that the model is sure of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from models import manifest
from runtime import goldens
from runtime.doubt import BoxDoubt, ClassDoubt, StatsDoubt, doubting
from runtime.engines import EngineOptions
from runtime.golden import answer, check_golden
from runtime.goldens import Candidate, Wish, make_goldens, pictures_in, small_png, spread, varied
from runtime.locating import ZOO, locate
from runtime.loop import Model
from runtime.opening import open_model
from runtime.tasks import Box, Class, Found, Stats
from tests.graphs import tflite
from tests.held_out import draw
from tests.unit.test_describing import copied
from wire.troubles import Refused

ONE = EngineOptions(threads=1)
DIGITS, DETECTOR = ZOO / "digits" / "tflite", ZOO / "digits-detect" / "tflite"


def silent(line: str) -> None:
    """Nobody asks how far it is."""


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Model]:
    with locate(folder) as located:
        model = open_model(located, ONE)
        try:
            yield model
        finally:
            model.engine.close()


def candidate(name: str, *kind: int, sure: float = 0.5) -> Candidate:
    return Candidate(Path(name), kind, sure, name.encode())


def names(chosen: list[Candidate]) -> str:
    return " ".join(each.source.name for each in chosen)


# --- which ones --------------------------------------------------------------------------------


def test_every_kind_has_its_turn_the_surest_first() -> None:
    many = [candidate("a1", 1, sure=0.3), candidate("a2", 1, sure=0.9), candidate("b1", 2),
            candidate("c1", 3, sure=0.2), candidate("a3", 1, sure=0.8)]  # fmt: skip
    assert names(varied(many, 3)) == "a2 b1 c1"
    assert names(varied(many, 9)) == "a2 b1 c1 a3 a1"
    assert names(varied(many[::-1], 9)) == "a2 b1 c1 a3 a1", "whatever the order"


def test_of_more_kinds_than_samples_they_are_taken_from_all_over() -> None:
    many = [candidate(f"k{n}", n) for n in range(100)]
    assert names(varied(many, 5)) == "k0 k25 k50 k74 k99"


def test_what_is_empty_comes_once_and_the_same_picture_too() -> None:
    many = [candidate("e1"), candidate("e2"), candidate("a1", 1), candidate("b1", 2)]
    assert names(varied(many, 9)) == "a1 b1 e1"
    same = Candidate(Path("copy-of-a1"), (1,), 0.5, b"a1")
    assert names(varied([*many, same], 9)) == "a1 b1 e1"


@pytest.mark.parametrize("most", [1, 2, 3, 7, 99, 100, 101])
def test_a_spread_is_even_and_without_doubles(most: int) -> None:
    taken = spread(list(range(100)), most)
    assert len(taken) == len(set(taken)) == min(most, 100)
    assert taken == sorted(taken)
    assert taken[0] == 0 and (most == 1 or taken[-1] == 99)


def test_pictures_are_found_in_folders_below(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a/3.bmp", "0.jpeg", "notes.txt", "a/4.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [each.relative_to(tmp_path).as_posix() for each in pictures_in(tmp_path)]
    assert found == ["0.jpeg", "a/3.bmp", "b/1.png", "b/2.JPG"]
    with pytest.raises(Refused, match="no such folder"):
        pictures_in(tmp_path / "0.jpeg")


def test_a_folder_of_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "img", 4)
    monkeypatch.setattr(goldens, "MOST_FILES", 3)
    with pytest.raises(Refused, match="more than 3 files"):
        pictures_in(tmp_path / "img")


# --- as they are stored ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "size", "stored"),
    [
        (DIGITS, (1920, 1080), (48, 27)),
        (DIGITS, (20, 30), (20, 30)),
        (DETECTOR, (640, 480), (160, 120)),
        (DETECTOR, (480, 640), (90, 120)),
        (DETECTOR, (3, 5000), (1, 120)),
    ],
)
def test_a_picture_is_stored_no_larger_than_the_model_can_use(
    tmp_path: Path, folder: Path, size: tuple[int, int], stored: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    cv2.imwrite(str(tmp_path / "p.bmp"), pixels)
    with opened(folder) as model:
        content = small_png(tmp_path / "p.bmp", model)
    back = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert back is not None and back.shape[1::-1] == stored
    if stored == size:
        assert (back == pixels).all(), "PNG loses nothing"


def test_grey_is_stored_as_grey_and_read_as_the_same(tmp_path: Path) -> None:
    pixels = np.repeat(np.arange(48 * 48, dtype=np.uint8).reshape(48, 48, 1), 3, axis=2)
    cv2.imwrite(str(tmp_path / "p.png"), pixels)
    with opened(DIGITS) as model:
        content = small_png(tmp_path / "p.png", model)
    assert content[25] == 0, "colour type 0: grey"
    back = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert back is not None and (back == pixels).all()


# --- how sure ----------------------------------------------------------------------------------


def saying(model: Model, *found: Class | Box | Stats) -> Model:
    """The model, but it always answers this."""
    answered: Found = found  # type: ignore[assignment]
    return replace(model, decode=lambda outputs, view: answered)


def classes(*scores: float) -> list[Class]:
    return [Class(n, str(n), score) for n, score in enumerate(scores)]


def box(score: float, index: int = 1) -> Box:
    return Box(index, str(index), score, 1, 2, 3, 4)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "p.png"), np.zeros((48, 48), np.uint8))
    return tmp_path / "p.png"


@pytest.mark.parametrize(
    ("scores", "sure"),
    [((0.9, 0.05), 0.85), ((0.6, 0.35), 0.25), ((0.6, 0.45), None), ((0.9,), 0.9), ((), None),
     ((0.05,), None), ((float("nan"), 0.1), None)],
)  # fmt: skip
def test_a_class_must_be_far_before_the_next(
    picture: Path, scores: tuple[float, ...], sure: float | None
) -> None:
    with opened(DIGITS) as model:
        doubt = ClassDoubt(model, 0.1)
        doubt._both = saying(model, *classes(*scores))
        judged = doubt.judge(picture)
    assert (None if judged is None else judged.sure) == (
        None if sure is None else pytest.approx(sure)
    )
    assert judged is None or judged.kind == (0,)


@pytest.mark.parametrize(
    ("scores", "sure"),
    [((0.9, 0.5), 0.5), ((0.9, 0.39), None), ((0.9, 0.25), None), ((), 1.0),
     ((float("nan"),), None)],
)  # fmt: skip
def test_no_box_may_be_near_the_threshold(
    picture: Path, scores: tuple[float, ...], sure: float | None
) -> None:
    """Its threshold is 0.3, and scores may differ by 0.1."""
    with opened(DETECTOR) as model:
        doubt = BoxDoubt(model, 0.1)
        doubt._tempted = saying(model, *map(box, scores))
        judged = doubt.judge(picture)
    assert (None if judged is None else judged.sure) == sure


def test_a_detector_is_tempted_below_its_threshold(tmp_path: Path) -> None:
    """What it finds at a lower threshold only makes a picture doubtful."""
    pictures = draw(tmp_path / "img", 30, "synthetic://1280x720?format=BGR3&digits=12&seed=3")
    with opened(DETECTOR) as model:
        doubt = BoxDoubt(model, 0.1)
        for each in sorted(pictures.iterdir()):
            low, usual = answer(doubt._tempted, each), answer(model, each)
            assert len(low) >= len(usual)
        more = [each for each in pictures.iterdir()
                if len(answer(doubt._tempted, each)) > len(answer(model, each))]  # fmt: skip
        assert more, "else this test shows nothing"
        assert all(doubt.judge(each) is None for each in more)


@pytest.mark.parametrize("mean", [0.5, float("nan"), float("inf")])
def test_statistics_must_be_numbers(picture: Path, mean: float) -> None:
    with opened(DIGITS) as model:
        doubt = StatsDoubt(saying(model, Stats("out", (1,), 0.0, 1.0, mean)))
        assert (doubt.judge(picture) is None) == (mean != 0.5)


def test_every_task_has_its_doubt(tmp_path: Path) -> None:
    raw = copied(tmp_path / "raw", task="raw", decoding=manifest.Decoding())
    for folder, kind in ((DIGITS, ClassDoubt), (DETECTOR, BoxDoubt), (raw, StatsDoubt)):
        with opened(folder) as model:
            assert type(doubting(model, 0.1)) is kind


# --- all of it ---------------------------------------------------------------------------------


def test_samples_are_made_and_are_right(tmp_path: Path) -> None:
    folder = copied(tmp_path / "m", golden=())
    said: list[str] = []
    made = make_goldens(folder, draw(tmp_path / "img", 45), ONE, Wish(5, said.append))
    assert said == [f"looked at {n} of 45 pictures" for n in (0, 20, 40)]
    assert (len(made.chosen), made.looked_at, made.tolerance) == (5, 45, 0.1)
    assert 0 <= made.passed_over < 20
    with opened(folder) as model:
        assert check_golden(model, folder) == 5
    samples = manifest.load(folder).golden
    assert [each.picture for each in samples] == [f"golden-{n}.png" for n in range(1, 6)]


def test_a_sample_is_wrong_where_the_model_answers_otherwise(tmp_path: Path) -> None:
    folder = copied(tmp_path / "m", golden=())
    make_goldens(folder, draw(tmp_path / "img", 20), ONE, Wish(2, silent))
    wrong = msgspec.json.decode((folder / "golden-2.json").read_bytes())
    wrong[0]["index"] = (wrong[0]["index"] + 1) % 10
    (folder / "golden-2.json").write_bytes(msgspec.json.encode(wrong))
    with opened(folder) as model, pytest.raises(Refused, match=r"golden-2\.png: expected"):
        check_golden(model, folder)


def test_looking_ends_when_it_lasts_and_there_are_enough(tmp_path: Path) -> None:
    folder = copied(tmp_path / "m", golden=())
    seconds = iter(range(0, 100_000, 50))
    made = make_goldens(
        folder, draw(tmp_path / "img", 30), ONE, Wish(2, silent, lambda: next(seconds))
    )
    assert len(made.chosen) == 2
    assert 2 <= made.looked_at < 30


def test_a_float_model_has_a_closer_tolerance(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    tflite.colours(folder / "c.tflite", dtype="float32")
    with locate(folder / "c.tflite") as located:
        model = open_model(located, ONE)
        model.engine.close()
    manifest.write(folder, model.manifest)
    (tmp_path / "img").mkdir()
    for number, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255))):
        cv2.imwrite(str(tmp_path / "img" / f"{number}.png"), np.full((32, 32, 3), colour, np.uint8))
    made = make_goldens(folder, tmp_path / "img", ONE, Wish(3, silent))
    assert made.tolerance == 0.05
    assert len({each.found for each in made.chosen}) == 3
