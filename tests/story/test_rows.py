"""A model of a table, from bare file to service: looked at, tried, packed, and run on a topic."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from runtime.cameras import make_camera
from runtime.doctor import cameras
from runtime.doctor.cameras import look_at_cameras
from runtime.frames import Frame, row_layout
from runtime.preview import Preview
from runtime.tally import Tally
from runtime.tasks import Value
from tests.brokers import HOST, Mosquitto
from tests.by_hand import model_of, result_at
from tests.graphs import onnx_rows
from tests.row_sender import TOPIC, publisher, row_sender
from tests.unit.test_row_models import folder_of
from tests.warm import run
from wire import config


def told(*words: object) -> Any:
    done = run([*words, "--json"])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(*words: object) -> str:
    done = run(words)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_bare_file_to_a_bundle(tmp_path: Path) -> None:
    bare = onnx_rows.linear(tmp_path / "press.onnx", [[1.0], [2.0], [0.0]], [0.5])
    card = told("model", "show", bare)
    assert card["manifest"]["task"] == "regress"
    assert card["manifest"]["row"] == {"shape": [1, 3], "dtype": "float32"}
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    results = tmp_path / "results"
    summary = told("run", "--model", bare, "--camera", f"rows://{tmp_path}/t.csv",
                   "--results", results)  # fmt: skip
    assert summary["frames"] == 2
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["found"] for line in lines] == [
        [{"name": "answer", "value": 5.5}], [{"name": "answer", "value": 14.5}],
    ]  # fmt: skip
    target = tmp_path / "press.zip"
    packed = told("fleet", "pack", bare, "--version", "1", "--golden", tmp_path / "t.csv",
                  "--output", target)  # fmt: skip
    assert packed["check"]["golden"] == 2
    assert told("run", "--model", target, "--camera", "rows+synthetic://3", "--frames", "5")
    bill = told("bench", "--model", target, "--frames", "20")
    assert bill["camera"] == "rows+synthetic://3"


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    model = ("run", "--model", folder, "--camera")
    assert "c is missing: there are a, b" in refused(*model, f"rows://{tmp_path}/t.csv")
    assert "use rows://FILE.csv or rows+mqtt" in refused(*model, "synthetic://64x48")
    shared = refused(*model, "rows+synthetic://3@10", "--share", "door")
    assert "rows are not shared" in shared
    assert "no such folder of pictures, or table" in refused(
        "fleet", "pack", folder, "--golden", tmp_path / "none.csv"
    )


def test_a_service_on_a_topic(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    with row_sender(period_s=0.02) as place:
        text = (
            f'device = "d"\n[broker]\nurl = "mqtt://{place}"\n[pipeline.press]\n'
            f'camera = "rows+mqtt://{place}/{TOPIC}#columns=a,b,c"\nmodel = "{folder}"\n'
        )
        (tmp_path / "vedette.toml").write_text(text)
        judged = told("check-config", tmp_path / "vedette.toml")
        assert not any("press.camera" in line for line in judged["warnings"])
        meant = config.parse(text, "vedette.toml")
        (finding,) = [each for each in look_at_cameras(meant) if each.about == "pipeline press"]
        assert (finding.level, finding.says) == ("ok", "rows of 3 numbers")
        totals = told("runtime", "press", "--config", tmp_path / "vedette.toml", "--state",
                      tmp_path, "--run", tmp_path, "--frames", "10")  # fmt: skip
    assert totals["frames"] >= 10
    assert totals["absent"] is None
    assert totals["scores"].get("broken", 0) == 0


def test_the_preview_shows_the_numbers() -> None:
    layout = row_layout(3, ("temperature", "pressure", "speed"))
    memory: Any = np.array([71.5, 3, 0.25], np.float32).view(np.uint8)
    tally = Tally(make_camera("rows+synthetic://3"), "rows+synthetic://3")
    over = threading.Event()
    with Preview(0, "press", lambda: tally.panel(model_of())) as preview:

        def feed() -> None:
            seq = 0
            while not over.wait(0.02):
                with Frame(seq, 0, layout, memory, lambda: None) as frame:
                    preview.glance(frame)
                preview.show(result_at(1, (Value("wear", 1.25),), seq))
                seq += 1

        feeding = threading.Thread(target=feed)
        feeding.start()
        try:
            picture = preview.picture(0, 20.0)
            report = preview.report()
        finally:
            over.set()
            feeding.join()
    assert picture is not None
    assert cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR) is not None
    assert (report.kind, report.found) == ("values", (Value("wear", 1.25),))


def test_doctor_finds_that_nobody_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "FRAME_S", 0.3)
    with Mosquitto() as broker, publisher(broker.port):
        text = (
            f'device = "d"\n[broker]\nurl = "mqtt://x"\n[pipeline.press]\nmodel = "digits"\n'
            f'camera = "rows+mqtt://{HOST}:{broker.port}/silent"\n'
        )
        (finding,) = [
            each for each in look_at_cameras(config.parse(text, "v")) if "press" in each.about
        ]
    assert finding.level == "ok"
    assert "nothing came within 0.3 s" in finding.says
