"""Which troubles are told, when, how often, and in which words."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.alerts.bulletin import bulletin
from fleet.alerts.ledger import Change, Ledger, Sight, Standing, Trouble, Turn
from fleet.alerts.terms import TERMS, Alerting, AlertKind, Terms
from fleet.alerts.troubles import OF_DEVICES, of_device, sight_of
from fleet.live.line import Line, line_of
from fleet.live.view import device_of
from fleet.registry.words import Known
from tests.telling import DIGEST, HEALTH, NOW_S, presence, record, state, window
from wire.messages import Update, UpdatePhase

HOLD_S, CALM_S, REPEAT_S = 300.0, 60.0, 86400.0


def terms(kind: AlertKind) -> Terms:
    return Terms(HOLD_S, CALM_S, again_s=3600.0 if kind == "lost" else None)


def ledger(*standing: Standing) -> Ledger:
    return Ledger(terms, REPEAT_S, standing)


def wrong(subject: str = "door", kind: AlertKind = "offline", mark: str = "") -> Trouble:
    return Trouble(kind, subject, f"{kind} now", mark)


def sight(
    *troubles: Trouble,
    there: Collection[str] = ("", "door", "gate"),
    unseen: frozenset[AlertKind] = frozenset(),
) -> Sight:
    return Sight(troubles, there, unseen)


def turns(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.turn, change.trouble.subject) for change in changes]


def test_a_trouble_is_told_when_it_has_lasted_and_once() -> None:
    kept = ledger()
    assert kept.look(sight(wrong()), 0) == []
    assert kept.look(sight(wrong()), HOLD_S - 1) == []
    (raised,) = kept.look(sight(wrong()), HOLD_S)
    assert (raised.turn, raised.began_s, raised.at_s) == ("raised", 0, HOLD_S)
    for at_s in range(400, 80_000, 100):
        assert kept.look(sight(wrong()), at_s) == []


def test_what_goes_soon_is_never_told() -> None:
    kept = ledger()
    kept.look(sight(wrong()), 0)
    kept.look(sight(), 100)
    assert kept.look(sight(), 100 + CALM_S) == []
    assert not kept.standing
    assert kept.look(sight(wrong()), 310) == [], "this is another one, and has to last as well"


def test_what_comes_and_goes_is_one_trouble() -> None:
    kept = ledger()
    told = []
    for at_s in range(0, 3600, 10):
        is_there = at_s % 60 < 30  # away for less than the calm time
        told += kept.look(sight(*[wrong()] * is_there), at_s)
    assert turns(told) == [("raised", "door")]
    told = [change for at_s in range(3600, 3700, 10) for change in kept.look(sight(), at_s)]
    assert turns(told) == [("over", "door")]
    assert not kept.standing


def test_what_lasts_is_reminded_of_all_at_once() -> None:
    kept = ledger()
    told = []
    for at_s in range(0, round(2.5 * REPEAT_S), 600):
        troubles = [wrong()] + [wrong("gate")] * (at_s > 36_000)
        told += [(at_s, *turn) for turn in turns(kept.look(sight(*troubles), at_s))]
    reminders = [(at_s, name) for at_s, turn, name in told if turn == "reminded"]
    times = [at_s for at_s, _ in reminders]
    assert [name for _, name in reminders] == ["door", "gate"] * 2
    assert times[0] == times[1] and times[2] == times[3] and times[2] - times[0] >= REPEAT_S


def test_what_gets_worse_is_told_again_but_not_too_often() -> None:
    kept = ledger()
    told = []
    for at_s in range(0, 7500, 100):
        mark = str(at_s // 1000)
        told += [(at_s, t) for t, _ in turns(kept.look(sight(wrong(kind="lost", mark=mark)), at_s))]
    assert told == [(300, "raised"), (3900, "worse")], "not with each of the marks between"
    told = turns(kept.look(sight(wrong(kind="offline", mark="another")), 8000))
    assert told == [], "an offline device does not get worse"


def test_who_is_no_more_is_forgotten_without_a_word() -> None:
    kept = ledger()
    kept.look(sight(wrong()), 0)
    kept.look(sight(wrong()), HOLD_S)
    assert kept.look(sight(there=("", "gate")), 2 * HOLD_S) == []
    assert not kept.standing


def test_what_cannot_be_judged_stays_as_it_is() -> None:
    """While nothing is heard of any device, none of them begins or ends a trouble."""
    kept = ledger()
    kept.look(sight(wrong()), 0)
    kept.look(sight(wrong(), wrong("gate")), HOLD_S)  # the door's is told, the gate's begins
    for at_s in range(400, 5000, 10):
        assert kept.look(sight(unseen=frozenset(OF_DEVICES)), at_s) == []
    assert list(kept.standing) == [("offline", "door")]
    assert kept.look(sight(wrong("gate")), 5000) == [], "it is not known that it lasted"
    assert turns(kept.look(sight(wrong("gate")), 5000 + CALM_S)) == [("over", "door")]


def test_a_restart_neither_repeats_nor_forgets() -> None:
    before = ledger()
    before.look(sight(wrong(), wrong("gate")), 0)
    before.look(sight(wrong()), HOLD_S)
    after = ledger(*(one for one in before.standing.values() if one.is_told))
    assert after.look(sight(wrong(), wrong("gate")), 5010) == []
    assert turns(after.look(sight(wrong("gate")), 5010 + HOLD_S)) == [("raised", "gate")]
    assert turns(after.look(sight(wrong("gate")), 5400 + CALM_S)) == [("over", "door")]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=60))
def test_raised_and_over_take_turns(steps: list[tuple[bool, int]]) -> None:
    """Whatever comes: nothing is raised twice without an end between, nor ends without a begin."""
    kept, at_s, is_told = ledger(), 0.0, False
    for is_there, wait_s in steps:
        at_s += wait_s
        for change in kept.look(sight(*[wrong()] * is_there), at_s):
            assert change.turn == ("over" if is_told else "raised")
            is_told = not is_told


# --- what is wrong with devices


def line(name: str = "door", known: Known | None = None, now_s: float = NOW_S) -> Line:
    known = known or healthy(name)
    return line_of(device_of(known), known.heard_s, known.lost, {}, now_s)


def healthy(name: str = "door", reached_s: float = NOW_S - 10) -> Known:
    return Known(
        name,
        NOW_S - 9999,
        reached_s,
        presence=presence(True),
        state=state(),
        telemetry=record(5),
        reached_s=reached_s,
    )


def kinds(known: Known, now_s: float = NOW_S) -> dict[str, Trouble]:
    return {one.kind: one for one in of_device(line("door", known, now_s))}


def updating(phase: UpdatePhase) -> Known:
    known = healthy()
    assert known.state is not None
    update = Update(phase, "digits", "2", DIGEST, 7, NOW_S, reason="p95 is too high")
    pipelines = {
        name: msgspec.structs.replace(each, update=update)
        for name, each in known.state.pipelines.items()
    }
    told = msgspec.structs.replace(known.state, pipelines=pipelines)
    return msgspec.structs.replace(known, state=told)


def test_a_healthy_device_has_no_trouble() -> None:
    assert kinds(healthy()) == {}
    assert kinds(updating("trial")) == {}, "what is on trial is no trouble"


def test_troubles_are_of_their_kinds() -> None:
    known, replace = healthy(), msgspec.structs.replace
    assert set(kinds(replace(known, presence=presence(False)))) == {"offline"}
    assert set(kinds(known, NOW_S + 1000)) == {"silent"}
    assert kinds(updating("rolled_back"))["rolled_back"].words == (
        "door rolled back digits 2: p95 is too high"
    )
    assert "rejected" in kinds(updating("rejected"))
    hot = replace(HEALTH, temperatures_c={"cpu": 91.0})
    assert "hot" in kinds(replace(known, telemetry=record(5, health=hot)))
    throttled = record(5, {"door": window(throttled=("under_voltage",))})
    assert "throttled" in kinds(replace(known, telemetry=throttled))
    faults = ("door: latency: 95 % of the frames took up to 44.0 ms", "trust: expired", "odd")
    assert set(kinds(replace(known, state=state(faults=faults)))) == {"slow", "trust", "fault"}
    assert kinds(replace(known, lost=3))["lost"].mark == "3 records never came"
    assert "no_frames" in kinds(replace(known, state=state("no_camera", "it went away")))


def test_when_nobody_is_heard_it_is_not_the_devices() -> None:
    later = NOW_S + 1000
    three = [line(name, healthy(name), later) for name in ("a", "b", "c")]
    seen = sight_of(three, [])
    assert [one.kind for one in seen.troubles] == ["ingest"]
    assert seen.unseen == OF_DEVICES
    four = [*three, line("d", healthy("d", later - 5), later)]
    assert {one.kind for one in sight_of(four, []).troubles} == {"silent"}
    assert {one.kind for one in sight_of(three[:2], []).troubles} == {"silent"}, "it may be these"


def test_every_kind_has_terms_and_words() -> None:
    for kind in TERMS:
        change = Change("raised", Trouble(kind, "door", "words"), 0, 0)
        assert bulletin("home", [change, change], None) is not None
    assert Alerting(hold_s={"hot": 7}).terms("hot").hold_s == 7
    assert Alerting(calm_s={"hot": 9}).terms("hot").calm_s == 9
    assert Alerting().terms("hot") == TERMS["hot"]


# --- messages


def changes(turn: Turn, kind: AlertKind, *names: str) -> list[Change]:
    return [Change(turn, Trouble(kind, name, f"{kind}!"), 0, 600) for name in names]


def test_one_device_is_named_in_the_title() -> None:
    message = bulletin("yard", changes("raised", "hot", "door"), "https://fleet.example")
    assert message is not None
    assert message.title == "[yard] door: hot!"
    assert message.body == "door: hot!\n\nhttps://fleet.example"
    assert message.tone == "trouble"


def test_five_hundred_devices_are_one_message() -> None:
    names = [f"cam-{number:03}" for number in range(500)]
    told = changes("raised", "offline", *names) + changes("over", "hot", "door")
    message = bulletin("yard", told, None)
    assert message is not None
    assert message.title == "[yard] 500 devices offline"
    first, last = message.body.splitlines()
    assert first.startswith("500 devices offline: cam-000, cam-001") and "and 492 more" in first
    assert last == "over: door: hot (for 10 min)"


def test_the_last_word_counts() -> None:
    told = changes("raised", "offline", "door", "gate") + changes("over", "offline", "door", "gate")
    message = bulletin("yard", told, None)
    assert message is not None
    assert (message.title, message.tone) == ("[yard] over: 2 devices offline", "over")
    again = bulletin("yard", told + changes("raised", "offline", "door"), None)
    assert again is not None and again.title == "[yard] door: offline!"
    assert bulletin("yard", [], None) is None


def test_strangers_words_stay_on_their_line() -> None:
    trouble = Trouble("fault", "door", "x")
    told = list(of_device(line("door", msgspec.structs.replace(
        healthy(), state=state(faults=("a\nb\x1b[31m\u202e",))))))  # fmt: skip
    assert "\n" not in told[0].words and "\x1b" not in told[0].words
    message = bulletin("yard", [Change("raised", trouble, 0, 0)] * 2, None)
    assert message is not None and message.body == "door: x"


@pytest.mark.parametrize("kind", ["expiry", "depot", "ingest"])
def test_what_is_wrong_with_the_fleet_speaks_for_itself(kind: AlertKind) -> None:
    told = [Change("raised", Trouble(kind, "", "root expires in 20 days"), 0, 0)]
    message = bulletin("yard", told, None)
    assert message is not None and message.title == "[yard] root expires in 20 days"
