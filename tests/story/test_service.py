"""A pipeline as a service, as real processes: with an agent, without one, with a stopped one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import bundle
from runtime.locating import ZOO
from tests.graphs import tflite
from tests.recordings import write_pictures
from tests.story.serving import Service
from wire.accepted import accept
from wire.folders import Folders
from wire.local import Apply, Leave, RunBench, TakeSnapshot
from wire.messages import PipelineSettings

ROOT = Path(__file__).resolve().parents[2]
LIVE = 'camera = "synthetic://64x48@50"\nmodel = "digits"\n'
SECONDS_EACH = 15_000_000  # rounds of a model that counts: some seconds on any machine
FULL_SPEED = 'camera = "synthetic://64x48"\nmodel = "digits"\n'


def test_totals_arrive_and_its_end_is_said(tmp_path: Path) -> None:
    with Service(tmp_path, LIVE) as service:
        service.open_agent()
        service.start()
        service.serving()
        first = service.wait_for(lambda: service.heard.totals)[0]
        assert (first.pipeline, first.model, first.engine) == ("door", "digits", "litert")
        assert len(first.digest) == 64 and first.camera == "synthetic://64x48@50"
        serving = service.totals_where(lambda each: each.phase == "serving")
        assert serving.run == first.run and serving.unsent == 0
        assert service.wait_for(lambda: service.heard.found)[0].result.found
        code, _ = service.end()
        last = service.heard.totals[-1]
        assert code == 0 and last.phase == "ended"
        assert last.frames == last.stages.end_to_end.count > 0
        assert "STOPPING=1" in service.lines()
        assert not (service.run / "pipeline-door.sock").exists()


@pytest.mark.slow
def test_totals_come_every_ten_seconds(tmp_path: Path) -> None:
    with Service(tmp_path, LIVE) as service:
        service.open_agent()
        service.start()
        service.wait_for(lambda: len(service.heard.totals) >= 4)
        moments = [each.seconds for each in service.heard.totals[1:]]
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        assert all(9 < gap < 14 for gap in gaps), gaps


def test_without_an_agent_every_frame_is_seen(tmp_path: Path) -> None:
    """A camera that waits for nobody, and nobody to report to."""
    table = f'camera = "file://{write_pictures(tmp_path / "p", [f"{n}.png" for n in range(60)])}"\n'
    with Service(tmp_path, table + 'model = "digits"\n', "--json") as service:
        service.start()
        code, out = service.end(None)
        totals = json.loads(out)
        assert code == 0
        assert (totals["frames"], totals["unsent"], totals["phase"]) == (60, 0, "ended")
        assert set(totals["losses"].values()) == {0}


@pytest.mark.slow
def test_a_stopped_agent_is_counted_and_costs_no_frame(tmp_path: Path) -> None:
    """The agent is a real process that SIGSTOP holds: its socket fills, the loop goes on."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom wire.local import agent_mailbox\n"
        "m = agent_mailbox(Path(sys.argv[1]))\nprint('here', flush=True)\n"
        "while True:\n    m.receive(1.0)\n"
    )
    run = tmp_path / "run"
    run.mkdir()
    agent = subprocess.Popen(
        [sys.executable, "-c", code, str(run)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert agent.stdout is not None and agent.stdout.readline() == b"here\n"
        table = FULL_SPEED + 'results = "every"\nresults_per_s = 30\n'
        with Service(tmp_path, table, "--json") as service:
            service.start()
            service.serving()
            agent.send_signal(signal.SIGSTOP)
            frames_before = time.monotonic()
            while time.monotonic() < frames_before + 2.5:
                service.listen()
                time.sleep(0.05)
            agent.send_signal(signal.SIGCONT)
            ended, out = service.end()
            totals = json.loads(out)
            assert ended == 0
            assert totals["unsent"] >= 5, "ten datagrams fit into the socket at most"
            assert totals["frames"] > 200 and set(totals["losses"].values()) == {0}
            slowest_us = totals["stages"]["end_to_end"]["maximum_us"]
            assert slowest_us < 1.5e6, "nobody waited for the agent"
    finally:
        agent.kill()
        agent.communicate()


def test_killed_and_started_again(tmp_path: Path) -> None:
    """A new process takes the address over and counts from zero under a new name."""
    with Service(tmp_path, LIVE) as service:
        service.open_agent()
        service.start()
        before = service.totals_where(lambda each: each.phase == "serving")
        code, _ = service.end(signal.SIGKILL)
        assert code == -signal.SIGKILL and (service.run / "pipeline-door.sock").is_socket()
        service.start()
        after = service.totals_where(lambda each: each.run != before.run)
        assert after.seconds < 60
        service.wish(Leave("x"))
        assert service.end(None)[0] == 0


def test_running_twice_is_said(tmp_path: Path) -> None:
    with Service(tmp_path, LIVE) as service:
        service.start()
        service.serving()
        other = service.shell.run(
            "runtime", "door", "--config", "vedette.toml", "--state", "state", "--run", "run"
        )
        assert other.code == 1 and "is it running twice" in other.err


def test_leave_is_answered_and_ends_it_well(tmp_path: Path) -> None:
    with Service(tmp_path, LIVE) as service:
        service.open_agent()
        service.start()
        service.serving()
        answer = service.answer_to(Leave("7"), "7")
        assert answer.ok
        assert service.end(None)[0] == 0
        assert service.heard.totals[-1].phase == "ended"


def test_a_snapshot_shows_the_newest_frame(tmp_path: Path) -> None:
    table = 'camera = "synthetic://320x240@30"\nmodel = "digits-detect"\n'
    with Service(tmp_path, table) as service:
        service.open_agent()
        service.start()
        service.serving()
        for id, most_bytes in (("1", 60_000), ("2", 6_000)):
            answer = service.answer_to(TakeSnapshot(id, most_bytes), id)
            assert answer.ok and answer.content is not None, answer.text
            assert len(answer.content) <= most_bytes
            picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
        assert service.answer_to(TakeSnapshot("3", 10), "3").ok is False
        assert service.end()[0] == 0


def test_a_bench_measures_the_live_loop(tmp_path: Path) -> None:
    with Service(tmp_path, LIVE) as service:
        service.open_agent()
        service.start()
        service.serving()
        answer = service.answer_to(RunBench("1", 60), "1")
        bill = json.loads(answer.content or b"{}")
        assert answer.ok and bill["frames"] == 60
        stages = bill["stages_us"]
        assert 0 < stages["inference"]["p50"] <= stages["end_to_end"]["p50"]
        assert stages["end_to_end"]["p50"] <= stages["end_to_end"]["p99"]
        code, _ = service.end()
        assert code == 0 and service.heard.totals[-1].frames > 60


def test_settings_are_applied_and_reported(tmp_path: Path) -> None:
    with Service(tmp_path, LIVE + 'results = "off"\n') as service:
        service.open_agent()
        service.start()
        service.serving()
        first = service.wait_for(lambda: service.heard.totals)[0]
        assert first.settings.results == "off" and not service.heard.found
        wanted = PipelineSettings("every", 20.0, 0.25)
        service.wish(Apply(wanted))
        service.totals_where(lambda each: each.settings == wanted)
        service.wait_for(lambda: len(service.heard.found) >= 20)
        assert service.end()[0] == 0


@pytest.mark.slow
def test_a_missing_camera_is_absent_until_it_is_there(tmp_path: Path) -> None:
    pictures = tmp_path / "later"
    table = f'camera = "file://{pictures}?pace=50&loop=yes"\nmodel = "digits"\n'
    with Service(tmp_path, table, watchdog_s=1.5) as service:
        service.open_agent()
        service.start()
        service.serving()
        absent = service.wait_for(lambda: service.heard.totals)[-1]
        assert absent.phase == "no_camera" and absent.absent and "later" in absent.absent
        assert absent.frames == 0
        petted = service.lines().count("WATCHDOG=1")
        service.wait_for(lambda: service.lines().count("WATCHDOG=1") >= petted + 2)
        assert any("no camera" in line for line in service.lines())
        write_pictures(tmp_path / "made", ["1.png", "2.png"], (64, 48))
        os.rename(tmp_path / "made", pictures)
        there = service.totals_where(lambda each: each.phase == "serving")
        assert there.absent is None and there.run == absent.run
        code, _ = service.end()
        assert code == 0 and service.heard.totals[-1].frames > 0
        assert service.said().count("no camera") == service.said().count("camera is there") == 1


@pytest.mark.slow
def test_a_v4l2_camera_that_is_not_there(tmp_path: Path) -> None:
    table = 'camera = "v4l2:///dev/video-not-here"\nmodel = "digits"\n'
    with Service(tmp_path, table) as service:
        service.open_agent()
        service.start()
        totals = service.wait_for(lambda: service.heard.totals)[-1]
        assert totals.phase == "no_camera" and "/dev/video-not-here" in (totals.absent or "")
        service.serving()
        answer = service.answer_to(TakeSnapshot("1", 60_000), "1")
        assert not answer.ok and "/dev/video-not-here" in answer.text
        begun = time.monotonic()
        assert service.end()[0] == 0
        assert time.monotonic() - begun < 10


@pytest.mark.slow
def test_a_camera_that_falls_silent_is_opened_again(tmp_path: Path) -> None:
    """Its first picture comes at once, the next in minutes, and it says nothing about that."""
    pictures = write_pictures(tmp_path / "p", ["1.png", "2.png"], (64, 48))
    table = f'camera = "file://{pictures}?pace=0.01"\nmodel = "digits"\n'
    with Service(tmp_path, table, watchdog_s=3) as service:
        service.open_agent()
        service.start()
        service.serving()
        service.totals_where(lambda each: each.phase == "serving")
        silent = service.totals_where(lambda each: each.phase == "no_camera")
        assert "no frame for 10 s" in (silent.absent or "")
        moments = [at for at, line in service.heard.systemd if line == "WATCHDOG=1"]
        assert max(later - earlier for earlier, later in pairwise(moments)) > 8, (
            "while nobody knew, nobody was told that all is well"
        )
        service.totals_where(lambda each: each.phase == "serving" and each.frames >= 2)
        assert service.end()[0] == 0


@pytest.mark.slow
def test_a_hung_engine_is_not_petted(tmp_path: Path) -> None:
    """A model takes over whose every run takes seconds: meanwhile systemd hears nothing."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "manifest.toml").write_text(
        'schema = 1\nname = "m"\nversion = "1"\ntask = "raw"\nformat = "tflite"\n'
        'file = "m.tflite"\n'
        '[input]\nwidth = 8\nheight = 8\ncolour = "rgb"\nlayout = "NHWC"\ndtype = "uint8"\n'
    )
    tflite.slow(model / "m.tflite", rounds=1)
    table = f'camera = "synthetic://64x48@50"\nmodel = "{model}"\n'
    with Service(tmp_path, table, watchdog_s=0.9) as service:
        service.start()
        service.serving()
        service.wait_for(lambda: service.lines().count("WATCHDOG=1") >= 5)
        tflite.slow(model / "m.tflite", rounds=SECONDS_EACH)
        trust(service, model)
        service.send(signal.SIGHUP)
        service.wait_for(lambda: "loaded m 1" in service.said())
        before = service.lines().count("WATCHDOG=1")
        assert before > 5, "it was petted while the model was loaded beside the loop"
        # five times as long as between two pettings, if frames came out
        service.wait_for(lambda: time.monotonic() - service.heard.systemd[-1][0] > 1.5)


def trust(service: Service, model: Path) -> None:
    """As if this model had been tried before: a trial of it would not end."""
    tried = service.folder / "home" / ".cache" / "vedette" / "tried"
    tried.mkdir(parents=True, exist_ok=True)
    (tried / f"{bundle.folder_digest(model)}-litert").touch()


def test_sighup_reads_the_configuration_and_the_model_again(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ZOO / "digits" / "tflite", model)
    table = f'camera = "synthetic://64x48@50"\nmodel = "{model}"\nresults = "off"\n'
    with Service(tmp_path, table) as service:
        service.open_agent()
        service.start()
        service.serving()
        old = service.wait_for(lambda: service.heard.totals)[0]
        manifest = (model / "manifest.toml").read_text()
        (model / "manifest.toml").write_text(manifest.replace('version = "1"', 'version = "2"'))
        service.configure(table.replace('"off"', '"every"') + "threads = 1\n")
        service.send(signal.SIGHUP)
        new = service.totals_where(lambda each: each.version == "2")
        assert new.digest != old.digest and new.run == old.run
        assert new.settings.results == "every"
        assert "threads: changed, used when this service is restarted" in service.said()
        service.wait_for(lambda: service.heard.found)
        # the last totals of the old model hold all its frames
        last_old = [each for each in service.heard.totals if each.digest == old.digest][-1]
        assert last_old.frames > 0
        assert service.end()[0] == 0


@pytest.mark.parametrize("content", ["[pipeline.door\n", '[broker]\nurl = "mqtt://x"\n', None])
def test_sighup_with_a_bad_configuration_changes_nothing(
    tmp_path: Path, content: str | None
) -> None:
    with Service(tmp_path, LIVE) as service:
        service.open_agent()
        service.start()
        service.serving()
        if content is None:
            (tmp_path / "vedette.toml").unlink()
        else:
            (tmp_path / "vedette.toml").write_text(content)
        service.send(signal.SIGHUP)
        service.wait_for(lambda: "the configuration stays as it was" in service.said())
        before = service.wait_for(lambda: service.heard.totals)[-1].frames
        assert service.end()[0] == 0
        assert service.heard.totals[-1].frames > before


def test_a_refused_configuration_leaves_the_accepted_one_in_force(tmp_path: Path) -> None:
    with Service(tmp_path, LIVE) as service:
        config = tmp_path / "vedette.toml"
        (tmp_path / "state").mkdir()
        accept(Folders(config, tmp_path / "state", service.run), config.read_text())
        config.write_text(config.read_text().replace("camera =", "camra ="))
        service.open_agent()
        service.start()
        service.serving()
        assert "camra" in service.said() and "stays in force" in service.said()
        assert service.totals_where(lambda _: True).camera == "synthetic://64x48@50"
        assert service.end()[0] == 0


def test_sighup_before_there_is_a_loop_does_not_end_it(tmp_path: Path) -> None:
    tflite.slow(tmp_path / "m.tflite", rounds=1_000_000)
    table = f'camera = "synthetic://64x48@50"\nmodel = "{tmp_path / "m.tflite"}"'
    with Service(tmp_path, table) as service:
        service.open_agent()
        service.start()
        service.wait_for(lambda: any("EXTEND_TIMEOUT" in line for line in service.lines()))
        assert "READY=1" not in service.lines()
        service.send(signal.SIGHUP)
        service.serving()
        service.wait_for(lambda: "loaded" in service.said())
        assert service.end()[0] == 0


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('camera = "synthetic://64x48"\nmodel = "nothing"', "there is no model"),
        ('camera = "synthetic://1x1"\nmodel = "digits"', "width and height must be"),
        ('camera = "gopro://1"\nmodel = "digits"', "names no camera"),
        ('camera = "synthetic://64x48"\nmodel = "digits"\nengine = "x"', "there is no engine 'x'"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, table: str, why: str) -> None:
    with Service(tmp_path, table) as service:
        service.start()
        code, _ = service.end(None)
        assert code == 2 and why in service.said() and "READY=1" not in service.lines()


def test_a_pipeline_that_is_not_configured(tmp_path: Path) -> None:
    with Service(tmp_path, LIVE) as service:
        said = service.shell.run("runtime", "gate", "--config", "vedette.toml", "--run", "run")
        assert said.code == 2 and "there is no pipeline 'gate'; there are: door" in said.err


def test_sigterm_while_the_model_is_being_tried_is_a_good_end(tmp_path: Path) -> None:
    tflite.endless(tmp_path / "m.tflite")
    table = f'camera = "synthetic://64x48"\nmodel = "{tmp_path / "m.tflite"}"'
    with Service(tmp_path, table) as service:
        service.start()
        service.wait_for(lambda: any("EXTEND_TIMEOUT" in line for line in service.lines()))
        time.sleep(0.5)
        assert service.end()[0] == 0


def test_the_preview_is_served_beside_it(tmp_path: Path) -> None:
    port = free_port()
    with Service(tmp_path, LIVE, "--preview", str(port)) as service:
        service.start()
        service.serving()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats.json", timeout=30) as answer:
            stats = json.load(answer)
        assert stats["panel"]["model"] == "digits" and stats["panel"]["frames"] > 0
        assert service.end()[0] == 0


def test_a_preview_that_cannot_be_is_no_reason_not_to_serve(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Service(tmp_path, LIVE, "--preview", str(port)) as service:
            service.start()
            service.serving()
            assert "no preview" in service.said()
            assert service.end()[0] == 0


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])
