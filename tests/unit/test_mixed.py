"""Mixed precision: as few layers as possible stay float32, and the search says how it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from wire.troubles import Refused
from workshop.quantizing.mixed import find_mixed
from workshop.step import Progress

RANKED = [f"layer{number}" for number in range(16)]


class Bench:
    """Quantizes by writing down what is kept; every needed layer that is missing costs 0.01."""

    def __init__(self, folder: Path, needed: set[str]) -> None:
        self._file = folder / "model.tflite"
        self._needed = needed
        self.made = 0

    def quantize(self, keep: frozenset[str]) -> Path:
        self.made += 1
        self._file.write_text("\n".join(sorted(keep)))
        return self._file

    def score(self, file: Path) -> float:
        return 0.99 - 0.01 * len(self._needed - set(file.read_text().splitlines()))


def test_keeps_nothing_where_int8_is_good_enough(tmp_path: Path) -> None:
    bench = Bench(tmp_path, set())
    found = find_mixed(bench.quantize, bench.score, 0.985, RANKED)
    assert found.keep == ()
    assert bench.made == 1


@pytest.mark.parametrize(
    "needed", [{"layer0"}, {"layer0", "layer1", "layer2"}, {"layer0", "layer5"}, {"layer15"}]
)
def test_keeps_just_the_layers_that_it_takes(tmp_path: Path, needed: set[str]) -> None:
    bench = Bench(tmp_path, needed)
    found = find_mixed(bench.quantize, bench.score, 0.985, RANKED, removals=len(RANKED))
    assert set(found.keep) == needed
    assert found.score == pytest.approx(0.99)
    assert set(found.file.read_text().splitlines()) == needed, "the file is that of the answer"


def test_a_lower_wish_keeps_fewer(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"layer0", "layer1", "layer2"})
    assert len(find_mixed(bench.quantize, bench.score, 0.975, RANKED).keep) == 2


def test_few_trials_are_enough_and_none_is_made_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"layer0", "layer1"})
    found = find_mixed(bench.quantize, bench.score, 0.985, RANKED)
    asked = [frozenset(tried.keep) for tried in found.trail]
    assert len(asked) == len(set(asked))
    assert len(asked) <= 2 + 4 + 2  # the ends, bisection, each of two left out


def test_removals_are_limited(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"layer15"})
    found = find_mixed(bench.quantize, bench.score, 0.985, RANKED, removals=3)
    assert "layer15" in found.keep
    assert len(found.trail) == 2 + 4 + 2, "the first removal was tried by the bisection"


def test_the_trail_says_what_was_tried(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"layer0"})
    said: list[Progress] = []
    found = find_mixed(bench.quantize, bench.score, 0.985, RANKED, tell=said.append)
    assert found.trail[0].keep == ()
    assert found.trail[0].score == pytest.approx(0.98)
    assert not found.trail[0].enough
    assert any(tried.enough and tried.keep == found.keep for tried in found.trail)
    assert len(said) == len(found.trail)


def test_what_no_mixing_reaches_is_refused_with_what_it_does_reach(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"elsewhere"})
    with pytest.raises(Refused, match=r"does not reach 0.985: with all 16 .* score is 0.98"):
        find_mixed(bench.quantize, bench.score, 0.985, RANKED)
