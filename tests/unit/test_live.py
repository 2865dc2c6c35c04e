"""The fleet as it is now: lines, who needs somebody, search and order, and the whole in numbers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleet.live.answer import PAGE, answer
from fleet.live.following import Following
from fleet.live.question import MOST_PAGES, Question, question_of
from fleet.live.totals import STAGES, Totals
from fleet.live.trend import trend_of
from fleet.live.view import LiveView
from fleet.registry.words import NO_STAGES, Changed, Known, Scope, Span, Stretch
from tests.browser.made_up import BOARDS, made_up, stages
from wire.histogram import Counts, merge
from wire.messages import Losses
from wire.troubles import Unavailable

NOW_S = 1_795_000_000.0
FLEET = made_up(422, NOW_S)


def view_of(fleet: list[Known], now_s: float = NOW_S) -> LiveView:
    view = LiveView()
    view.take(fleet, now_s)
    return view


@pytest.fixture(scope="module")
def view() -> LiveView:
    return view_of(FLEET)


def names(view: LiveView, **told: str) -> list[str]:
    return [line.name for line in answer(view.sight.lines, question_of(told)).lines]


def one(view: LiveView, kind: str) -> str:
    return names(view, kind=kind)[0]


def test_the_headline_says_how_many_need_somebody(view: LiveView) -> None:
    summary = view.sight.summary
    assert summary.headline == f"{summary.needing} of 422 devices need you"
    assert summary.level == "bad"
    assert summary.needing == len(names(view, show="needs"))
    assert summary.online + summary.offline == summary.devices == 422


def test_who_is_well_is_not_called_up() -> None:
    well = [known for number, known in enumerate(FLEET) if number in (1, 2, 3)]
    assert view_of(well).sight.summary.headline == "All 3 devices are well"
    assert view_of(well[:1]).sight.summary.headline == "The device is well"
    assert view_of([]).sight.summary.headline == "No device has been heard yet"


def test_troubles_are_grouped_the_worst_first(view: LiveView) -> None:
    troubles = view.sight.summary.troubles
    assert [one.kind for one in troubles] == [
        "offline", "no_frames", "silent", "rolled_back", "hot", "throttled", "slow",
    ]  # fmt: skip
    assert {one.kind: one.count for one in troubles}["hot"] == 4
    assert "trial" not in {one.kind for one in troubles}
    for trouble in troubles:
        found = names(view, kind=trouble.kind)
        assert len(found) == trouble.count and set(trouble.names) <= set(found)


def test_a_trial_is_told_and_is_no_trouble(view: LiveView) -> None:
    line = view.sight.by_name[one(view, "trial")]
    assert line.level == "good"
    assert line.trial is not None and line.trial.release == "digits 9"
    assert view.sight.summary.trial == 8
    assert [r.trial for r in view.sight.summary.releases if r.name == "digits 9"] == [8]


def test_slow_is_who_takes_far_longer_than_the_same_elsewhere(view: LiveView) -> None:
    line = view.sight.by_name[one(view, "slow")]
    assert any("usual is" in concern.words for concern in line.concerns)
    # a slower kind of board is not slow
    usual = [each for each in view.sight.lines if each.board == line.board and each.kinds == set()]
    assert usual


def test_who_is_slow_is_judged_again_when_something_else_is_usual() -> None:
    def lane_of(known: Known, speed: float) -> Known:
        import random

        assert known.telemetry is not None
        lane = known.telemetry.pipelines["lane"]
        lane = replace(lane, stages=stages(300, speed, random.Random(1)))
        return replace(known, telemetry=replace(known.telemetry, pipelines={"lane": lane}))

    board = [known for known in FLEET[:60] if known.state and known.state.board == BOARDS[0]][:8]
    fleet = [lane_of(replace(known, reached_s=NOW_S), 1.0) for known in board]
    view = view_of([lane_of(fleet[0], 3.0), *fleet[1:]])
    assert names(view, kind="slow") == [fleet[0].name]
    view.take([lane_of(known, 3.0) for known in fleet[1:]], NOW_S + 1)
    view.take([], NOW_S + 12)
    assert names(view, kind="slow") == []


def test_an_offline_device_gives_no_frames_per_second(view: LiveView) -> None:
    line = view.sight.by_name[one(view, "offline")]
    assert line.fps is None
    assert line.p95_us is not None  # what it was is still told


@pytest.mark.parametrize(
    ("told", "least"),
    [
        ({"search": "dock"}, 40),
        ({"search": "DOCK jetson"}, 5),
        ({"search": "digits 7"}, 20),
        ({"search": "camera went away"}, 1),
        ({"board": "NVIDIA Jetson Orin Nano", "group": "north"}, 10),
        ({"model": "digits 9"}, 8),
        ({"show": "offline"}, 2),
    ],
)
def test_search_and_filters(view: LiveView, told: dict[str, str], least: int) -> None:
    found = answer(view.sight.lines, question_of(told))
    assert least <= found.found < 422
    for word in told.get("search", "").casefold().split():
        assert all(word in line.found for line in found.lines)


def test_a_search_does_not_run_over_two_parts(view: LiveView) -> None:
    line = view.sight.lines[0]
    assert names(view, search=line.name)
    assert not names(view, search=f"{line.name}raspberry")


def test_worst_first_then_by_name(view: LiveView) -> None:
    lines = view.sight.lines
    assert [(-line.weight, line.name) for line in lines] == sorted(
        (-line.weight, line.name) for line in lines
    )


def test_a_column_sorts_and_what_has_no_number_comes_last(view: LiveView) -> None:
    most = answer(view.sight.lines, question_of({"order": "p95"})).lines
    numbers = [line.p95_us for line in most if line.p95_us is not None]
    assert numbers == sorted(numbers, reverse=True)
    everything = [
        line
        for page in range(1, 6)
        for line in answer(
            view.sight.lines, question_of({"order": "p95", "reverse": "1", "page": str(page)})
        ).lines
    ]
    known = [line.p95_us is not None for line in everything]
    assert len(known) == 422 and known == sorted(known, reverse=True) and not known[-1]


def test_pages(view: LiveView) -> None:
    seen = [name for page in range(1, 6) for name in names(view, page=str(page))]
    assert sorted(seen) == sorted(line.name for line in view.sight.lines)
    last = answer(view.sight.lines, question_of({"page": "99"}))
    assert last.question.page == 5 and last.first == 4 * PAGE + 1 and last.last == 422


@pytest.mark.parametrize(
    "told",
    [
        {"page": "-1"}, {"page": "x" * 5000}, {"page": "1e9"}, {"order": "'; drop"}, {"kind": "?"},
        {"show": "none"}, {"reverse": "yes"}, {"page": "٣"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_counts_as_not_said(told: dict[str, str]) -> None:
    assert question_of(told) == Question()


def test_a_page_has_any_number_of_digits() -> None:
    assert question_of({"page": "9" * 5000}).page == MOST_PAGES


def test_a_question_is_the_same_in_an_address() -> None:
    asked = Question("a b&c", "needs", "hot", "digits 9", "Pi 5", "north", "p95", True, 3)
    from urllib.parse import parse_qsl

    assert question_of(dict(parse_qsl(asked.query))) == asked
    assert Question().query == ""
    assert asked.without("kind").kind == "" and asked.without("kind").page == 1
    assert asked.ordered("p95").reverse is False
    assert asked.ordered("fps").reverse is False and asked.ordered("fps").ordered("fps").reverse


def test_time_alone_makes_a_device_silent() -> None:
    known = replace(FLEET[1], heard_s=NOW_S, reached_s=NOW_S)
    view = view_of([known])
    assert not view.take([], NOW_S + 39)
    assert view.sight.summary.needing == 0
    assert view.take([], NOW_S + 41)
    assert [one.kind for one in view.sight.summary.troubles] == ["silent"]
    version = view.sight.version
    assert view.take([], NOW_S + 45)  # the words say how long
    assert view.sight.version > version


def test_nothing_new_is_no_other_sight() -> None:
    view = view_of(FLEET[:3])
    sight = view.sight
    view.take([], NOW_S + 1)
    assert view.sight.version == sight.version and view.sight.at_s == NOW_S + 1


def test_a_removed_device_is_gone() -> None:
    view = view_of(FLEET[:3])
    view.take([replace(FLEET[0], is_removed=True)], NOW_S + 1)
    assert FLEET[0].name not in view.sight.by_name and len(view.sight.lines) == 2
    view.take([replace(each, is_removed=True) for each in FLEET[1:3]], NOW_S + 2)
    assert view.sight.summary.end_to_end.p95_us is None


def test_totals_are_those_of_the_newest_windows() -> None:
    view = view_of(FLEET)
    view.take(FLEET[::2], NOW_S + 1)  # again: nothing counts twice
    for stage in STAGES:
        wanted = merge(
            getattr(window.stages, stage)
            for known in FLEET
            if known.telemetry is not None
            for window in known.telemetry.pipelines.values()
        )
        summary = view.sight.summary
        found = next(each for each in summary.stages if each.stage == stage)
        assert found.p50_us == wanted.percentile(0.5)
        assert found.p95_us == wanted.percentile(0.95)


def test_counts_that_contradict_themselves_do_not_count() -> None:
    totals = Totals()
    wrong = replace(NO_STAGES, queue=Counts(5, 1.0, 480, (1, 2, 3)))
    totals.add([wrong])
    totals.add([replace(NO_STAGES, queue=Counts(6, 1.0, 478, (1, 2, 3), 1.0, 2.0))])
    assert totals.counts("queue").count in (0, 3, 6)
    totals.take_away([wrong])
    assert totals.counts("inference").count == 0


class Source:
    """A registry that can be away."""

    def __init__(self) -> None:
        self.fleet = tuple(FLEET[:20])
        self.is_away = False
        self.asked: list[int] = []

    def changed(self, since: int) -> Changed:
        self.asked.append(since)
        if self.is_away:
            raise Unavailable("the database is locked: wait")
        if since == 0:
            return Changed(5, self.fleet[:10], has_more=True)
        return Changed(9, self.fleet[10:] if since == 5 else ())

    def series(self, span: Span, scope: Scope, most: int) -> tuple[Stretch, ...]:
        return ()


def test_following_goes_on_where_it_was_and_says_what_is_wrong() -> None:
    source, view = Source(), LiveView()
    following = Following(source, view, lambda: NOW_S)
    assert following.step() == 0.0
    assert following.step() > 0
    assert source.asked == [0, 5] and len(view.sight.lines) == 20
    source.is_away = True
    following.step()
    assert view.sight.trouble == "the database is locked: wait"
    assert len(view.sight.lines) == 20  # what was known stays
    version = view.sight.version
    following.step()
    assert view.sight.version == version  # said once
    source.is_away = False
    following.step()
    assert view.sight.trouble is None and source.asked[-1] == 9


def test_the_last_hour_step_by_step() -> None:
    import random

    chance = random.Random(1)
    parts = [
        Stretch(60.0 * step, 60.0, "digits", version, 900, None, Losses(),
                stages(900, 1.0 if step < 5 else 3.0, chance), 0)
        for step in range(10)
        for version in ("7", "8")
    ]  # fmt: skip
    trend = trend_of(parts, 600.0)
    assert [each.start_s for each in trend] == [60.0 * step for step in range(9)]  # not the newest
    assert all(each.fps == 30.0 for each in trend)
    early, late = trend[0].p95_us, trend[-1].p95_us
    assert early is not None and late is not None and late > 2 * early
    assert trend_of([], 600.0) == ()


def test_why_a_board_is_slowed_down_is_told_once(view: LiveView) -> None:
    line = view.sight.by_name[one(view, "throttled")]
    told = [concern.words for concern in line.concerns if concern.kind == "throttled"]
    assert told == ["throttled: soft temperature limit"]
    weights = [concern.weight for concern in line.concerns]
    assert weights == sorted(weights, reverse=True)
