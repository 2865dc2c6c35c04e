"""A fault is said once when it starts and once when it ends."""

from __future__ import annotations

from agent.faults import QUIET_S, Faults, Saying


def kinds(sayings: list[Saying]) -> list[tuple[str, str]]:
    return [(saying.kind, saying.subject) for saying in sayings]


def test_said_once_when_it_starts_and_once_when_it_ends() -> None:
    faults = Faults(None)
    for now_s in range(100):
        faults.tell("camera", "door", "it was pulled out")
        said = kinds(faults.due(float(now_s)))
        assert said == ([("fault", "camera")] if now_s == 0 else [])
    faults.tell("camera", "door", None)
    assert kinds(faults.due(100.0)) == [("recovered", "camera")]
    assert faults.due(101.0) == []


def test_what_was_never_wrong_is_not_said_to_be_over() -> None:
    faults = Faults(None)
    faults.tell("camera", "door", None)
    assert faults.due(0.0) == []


def test_another_reason_is_no_other_fault() -> None:
    faults = Faults(None)
    faults.tell("spool", None, "disk full, 3 records in memory")
    faults.due(0.0)
    faults.tell("spool", None, "disk full, 4 records in memory")
    assert faults.due(60.0) == []
    assert faults.standing() == ("spool: disk full, 4 records in memory",)


def test_two_pipelines_have_their_own_faults() -> None:
    faults = Faults(None)
    faults.tell("camera", "door", "gone")
    faults.tell("camera", "gate", "gone")
    assert len(faults.due(0.0)) == 2
    faults.tell("camera", "door", None)
    assert [saying.pipeline for saying in faults.due(60.0)] == ["door"]
    assert faults.standing() == ("gate: camera: gone",)


def test_what_flaps_is_not_said_more_often_than_every_few_seconds() -> None:
    faults, said = Faults(None), []
    for tenth in range(1000):
        faults.tell("camera", "door", "gone" if tenth % 2 else None)
        said += faults.due(tenth / 10)
    assert 2 <= len(said) <= 100 / QUIET_S + 1
    assert [s.kind for s in said] == ["fault", "recovered"] * (len(said) // 2) + ["fault"] * (
        len(said) % 2
    )


def test_the_last_truth_is_said_in_the_end() -> None:
    faults = Faults(None)
    faults.tell("camera", "door", "gone")
    faults.due(0.0)
    faults.tell("camera", "door", None)
    assert faults.due(1.0) == []  # too soon
    assert kinds(faults.due(QUIET_S)) == [("recovered", "camera")]


def test_a_restart_does_not_say_it_again_but_says_that_it_is_over() -> None:
    before = Faults(None)
    before.tell("camera", "door", "gone")
    before.due(0.0)
    after = Faults(before.book())
    after.tell("camera", "door", "gone")
    assert after.due(5.0) == []
    after.tell("camera", "door", None)
    assert kinds(after.due(6.0)) == [("recovered", "camera")]


def test_a_damaged_note_is_no_note() -> None:
    assert Faults(b"\xff garbage").standing() == ()


def test_a_pipeline_that_is_no_more_has_no_faults() -> None:
    faults = Faults(None)
    faults.tell("camera", "door", "gone")
    faults.due(0.0)
    faults.keep_only(frozenset({"attic"}))
    assert faults.standing() == ()
    assert kinds(faults.due(60.0)) == [("recovered", "camera")]


def test_the_end_of_a_fault_names_what_was_said_and_its_last_reason() -> None:
    faults = Faults(None)
    faults.tell("config", None, "line 17 is wrong")
    faults.due(0.0)
    faults.tell("config", None, "line 12 is wrong")
    assert faults.due(20.0) == []
    again = Faults(faults.book())
    again.tell("config", None, "line 12 is wrong")
    again.tell("config", None, None)
    assert [saying.text for saying in again.due(40.0)] == [
        "over: line 17 is wrong; at last: line 12 is wrong"
    ]
