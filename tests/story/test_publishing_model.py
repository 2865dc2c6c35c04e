"""One script from a trained network to a fleet: gates, a canary of real processes, and the rest."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acting import Actor
from tests.brokers import Listener
from tests.fanout import Many
from tests.graphs.onnx_trained import trained
from tests.yard import FLEET, PASSPHRASE, digits
from wire import topics
from wire.messages import State, parse

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "publish-model"
CANARY, OTHERS = "door", ("simulated-1", "simulated-2")


class Publishing:
    """A fleet of one real device and two others, and the script."""

    def __init__(self, yard: Many) -> None:
        self.yard = yard
        self.trained = trained(yard.folder / "digits.onnx")

    def publish(
        self, version: str, *words: str, convert: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """What CI runs, with short trials. The samples: other digits than those of calibration.

        convert: more options of that step.
        """
        out = self.out(version)
        return subprocess.run(
            [sys.executable, SCRIPT, self.trained, "--version", version,
             "--calibrate", "synthetic://160x120?seed=5", "--data", "synthetic://160x120?seed=1",
             "--limit", "60", "--out", out, "--canary", CANARY, "--trial", "2",
             *words, "--", "--like", "digits", "--calibrate-count", "40", *convert],
            cwd=self.yard.folder, capture_output=True, text=True, timeout=300,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"VEDETTE_PASSPHRASE": PASSPHRASE,
                              "VEDETTE_FLEET_DIR": str(self.yard.fleet)},
        )  # fmt: skip

    def out(self, version: str) -> Path:
        return self.yard.folder / f"build-{version}"

    def figures(self, version: str) -> Any:
        return json.loads((self.out(version) / "figures.json").read_text())

    def first_s(self, version: str, device: str) -> float | None:
        """When a device first said that it runs a version."""
        topic = topics.state(FLEET, device)
        told = [one for one in self.yard.heard() if one.topic == topic and one.payload]
        runs = [
            one.at_s
            for one in told
            if parse(one.payload, State).pipelines["lane"].version == version
        ]
        return runs[0] if runs else None


def steps(said: str) -> list[str]:
    """Which commands it ran, without their options."""
    mine = [line for line in said.splitlines() if line.startswith("publish-model: vedette ")]
    return [" ".join(line.split()[2:4]) for line in mine]


@pytest.fixture(scope="module")
def publishing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publishing]:
    yard = Many(tmp_path_factory.mktemp("yard"))
    with yard:
        door = yard.device(CANARY)
        door.start("agent")
        door.start("lane")
        yard.simulate(len(OTHERS), "--fetch", "--spread-s", "0")
        yard.until(lambda: all(map(yard.state, (CANARY, *OTHERS))))
        yield Publishing(yard)


def test_a_network_that_is_good_enough_reaches_the_canary_and_then_the_fleet(
    publishing: Publishing,
) -> None:
    done = publishing.publish("7")
    assert done.returncode == 0, done.stderr
    assert steps(done.stderr) == [
        "model convert", "model convert", "model compare", "fleet pack", "fleet push",
        "fleet deploy",
    ]  # fmt: skip
    yard, out = publishing.yard, publishing.out("7")
    yard.until(lambda: all(yard.runs("7", name) for name in (CANARY, *OTHERS)))
    tried = publishing.first_s("7", CANARY)
    later = [publishing.first_s("7", name) for name in OTHERS]
    assert tried is not None
    assert all(each is not None and each > tried + 2 for each in later), "the canary's trial first"
    assert "onnx" in (out / "report.html").read_text()
    models = {each["name"]: each for each in publishing.figures("7")["models"]}
    assert set(models) == {"float", "onnx"}
    assert (out / "onnx" / "manifest.toml").read_text().count("int8") > 0


def test_a_closed_gate_ends_it_before_anything_is_signed(publishing: Publishing) -> None:
    publishing.out("8").mkdir()
    (publishing.out("8") / "onnx.zip").write_bytes(b"of a run that passed")
    done = publishing.publish(
        "8", "--fail-if", "onnx.accuracy < float.accuracy + 1",
        convert=("--keep-within", "0.01", "--data", "synthetic://160x120?seed=9",
                 "--data-count", "20"),
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert steps(done.stderr)[-1] == "model compare"
    assert "vedette: mixed precision: " in done.stderr, "what follows -- is for the small one"
    assert publishing.figures("8"), "what was measured is there to be looked at"
    assert not (publishing.out("8") / "onnx.zip").exists(), "nor one of an earlier run"


def test_a_canary_that_goes_back_keeps_it_from_everybody_else(publishing: Publishing) -> None:
    done = publishing.publish("9", "--p95-ms", "0.001")
    assert done.returncode == 1, done.stderr
    assert steps(done.stderr)[-2:] == ["fleet push", "fleet rollback"]
    yard = publishing.yard
    yard.until_ended("9", "rolled_back", CANARY)
    assert all(publishing.first_s("9", name) is None for name in OTHERS)
    status = json.loads(yard.run("fleet", "status", "--json").out)
    (deployed,) = status["deployments"]
    assert [rule["version"] for rule in deployed["rules"]] == ["7"], "nobody shall try it later"
    yard.until(lambda: all(yard.runs("7", name) for name in (CANARY, *OTHERS)))


def test_nobody_else_gets_it_where_no_canary_is_online(
    publishing: Publishing, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The last step alone: what it is handed was packed before."""
    with Listener(publishing.yard.broker.port) as speaker:
        Actor(speaker, "roof").goes()
    script = runpy.run_path(str(SCRIPT))
    monkeypatch.setenv("VEDETTE_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("VEDETTE_FLEET_DIR", str(publishing.yard.fleet))
    needed = ["net.onnx", "--version", "10", "--calibrate", "a", "--data", "b"]
    words = script["parser"]().parse_args([*needed, "--canary", "roof"])
    with pytest.raises(script["Ended"]) as ended:
        script["roll_out"](words, [str(digits(publishing.yard.folder, "10"))])
    said = capfd.readouterr().err
    assert ended.value.code == 1 and "fleet push" in said and "fleet deploy" not in said
    assert "no device of roof is online: nothing is proven" in said


def test_what_is_missing_is_said_before_work_begins(tmp_path: Path) -> None:
    words = ["net.onnx", "--version", "1", "--calibrate", "a", "--data", "b"]
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True,
                          cwd=tmp_path, timeout=60)  # fmt: skip
    assert done.returncode == 2 and "name --canary DEVICE,..., or --no-push" in done.stderr
    assert list(tmp_path.iterdir()) == []
