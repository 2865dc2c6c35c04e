"""Tracks: the same thing keeps its number, a number is never given twice, and nothing grows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.tracking import motion
from runtime.tracking.matching import MOST_EXACT, Floats, assign, overlaps
from runtime.tracking.tracker import MOST_TRACKS, Sighting, Track, Tracker
from tests import mot
from tests.walking import NONE, TRACKING, Walk
from wire.observation import Observation, Tracking

SIDE = st.floats(0.01, 2.0)
PLACE = st.floats(-1.0, 2.0)
BOX = st.tuples(PLACE, PLACE, SIDE, SIDE)
SCORE = st.floats(0.0, 1.0)


def tracker(sure: float = 0.5, patience_s: float = 1.0, *, across: bool = False) -> Tracker:
    return Tracker(itertools.count(1), sure, patience_s, across)


def seen(x: float, y: float = 0.5, score: float = 0.9, index: int = 0) -> Sighting:
    return Sighting(index, f"label {index}", score, (x, y, 0.1, 0.2))


def numbers(tracks: Sequence[Track | None]) -> list[int | None]:
    return [track.number if track else None for track in tracks]


@given(st.lists(BOX, min_size=1, max_size=6), st.lists(BOX, min_size=1, max_size=6))
def test_overlaps_are_those_of_plain_loops(ours: list[mot.Xywh], theirs: list[mot.Xywh]) -> None:
    share = overlaps(np.array(ours), np.array(theirs), 0.0)
    for i, a in enumerate(ours):
        for j, b in enumerate(theirs):
            corner_a = (a[0] - a[2] / 2, a[1] - a[3] / 2, a[2], a[3])
            corner_b = (b[0] - b[2] / 2, b[1] - b[3] / 2, b[2], b[3])
            assert share[i, j] == pytest.approx(mot.overlap(corner_a, corner_b), abs=1e-9)


def most_gain(gains: Floats) -> float:
    """By trying every order."""
    rows, columns = int(gains.shape[0]), int(gains.shape[1])
    if rows > columns:
        return most_gain(gains.T)
    return max(
        sum(max(0.0, float(gains[i, order[i]])) for i in range(rows))
        for order in itertools.permutations(range(columns), rows)
    )


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_pairs_gain_as_much_as_any_can(rows: int, columns: int, seed: int) -> None:
    gains = np.random.default_rng(seed).uniform(-1, 1, (rows, columns))
    pairs = assign(gains)
    assert len({r for r, _ in pairs}) == len(pairs) == len({c for _, c in pairs})
    assert all(gains[pair] > 0 for pair in pairs)
    assert sum(gains[pair] for pair in pairs) == pytest.approx(most_gain(gains))


def test_a_crowd_is_paired_one_to_one() -> None:
    gains = np.random.default_rng(0).uniform(0, 1, (5 * MOST_EXACT, 4 * MOST_EXACT))
    pairs = assign(gains)
    assert len(pairs) == 4 * MOST_EXACT
    assert len({r for r, _ in pairs}) == len(pairs) == len({c for _, c in pairs})


def eight_dimensions(boxes: Floats, seconds: Sequence[float], seen_at: Sequence[Floats]) -> Floats:
    """The places of one box by textbook matrices: state (places, speeds), 8 x 8 covariance."""
    size = np.tile(boxes[2:], 2)
    mean = np.concatenate((boxes, np.zeros(4)))
    spread = np.diag(np.concatenate(((2 / 20 * size) ** 2, (10 / 160 * 30 * size) ** 2)))
    places = []
    for dt, box in zip(seconds, seen_at, strict=True):
        size = np.tile(mean[2:4], 2)
        onward = np.eye(8)
        onward[:4, 4:] = dt * np.eye(4)
        push = np.diag((30 / 160 * size) ** 2 * 30)
        noise = np.zeros((8, 8))
        noise[:4, :4] = np.diag((size / 20) ** 2 * 30 * dt) + push * dt**3 / 3
        noise[:4, 4:] = noise[4:, :4] = push * dt**2 / 2
        noise[4:, 4:] = push * dt
        mean, spread = onward @ mean, onward @ spread @ onward.T + noise
        look = np.eye(4, 8)
        error = np.diag((np.tile(mean[2:4], 2) / 20) ** 2)
        gain = spread @ look.T @ np.linalg.inv(look @ spread @ look.T + error)
        mean, spread = mean + gain @ (box - look @ mean), (np.eye(8) - gain @ look) @ spread
        places.append(mean[:4])
    return np.array(places)


def test_four_small_filters_are_the_one_of_eight_dimensions() -> None:
    rng = np.random.default_rng(3)
    first = np.array([[0.4, 0.5, 0.1, 0.2], [0.9, 0.1, 0.3, 0.05]])
    seconds = rng.uniform(0.01, 0.3, 12).tolist()
    seen_at = [first + rng.normal(0, 0.01, first.shape) + [0.02 * k, 0, 0, 0] for k in range(12)]
    state, places = motion.begun(first), []
    for dt, boxes in zip(seconds, seen_at, strict=True):
        motion.predict(state, dt)
        motion.correct(state, [0, 1], boxes)
        places.append(state[0].copy())
    for row in range(2):
        expected = eight_dimensions(first[row], seconds, [boxes[row] for boxes in seen_at])
        assert np.allclose(np.array(places)[:, row], expected, rtol=1e-9)


@given(BOX, st.floats(0.001, 2), st.floats(0.001, 2))
def test_two_steps_of_time_are_one(box: mot.Xywh, first_s: float, then_s: float) -> None:
    whole, parts = motion.begun(np.array([box])), motion.begun(np.array([box]))
    motion.predict(whole, first_s + then_s)
    motion.predict(parts, first_s)
    motion.predict(parts, then_s)
    assert np.allclose(whole, parts, rtol=1e-9, atol=1e-12)


def test_a_thing_has_its_number_from_the_second_sighting_on() -> None:
    one = tracker()
    assert numbers(one.step([seen(0.5)], 0.0)) == [None]
    assert numbers(one.step([seen(0.51)], 0.1)) == [1]
    assert numbers(one.step([seen(0.9), seen(0.52)], 0.2)) == [None, 1]
    assert numbers(one.step([seen(0.53), seen(0.9)], 0.3)) == [1, 2]


def test_what_was_hidden_for_a_moment_is_the_same_and_for_long_another() -> None:
    one = tracker(patience_s=1.0)
    for k in range(10):
        one.step([seen(0.5)], k / 10)
    for k in range(10, 18):
        one.step([], k / 10)
    assert numbers(one.step([seen(0.5)], 1.8)) == [1]
    for k in range(19, 32):
        one.step([], k / 10)
    assert numbers(one.step([seen(0.5)], 3.2)) == [None]
    assert numbers(one.step([seen(0.5)], 3.3)) == [2]


def test_what_moves_is_met_where_it_must_be_by_now() -> None:
    """In real time: frames that were skipped do not make it another thing."""
    one = tracker()
    for k in range(8):
        one.step([seen(0.1 + 0.03 * k)], k * 0.1)  # three tenths of its width a frame
    assert numbers(one.step([seen(0.1 + 0.03 * 13)], 1.3)) == [1]  # five frames later, 1.5 widths


def test_an_unsure_box_goes_on_with_a_track_but_begins_none() -> None:
    one = tracker(sure=0.5)
    for k in range(3):
        assert numbers(one.step([seen(0.2, score=0.3)], k / 10)) == [None]
    one.step([seen(0.2)], 0.4)
    one.step([seen(0.2)], 0.5)
    assert numbers(one.step([seen(0.2, score=0.3)], 0.6)) == [1]
    assert numbers(one.step([seen(0.2, score=0.05)], 0.7)) == [None]


@pytest.mark.parametrize(("across", "expected"), [(False, None), (True, 1)])
def test_another_label_is_another_thing_unless_it_may_change(
    across: bool, expected: int | None
) -> None:
    one = tracker(across=across)
    for k in range(3):
        one.step([seen(0.5)], k / 10)
    (track,) = one.step([seen(0.5, index=1)], 0.3)
    assert track is not None
    assert track.number == expected
    if across:
        assert track.label == "label 0"  # as it was found most often


def test_a_pipeline_that_is_slower_than_its_patience_still_tracks() -> None:
    one = tracker(patience_s=1.0)
    got = [numbers(one.step([seen(0.5)], 3.0 * k)) for k in range(5)]
    assert got == [[None], [1], [1], [1], [1]]


def test_after_a_long_gap_it_is_another_thing() -> None:
    one = tracker()
    for k in range(10):
        one.step([seen(0.5)], k / 10)
    assert numbers(one.step([seen(0.5)], 600.0)) == [None]
    assert [track.number for track in one.ended] == [1]


def test_time_may_go_backwards() -> None:
    one = tracker()
    for k in range(4):
        one.step([seen(0.5)], 10 + k / 10)
    assert numbers(one.step([seen(0.5)], 10.1)) == [1]  # a frame that came out of turn
    assert numbers(one.step([seen(0.5)], 2.0)) == [None]  # another clock
    assert numbers(one.step([seen(0.5)], 2.1)) == [2]


@given(
    st.lists(
        st.tuples(st.floats(-2, 3), st.lists(st.tuples(BOX, SCORE, st.integers(0, 2)), max_size=8)),
        max_size=12,
    ),
    st.booleans(),
)
@settings(max_examples=60)
def test_numbers_are_unique_in_a_frame_and_never_come_again(
    frames: list[tuple[float, list[tuple[mot.Xywh, float, int]]]], across: bool
) -> None:
    one, now_s = tracker(across=across), 0.0
    gone: set[int] = set()
    highest = 0
    for passed_s, boxes in frames:
        now_s += passed_s
        got = one.step([Sighting(i, str(i), s, box) for box, s, i in boxes], now_s)
        here = [n for n in numbers(got) if n is not None]
        gone |= {track.number for track in one.ended if track.number is not None}
        assert len(set(here)) == len(here)
        assert not gone & set(here)
        fresh = sorted(n for n in here if n > highest)
        assert fresh == list(range(highest + 1, highest + 1 + len(fresh)))
        highest = max([highest, *here])


def test_ten_thousand_boxes_are_bounded() -> None:
    one = tracker(patience_s=60.0)
    rng = np.random.default_rng(0)
    for k in range(14):
        if k % 2 == 0:  # each crowd is seen twice, and has numbers
            crowd = [
                Sighting(0, "x", float(score), (float(x), float(y), 0.001, 0.001))
                for x, y, score in rng.uniform(0.5, 1, (10_000, 3))
            ]
        got = one.step(crowd + crowd[:50], k / 30)
        assert len(got) == len(crowd) + 50
        assert sum(track is not None for track in got) > 0 or k > 6
    assert len(one._tracks) <= MOST_TRACKS


@pytest.mark.parametrize(
    ("digits", "fps", "mota", "idf1"),
    [
        (3, 30.0, 0.92, 0.93),
        (6, 30.0, 0.92, 0.85),
        (3, 10.0, 0.88, 0.7),
        (6, 10.0, 0.9, 0.7),
        (10, 30.0, 0.92, 0.78),
    ],
)
def test_tracks_follow_a_known_scene(digits: int, fps: float, mota: float, idf1: float) -> None:
    """Five boxes in a hundred are missing, ten are unsure, all tremble, and there are ghosts."""
    judge = Walk(digits, 1, TRACKING, fps=fps, seconds=20).run().judge
    assert judge.mota > mota
    assert judge.idf1 > idf1


@pytest.mark.parametrize("unsure", [False, True])
def test_who_turns_about_unseen_or_half_hidden_is_still_the_same(unsure: bool) -> None:
    """A quarter of its width a frame."""
    one = tracker()
    out = [0.5 + 0.025 * k for k in range(12)]
    back = [out[-1] - 0.025 * k for k in range(12)]
    for k, x in enumerate(out):
        (there,) = one.step([seen(x)], k / 30)
    for k, x in enumerate(back, len(out)):
        found = [seen(x)]
        if unsure and k in (12, 13):
            found = [seen(x, score=0.3)]
        elif not unsure and k == 12:
            found = []
        (again,) = one.step(found, k / 30) or [there]
    assert there is not None and there.number is not None
    assert again is there


def test_without_errors_of_the_detector_there_are_none_of_tracks() -> None:
    walk = Walk(5, 2, Observation(tracking=Tracking()), errors=NONE, seconds=20).run()
    assert walk.judge.switches == 0
    assert walk.judge.missed == 5  # the first sighting of each has no number
    assert walk.judge.wrong == 0
