"""Answers as people read them, and pictures as files."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import pictures
from fleet.answers import MOST_ROWS, aligned, as_json, in_words
from wire.messages import PipelineSettings, PipelineState, Reply, State
from wire.orders import Snapshot
from wire.troubles import Refused, Unavailable

NOW = 1_800_000_000.0


def pipeline(**changes: object) -> PipelineState:
    state = PipelineState(
        "serving", "digits", "1", "ab" * 32, "litert", "v4l2:///dev/video0", None, 2,
        PipelineSettings("change", 1.0, None),
    )  # fmt: skip
    return msgspec.structs.replace(state, **changes)


def state(**changes: object) -> State:
    whole = State(
        "0.1.0", "raspberry-pi-5", ("entrances",), "boot", "broker", 60.0, "info", False, (), None,
        {"entrance": pipeline()},
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)


def status(shown: State) -> str:
    return in_words("door", Reply("a", True, "the state", msgspec.to_builtins(shown)))


def test_a_state_is_a_table() -> None:
    assert status(state()).splitlines() == [
        "door: vedette 0.1.0 on raspberry-pi-5",
        "  telemetry  every 60 s, acknowledged by the broker",
        "  snapshots  not allowed",
        "  log level  info",
        "  groups     entrances",
        "",
        "  pipeline  phase    model     engine  camera              restarts  results      "
        "min score",
        "  entrance  serving  digits 1  litert  v4l2:///dev/video0  2         change, 1/s  the "
        "model's",
    ]


def test_what_is_wrong_is_shown() -> None:
    absent = pipeline(
        phase="no_camera", absent="no such device", settings=PipelineSettings("off", 1.0, 0.5)
    )
    shown = status(
        state(faults=("spool: disk full",), config="line 3: no", pipelines={"a": absent})
    )
    assert "  fault: spool: disk full" in shown
    assert "  new config refused: line 3: no" in shown
    assert "no camera" in shown and "  a: no such device" in shown
    assert "off  " in shown and "0.5" in shown
    twice = status(state(faults=("a: no such device",), pipelines={"a": absent}))
    assert twice.count("no such device") == 1
    assert "no pipelines" in status(state(pipelines={}))


def test_what_is_too_long_to_show_is_counted() -> None:
    many = {f"lane{n:03}": pipeline() for n in range(MOST_ROWS + 1)}
    shown = status(state(faults=tuple(f"f{n}" for n in range(MOST_ROWS + 7)), pipelines=many))
    assert f"  fault: f{MOST_ROWS - 1}\n  and 7 more faults\n" in shown
    assert shown.endswith("\n  and 1 more pipeline")
    assert "more" not in status(state(faults=("x",) * MOST_ROWS))


def test_what_no_process_has_said_yet_is_a_dash() -> None:
    never = pipeline(phase="silent", version=None, digest=None, engine=None)
    row = status(state(pipelines={"a": never})).splitlines()[-1]
    assert row.split()[:5] == ["a", "silent", "digits", "-", "-"]


TIMES = {"p50": 1000.4, "p95": 1200.0, "p99": 15000.0}
BILL = {
    "frames": 300, "wanted": 300, "seconds": 9.97, "fps": 30.02, "model": "digits", "version": "1",
    "digest": "ab" * 32, "engine": "litert",
    "losses": {"skipped": 2, "driver": 1, "decode": 0, "refused": 0},
    "stages_us": dict.fromkeys(
        ("queue", "preprocess", "inference", "postprocess", "end_to_end"), TIMES
    ),
}  # fmt: skip


def test_a_bench_is_rows() -> None:
    assert in_words("door", Reply("a", True, "measured", BILL)).splitlines() == [
        "digits 1 with litert: 300 frames of the live loop in 10.0 s, 30.0 per second",
        "",
        "               p50      p95      p99",
        "  queue        1.00 ms  1.20 ms  15.0 ms",
        "  preprocess   1.00 ms  1.20 ms  15.0 ms",
        "  inference    1.00 ms  1.20 ms  15.0 ms",
        "  postprocess  1.00 ms  1.20 ms  15.0 ms",
        "  end to end   1.00 ms  1.20 ms  15.0 ms",
        "",
        "  frames without a result: 3",
    ]


def test_what_is_not_known_is_shown_as_it_came() -> None:
    for content in ({"pipelines": 3}, {"speed": [1, None]}, {"model": "x"}, {}):
        shown = in_words("door", Reply("a", True, "newer", content))
        assert shown.startswith("newer\n")
        assert json.loads(shown.removeprefix("newer\n")) == content


def test_numbers_beyond_all_range_are_shown_as_they_came() -> None:
    huge = 10**400
    busy = json.loads(msgspec.json.encode(state()))
    busy["pipelines"]["entrance"]["restarts"] = huge
    for content in (busy, BILL | {"frames": huge}, BILL | {"losses": {"driver": huge}}):
        shown = in_words("door", Reply("a", True, "forged", content))
        assert json.loads(shown.removeprefix("forged\n")) == content


def test_nothing_commands_the_terminal() -> None:
    evil = "\x1b[2J\x07\nx\u202e\udc80"
    hostile = state(
        agent=evil, board=evil, groups=(evil,), faults=(evil,), config=evil,
        pipelines={evil: pipeline(model=evil, engine=evil, camera=evil, absent=evil)},
    )  # fmt: skip
    bill = BILL | {"model": evil, "engine": evil, "version": evil}
    content = {evil: [evil]}
    for reply in (
        Reply("a", True, evil, msgspec.to_builtins(hostile)),
        Reply("a", True, evil, bill),
        Reply("a", True, evil, content),
        Reply("a", True, evil),
    ):
        shown = in_words("door", reply)
        shown.encode()
        assert not [c for c in shown if not c.isprintable() and c != "\n"]


def test_an_answer_that_is_nested_without_end_is_not_followed() -> None:
    content: dict[str, object] = {}
    for _ in range(100_000):
        content = {"a": content}
    reply = Reply("a", True, "deep", content)
    assert in_words("door", reply) == "deep\n(nested too deeply to be shown)"
    with pytest.raises(Refused, match="nested too deeply"):
        as_json(reply)


def test_rows_are_aligned() -> None:
    assert aligned([("a", "bb"), ("ccc", "d")]) == ["  a    bb", "  ccc  d"]


def test_json_is_the_reply() -> None:
    assert json.loads(as_json(Reply("a", True, "é\n", {"x": 1}))) == {
        "id": "a", "ok": True, "text": "é\n", "content": {"x": 1},
    }  # fmt: skip
    assert json.loads(as_json(Reply("a", True, ""), "p.jpg"))["file"] == "p.jpg"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["pipelines", "model", "p50", "queue", "a"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*BILL, "pipelines", "agent"]), JSON), st.text())
def test_no_answer_harms_the_reader(content: dict[str, object], text: str) -> None:
    in_words("door", Reply("a", True, text, content)).encode()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_picture_has_a_name_of_its_own(here: Path) -> None:
    names = [
        pictures.save(b"%d" % number, "door", Snapshot("entrance"), None, NOW).name
        for number in range(3)
    ]
    stem = names[0].removesuffix(".jpg")
    assert stem.startswith("door-entrance-2027011")
    assert names == [f"{stem}.jpg", f"{stem}-1.jpg", f"{stem}-2.jpg"]
    assert [(here / name).read_bytes() for name in names] == [b"0", b"1", b"2"]
    assert sorted(os.listdir(here)) == sorted(names), "nothing beside them"
    assert pictures.save(b"", "door", Snapshot(), None, NOW).name.startswith("door-2027011")


def test_a_name_that_was_given_is_used_again(here: Path) -> None:
    for content in (b"one", b"two"):
        assert pictures.save(content, "door", Snapshot(), Path("p.jpg"), NOW) == Path("p.jpg")
        assert (here / "p.jpg").read_bytes() == content


def test_a_dangling_link_is_not_written_through(here: Path) -> None:
    first = pictures.save(b"1", "door", Snapshot(), None, NOW)
    first.unlink()
    first.symlink_to("elsewhere")
    assert pictures.save(b"2", "door", Snapshot(), None, NOW) != first
    assert not (here / "elsewhere").exists()


def test_places_where_nothing_can_be_saved_are_said_before(here: Path) -> None:
    pictures.check_place(None)
    pictures.check_place(here / "new.jpg")
    with pytest.raises(Refused, match="is a folder"):
        pictures.check_place(here)
    os.mkfifo(here / "pipe")  # as /dev/null, of which root would make a file
    with pytest.raises(Refused, match="no ordinary file"):
        pictures.check_place(here / "pipe")
    with pytest.raises(Refused, match="no folder"):
        pictures.check_place(here / "none" / "p.jpg")
    with pytest.raises(Unavailable, match="cannot be written"):
        pictures.save(b"", "door", Snapshot(), here / "none" / "p.jpg", NOW)


def test_places_that_may_not_even_be_looked_at_are_no_crash(nobody: None) -> None:
    with tempfile.TemporaryDirectory() as name:
        closed = Path(name) / "closed"
        closed.mkdir(mode=0o000)
        with contextlib.suppress(Unavailable):  # whether it may be used is asked for the real user
            pictures.check_place(closed / "p.jpg")
        with pytest.raises(Refused, match="no folder"):
            pictures.check_place(closed / "deeper" / "p.jpg")
