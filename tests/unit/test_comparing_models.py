"""What models of a comparison are called, how alike they answer, and which stand out."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.panel import Spread
from runtime.tasks import Box, Class, Found, Mask, Region, Stats, Value, Vector
from wire.troubles import Refused
from workshop.comparing.accuracy import Accuracy
from workshop.comparing.agreement import agreement, changed, interval
from workshop.comparing.answers import Answer
from workshop.comparing.front import with_front
from workshop.comparing.names import check_names, named
from workshop.comparing.results import Compared, Latency

TRUTH = (Box(0, "0", 1, 0, 0, 9, 9),)


def names_of(*words: str, engine: str | None = None) -> list[str]:
    return [each.name for each in named(words, engine)]


def test_names_are_what_paths_say(tmp_path: Path) -> None:
    for name in ("a-b v2.onnx", "2.tflite", "class.onnx", "...onnx"):
        (tmp_path / name).write_bytes(b"")
    files = [str(tmp_path / name) for name in ("a-b v2.onnx", "2.tflite", "class.onnx", "...onnx")]
    assert names_of(*files) == ["a_b_v2", "m2", "mclass", "model"]
    assert names_of(f"int8={files[0]}", files[1]) == ["int8", "m2"]


def test_a_folder_of_variants_stands_for_all_of_them() -> None:
    assert names_of("digits") == ["onnx", "tflite"]
    assert names_of("zoo=digits") == ["zoo_onnx", "zoo_tflite"]
    both = named(["digits", "digits-detect"], "litert")
    assert [each.name for each in both] == [
        "digits_onnx", "digits_tflite", "digits_detect_onnx", "digits_detect_tflite",
    ]  # fmt: skip
    assert [each.engine for each in both] == [None, "litert"] * 2, "each by what can run it"


def test_no_two_are_called_alike(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.onnx").write_bytes(b"")
    files = [str(tmp_path / folder / "x.onnx") for folder in ("one", "two", "two")]
    assert names_of(*files) == ["one_x", "two_x", "two_x_2"]
    assert names_of(files[0], f"x={files[1]}") == ["one_x", "x"], "a given name stays"
    assert names_of(f"two_x={files[0]}", *files[1:]) == ["two_x", "two_x_2", "two_x_3"]


def test_a_name_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    """A --fail-if that speaks of it could mean either."""
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(Refused, match=r"rf=...: two models are called rf: give one another name"):
        named([f"rf={tmp_path}/a.onnx", f"rf={tmp_path}/b.onnx"], None)
    with pytest.raises(Refused, match="called zoo_onnx"):
        named(["zoo=digits", f"zoo_onnx={tmp_path}/a.onnx"], None)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no model at"):
        named([f"a={tmp_path}/none.onnx"], None)
    (tmp_path / "x.onnx").write_bytes(b"")
    with pytest.raises(Refused, match="use another name"):
        check_names(named([f"not={tmp_path}/x.onnx"], None))


def answered(*found: Found) -> list[Answer]:
    return [Answer(str(place), TRUTH, each) for place, each in enumerate(found)]


def cls(index: int) -> tuple[Class, ...]:
    return (Class(index, str(index), 0.9), Class(9, "9", 0.1))


def at(x: float, index: int = 0) -> Box:
    return Box(index, str(index), 0.9, x, 0, 10, 10)


def test_classifiers_agree_where_the_best_is_the_same() -> None:
    assert agreement(answered(cls(0), cls(1), ()), answered(cls(0), cls(2), ())) == 2 / 3
    assert agreement(answered(cls(0)), answered(())) == 0


def test_detectors_agree_by_boxes_that_fit() -> None:
    one = answered((at(0), at(50), at(90)), ())
    assert agreement(one, answered((at(1), at(50, 1)), ())) == pytest.approx((2 / 5 + 1) / 2)
    assert agreement(one, one) == 1


def test_regions_and_vectors_agree_in_degrees() -> None:
    def region(index: int, share: float, cells: tuple[int, ...]) -> Region:
        return Region(index, str(index), None, share, 0, 0, 10, 10, Mask((2, 2), cells))

    whole, half = region(0, 0.4, (0, 4)), region(0, 0.2, (0, 2, 2))
    assert agreement(answered((whole,)), answered((half,))) == pytest.approx(0.5, abs=0.02)
    assert agreement(answered((whole,)), answered((whole, region(1, 0.4, (0, 4))))) == 0.5
    a, b = Vector("v", 1, (1.0, 0.0)), Vector("v", 1, (0.6, 0.8))
    assert agreement(answered((a,)), answered((b,))) == pytest.approx(0.6)
    stats = (Stats("x", (1,), 0, 1, 0.5),)
    assert agreement(answered(stats), answered(stats)) is None


def test_regressions_agree_by_what_one_explains_of_the_other() -> None:
    """Deviations of 1, 0, 1 from numbers whose squares about their mean sum up to 8."""

    def numbers(*values: float) -> list[Answer]:
        return answered(*[(Value("force", value),) for value in values])

    assert agreement(numbers(2, 3, 4), numbers(1, 3, 5)) == pytest.approx(1 - 2 / 8)
    assert agreement(numbers(1, 3, 5), numbers(1, 3, 5)) == 1
    assert agreement(numbers(9, 3, -9), numbers(1, 3, 5)) == 0, "worse than their mean"
    assert agreement(numbers(7, 7), numbers(7, 7)) == 1 and agreement(numbers(7), numbers(8)) == 0


def test_lost_and_gained_are_told_with_their_chance() -> None:
    """Ten lost, two gained: 2 * (1 + 12 + 66) / 4096."""
    before = answered(*[cls(0)] * 12, *[cls(1)] * 3)
    after = answered(*[cls(1)] * 10, *[cls(0)] * 4, cls(1))
    seen = changed(before, after)
    assert seen is not None and (seen.lost, seen.gained) == (10, 2)
    assert seen.chance == pytest.approx(2 * 79 / 4096)
    assert seen.names[:2] == ("0", "1")
    same = changed(before, before)
    assert same is not None and (same.lost, same.gained, same.chance) == (0, 0, 1)
    assert changed(answered((at(0),)), answered((at(0),))) is None


def test_confidence_is_wilsons() -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20."""
    assert interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert interval(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


def row(name: str, value: float | None, p50: float, size: int, agrees: float = 1.0) -> Compared:
    spread = Spread(p50, p50, p50)
    judged = None if value is None else Accuracy(9, value, 1.0, None, None, (), ())
    return Compared(
        name, name, size_bytes=size, accuracy=judged, agreement={"a": agrees},
        latency=Latency(9, spread, spread, spread, spread),
    )  # fmt: skip


def front(*rows: Compared) -> list[str]:
    return [each.name for each in with_front(rows, "a") if each.on_front]


def test_the_front_is_what_nothing_beats_in_all_three() -> None:
    a, b, c = row("a", 0.99, 10, 400), row("b", 0.98, 5, 100), row("c", 0.97, 6, 100)
    d = row("d", 0.5, 20, 50)
    assert front(a, b, c, d) == ["a", "b", "d"]
    assert front(a, row("twin", 0.99, 10, 400)) == ["a", "twin"]
    assert front(row("a", 0.99, 10, 400), row("e", None, 1, 1)) == ["a"], "nobody knows e's worth"


def test_without_a_truth_agreement_stands_for_it() -> None:
    assert front(row("a", None, 9, 9), row("b", None, 9, 9, 0.9), row("c", None, 8, 9, 0.8)) == [
        "a", "c",
    ]  # fmt: skip
