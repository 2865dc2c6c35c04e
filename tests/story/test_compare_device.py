"""The latency of a model where it is to run: an enrolled device is asked for a bench."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.locating import ZOO
from tests import warm
from tests.brokers import Mosquitto
from tests.device import Device, until
from wire.signing import make_key

pytestmark = pytest.mark.slow
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Site:
    """A broker, and a device `door` whose pipeline runs the zoo's digits; the operator's key."""

    port: int
    key: Path

    def run(self, *words: object) -> Any:
        where = ("--fleet", "yard", "--broker", f"mqtt://127.0.0.1:{self.port}", "--key", self.key)
        return warm.run([*words, *where])

    def is_serving(self) -> bool:
        done = self.run("ask", "door", "status", "--json")
        if done.returncode:
            return False
        lane = json.loads(done.stdout)["content"]["pipelines"].get("lane")
        return lane is not None and lane["phase"] == "serving"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    key = make_key(folder / "ops.pem")
    tables = f'[commands]\nkeys = ["{key.public}"]\n'
    camera = "synthetic://160x120@100"
    with (
        Mosquitto() as broker,
        Device(folder / "door", broker.port, camera=camera, tables=tables) as door,
    ):
        door.start("agent")
        door.start("lane")
        site = Site(broker.port, folder / "ops.pem")
        until(site.is_serving, PATIENCE_S, "door does not serve")
        yield site


def test_a_bench_of_the_device_is_the_figure_of_the_model_that_runs_there(
    site: Site, tmp_path: Path
) -> None:
    page = tmp_path / "r.html"
    done = site.run(
        "model", "compare", "digits", "--data", "synthetic://160x120", "--limit", "5",
        "--seconds", "0.05", "--no-layers", "--device", "door", "--device", "door/lane",
        "--device", "attic/lane", "--timeout", "10", "--report", page, "--json",
        "--fail-if", 'max(tflite.device_p50_ms["door"], 0) > 0',
        "--fail-if", 'tflite.device_inference_p50_ms["door/lane"] > 60000',
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    door, lane, attic = told["devices"]
    assert (door["of"], lane["of"], lane["pipeline"]) == ("tflite", "tflite", "lane")
    assert door["engine"] == "litert" and door["frames"] >= 50 and door["trouble"] is None
    assert 0 < door["inference_us"]["p50"] < door["end_to_end_us"]["p50"]
    assert attic["trouble"] and attic["of"] is None, "nobody answers there"
    assert [gate["fails"] for gate in told["gates"]] == [True, False]
    assert "On devices" in page.read_text() and "attic, pipeline lane" in page.read_text()


def test_a_model_that_does_not_run_there_gets_no_figure(site: Site) -> None:
    done = site.run(
        "model", "compare", ZOO / "digits" / "onnx", "--data", "synthetic://160x120",
        "--limit", "5", "--seconds", "0.05", "--no-layers", "--device", "door",
        "--fail-if", 'onnx.device_p50_ms["door"] > 0',
    )  # fmt: skip
    assert done.returncode == 2
    assert "which is none of these" in done.stdout
    assert 'onnx.device_p50_ms["door"] was not measured' in done.stderr
