"""vedette.toml: which pipelines may share a camera, and what is refused with line, key and hint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.commands.check_config import judged
from runtime.foresight import impossible, warnings
from runtime.sharing.configured import (
    Demand,
    camera_by_hand,
    check_pace,
    demand_for,
    unprepared,
)
from wire import config
from wire.troubles import Refused, Unavailable

HEAD = 'broker = { url = "mqtt://127.0.0.1:1" }\ndevice = "box"\n'


def text_of(**cameras: str) -> str:
    tables = (f'[pipeline.{n}]\ncamera = "{c}"\nmodel = "digits"\n' for n, c in cameras.items())
    return HEAD + "".join(tables)


def test_readers_are_counted() -> None:
    meant = config.parse(
        text_of(
            door="synthetic://64x48@30", faces="pipeline://door", cars="pipeline://door?crop=car",
            yard="synthetic://64x48@30?seed=2",
        ),
        "x",
    )  # fmt: skip
    both = Demand(frozenset({"faces", "cars"}), frozenset({"cars"}))
    nobody = Demand(frozenset(), frozenset())
    assert [demand_for(meant, name) for name in meant.pipeline] == [both, nobody, nobody, nobody]


def test_a_reader_that_cannot_be_meant_does_not_keep_the_owner_from_its_camera() -> None:
    meant = config.parse(
        text_of(door="synthetic://64x48@30", faces="pipeline://door?crop=&nonsense=1"), "x"
    )
    assert demand_for(meant, "door") == Demand(frozenset({"faces"}), frozenset())
    assert [key for key, _ in impossible(meant)] == [("pipeline", "faces", "camera")]


def crops_of(model: str, crop: str) -> list[str]:
    """What is amiss with the camera of a pipeline that looks at what this model finds."""
    text = text_of(door="synthetic://64x48@30", faces=f"pipeline://door?crop={crop}")
    meant = config.parse(text.replace('"digits"', f'"{model}"', 1), "x")
    return [line for line in warnings(meant) if line.startswith("pipeline.faces.camera")]


def test_crops_that_never_come_are_told() -> None:
    assert crops_of("digits-detect", "3,7") == crops_of("digits-detect", "*") == []
    assert crops_of("digits-detect", "3,thre") == [
        "pipeline.faces.camera: the model of pipeline door finds nothing called thre"
    ]
    (line,) = crops_of("digits", "*")
    assert line.endswith("the model of pipeline door classifies whole pictures and finds no boxes")
    assert crops_of("/nowhere", "3") == [], "said of door's model"


def test_an_owner_is_prepared_for_those_that_it_was_started_for() -> None:
    faces, cars = frozenset({"faces"}), frozenset({"cars"})
    started = Demand(faces | cars, cars)
    assert unprepared(started, started) == unprepared(started, Demand(cars, cars)) == []
    assert unprepared(started, Demand(faces | cars, faces)) == ["faces"], "it looks closer now"
    assert unprepared(Demand(frozenset(), frozenset()), started) == ["cars", "faces"]


@pytest.mark.parametrize(
    ("cameras", "told"),
    [
        ({"door": "pipeline://door"}, "door.camera: pipeline door names itself"),
        ({"faces": "pipeline://dor"}, "faces.camera: there is no pipeline 'dor' here; .*: yard"),
        (
            {"door": "pipeline://yard", "faces": "pipeline://door"},
            "faces.camera: pipeline door has no camera of its own: write pipeline://yard",
        ),
        (
            {"a": "pipeline://b", "b": "pipeline://a"},
            "a.camera: pipeline b has no camera of its own: give it one",
        ),
        (
            {"a": "v4l2:///dev/video0", "b": "v4l2:///dev/video0"},
            "b.camera: pipeline a uses this camera already.*write pipeline://a",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(cameras: dict[str, str], told: str) -> None:
    with pytest.raises(Refused, match=told):
        config.parse(text_of(**cameras, yard="synthetic://64x48@30"), "x")


@pytest.mark.parametrize("camera", ["synthetic://64x48", "file:///x.avi", "file:///x?loop=yes"])
def test_what_has_no_pace_is_not_shared(camera: str, tmp_path: Path) -> None:
    path = tmp_path / "vedette.toml"
    path.write_text(text_of(door=camera, faces="pipeline://door"))
    with pytest.raises(Refused, match="to be shared it needs"):
        judged(path)
    path.write_text(text_of(door=camera))
    judged(path)


@pytest.mark.parametrize(
    "camera", ["synthetic://64x48@30", "file:///x?pace=real", "v4l2:///dev/video0", "rtsp://h/x"]
)
def test_what_has_its_own_times_is(camera: str) -> None:
    check_pace(camera)


def test_options_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "vedette.toml"
    path.write_text(text_of(door="synthetic://64x48@30", faces="pipeline://door?crop=*&most=99"))
    with pytest.raises(Refused, match="most='99' must be a number from 1 to 16"):
        judged(path)


def test_who_wishes_to_share_by_hand_and_cannot_is_told(tmp_path: Path) -> None:
    """And goes no further: a service tries again, a person would wait for readers in vain."""
    camera = "synthetic://64x48@30"
    gone = tmp_path / "nothere"
    why = f"--run {gone}: there is no such folder: make it, or name another"
    with pytest.raises(Unavailable) as raised, camera_by_hand(camera, "door", gone):
        pass
    assert str(raised.value) == why and not gone.exists()
    with camera_by_hand(camera, "door", tmp_path):
        before = sorted(os.listdir("/proc/self/fd"))
        with (
            pytest.raises(Unavailable, match=r"camera-door\.sock: another process .* twice"),
            camera_by_hand(camera, "door", tmp_path),
        ):
            pass
        assert sorted(os.listdir("/proc/self/fd")) == before
        with camera_by_hand(camera, "yard", tmp_path):
            assert (tmp_path / "camera-yard.sock").is_socket()


@pytest.mark.parametrize("uri", ["pipeline://", "pipeline://a/b", "pipeline://a?crop="])
def test_a_refused_address_is_shown_as_it_was_written(uri: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as raised, camera_by_hand(uri, None, tmp_path):
        pass
    assert str(raised.value).startswith(f"{uri}: ") and str(tmp_path) not in str(raised.value)
