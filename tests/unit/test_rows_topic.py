"""Rows from a topic of a real broker: what is a row, what is lost and said, what comes again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.cameras import Camera, make_camera, open_camera
from runtime.cameras.patient import SILENT_S, PatientCamera
from runtime.cameras.rows_topic import LARGEST, TopicRows
from runtime.foresight_network import about, files
from runtime.frames import Aim, row_layout
from tests.brokers import HOST, Authority, Mosquitto
from tests.by_hand import HandClock
from tests.row_sender import publisher
from wire.masking import masked
from wire.troubles import Refused, Unavailable

AB = Aim(2, 1, cover=False, columns=("a", "b"))
PATIENCE_S = 20.0
Publish = Callable[[Any], None]


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with Mosquitto() as broker:
        yield broker


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return f"plant/{request.node.name}"


@pytest.fixture
def publish(broker: Mosquitto, topic: str) -> Iterator[Publish]:
    """Sends a message and waits until the broker has it; what is no bytes goes as JSON."""
    with publisher(broker.port) as client:

        def send(row: Any) -> None:
            payload = row if isinstance(row, bytes) else json.dumps(row)
            client.publish(f"{topic}/3", payload, qos=1).wait_for_publish(PATIENCE_S)

        yield send


def address(broker: Mosquitto, topic: str, options: str = "") -> str:
    return f"rows+mqtt://{HOST}:{broker.port}/{topic}/+{options and '#'}{options}"


def next_row(camera: Camera) -> list[float]:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        frame = camera.read(0.2)
        if frame is not None:
            with frame:
                row: list[float] = frame.pixels.view(np.float32)[0].tolist()
                return row
    raise AssertionError("no row came")


def until(done: Callable[[], bool], camera: Camera) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end_s
        assert camera.read(0.05) is None


def test_a_message_is_an_object_an_array_or_a_line(
    broker: Mosquitto, topic: str, publish: Publish
) -> None:
    with open_camera(address(broker, topic, "columns=b,x,a"), AB) as camera:
        assert camera.layout == row_layout(2, ("a", "b"))
        publish({"b": 2, "who": "press 3", "a": 1.5})
        assert next_row(camera) == [1.5, 2]
        publish([4, 0, 3])
        assert next_row(camera) == [3, 4]
        publish(b"6;0;5\r\n")
        assert next_row(camera) == [5, 6]
        assert camera.layout.columns == ("a", "b")


def test_a_model_without_names_takes_what_the_address_names(
    broker: Mosquitto, topic: str, publish: Publish
) -> None:
    unnamed = Aim(2, 1, cover=False, columns=())
    with open_camera(address(broker, topic), unnamed) as camera:
        publish([1, 2])
        assert next_row(camera) == [1, 2]
        publish({"a": 1, "b": 2})
        until(lambda: camera.losses.refused == 1, camera)
    with open_camera(address(broker, topic, "columns=b,a"), unnamed) as camera:
        publish({"a": 1, "b": 2})
        assert next_row(camera) == [2, 1]


def test_what_is_no_row_is_counted_and_each_reason_said_once(
    broker: Mosquitto, topic: str, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    with open_camera(address(broker, topic, "queue=100"), AB) as camera:
        broken: list[Any] = [
            {"a": 1}, {"a": 2}, {"a": "x", "b": 1}, [1, 2, 3], b"{", b"\xff", b"", b"[" * 50_000,
            b" " * (LARGEST + 1), {"a": 1e300, "b": 1},
        ]  # fmt: skip
        for each in broken:
            publish(each)
        publish({"a": 7, "b": 8})
        assert next_row(camera) == [7, 8]
        assert camera.losses.refused == len(broken)
    assert caplog.text.count("b is missing: there are a") == 1
    assert "column a: 'x' is no number" in caplog.text


def test_the_newest_is_taken_unless_rows_may_wait(
    broker: Mosquitto, topic: str, publish: Publish
) -> None:
    for options, found, skipped in (("", [4], 4), ("queue=3", [2, 3, 4], 2)):
        with open_camera(address(broker, topic, options), AB) as camera:
            for number in range(5):
                publish([number, 0])
            end_s = time.monotonic() + PATIENCE_S
            while camera.losses.skipped < skipped:
                assert time.monotonic() < end_s
                time.sleep(0.01)
            assert [next_row(camera)[0] for _ in found] == found
            assert camera.losses.skipped == skipped


def test_silence_is_right_for_a_while_and_then_said(
    broker: Mosquitto, topic: str, publish: Publish
) -> None:
    with open_camera(address(broker, topic, "silence=1"), AB) as camera:
        assert isinstance(camera, TopicRows)
        assert camera.read(0.05) is None
        assert camera.is_waiting and camera.absent is None
        until(lambda: camera.absent is not None, camera)
        assert not camera.is_waiting
        assert f"no row for 1 s: is anybody publishing on {topic}/+?" in str(camera.absent)
        publish([1, 2])
        assert next_row(camera) == [1, 2]
        assert camera.absent is None


def test_a_service_does_not_open_again_who_only_waits(broker: Mosquitto, topic: str) -> None:
    clock = HandClock()
    patient = PatientCamera(make_camera(address(broker, topic, "silence=600")), clock)
    patient.start()
    try:
        for _ in range(5):
            assert patient.read(0.01) is None
            clock.now_s += SILENT_S
        assert patient.is_waiting and patient.absent is None
    finally:
        patient.stop()


def test_a_broker_that_went_and_came_back(topic: str) -> None:
    with Mosquitto() as broker, open_camera(address(broker, topic), AB) as camera:
        broker.kill()
        until(lambda: camera.absent is not None, camera)
        broker.start()
        with publisher(broker.port) as client:
            end_s = time.monotonic() + PATIENCE_S
            while (frame := camera.read(0.1)) is None:
                assert time.monotonic() < end_s
                client.publish(f"{topic}/1", "[1, 2]", qos=1)
            frame.release()
        assert camera.absent is None


def test_without_a_broker_it_is_unavailable(broker: Mosquitto) -> None:
    with (
        pytest.raises(Unavailable, match=r"rows\+mqtt://127\.0\.0\.1:1/x: "),
        open_camera("rows+mqtt://127.0.0.1:1/x"),
    ):
        pass


def test_with_tls_and_a_password_from_a_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    users = {"press": "correct horse"}
    with Mosquitto(users=users, certified=authority.issue(HOST)) as broker:
        place = f"rows+mqtts://press@{HOST}:{broker.tls_port}/a#password_file={secret}"
        uri = f"{place}&ca_file={authority.file}"
        with (
            open_camera(uri, AB) as camera,
            publisher(broker.port, "press", "correct horse") as client,
        ):
            client.publish("a", "[1, 2]", qos=1)
            assert next_row(camera) == [1, 2]
        with pytest.raises(Unavailable, match="certificate"), open_camera(place, AB):
            pass
        secret.write_text("wrong\n")
        with pytest.raises(Unavailable, match=r"user name|password"), open_camera(uri, AB):
            pass
        assert "wrong" not in masked(uri)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("rows+mqtt://host", "names no topic"),
        ("rows+mqtt://host/", "names no topic"),
        ("rows+mqtt:///topic", "names no machine"),
        ("rows+mqtt://host:0/topic", "port"),
        ("rows+mqtt://me:secret@host/topic", "password has no place in an address"),
        ("rows+mqtt://me@host/topic", "a name needs its password"),
        ("rows+mqtt://host/topic#password_file=/x", "password_file needs a name"),
        ("rows+mqtt://host/topic#ca_file=/x", "CA file /x would not be used"),
        ("rows+mqtts://host/topic#key_file=/x", "no certificate file"),
        ("rows+mqtt://host/topic#queue=0", "queue='0' must be a number from 1 to 1000"),
        ("rows+mqtt://host/topic#silence=x", "silence='x' must be a number"),
        ("rows+mqtt://host/topic#timeout=3", "use silence"),
        ("rows+mqtt://host/topic#columns=a,a", "no two the same"),
        ("rows+mqtt://host/topic#rate=3", "there is no option 'rate'"),
        ("rows+mqtt://host/topic?password_file=/x", "write #password_file=PATH at the end"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(uri: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        make_camera(uri)
    assert "secret" not in str(caught.value)


def test_files_that_are_not_there_are_foreseen(tmp_path: Path) -> None:
    uri = (
        f"rows+mqtts://me@host/a#password_file={tmp_path}/p&ca_file={tmp_path}/c"
        f"&certificate_file={tmp_path}/d&key_file={tmp_path}/k"
    )
    camera = make_camera(uri)
    assert isinstance(camera, TopicRows)
    told = list(about(camera.target))
    assert [line.split()[0] for line in told] == [
        "password_file", "key_file", "ca_file", "certificate_file",
    ]  # fmt: skip
    assert len(files(camera.target)) == 4
