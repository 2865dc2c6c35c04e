"""A real Prometheus scrapes a fleet's server: every number that is documented, in both formats, and
every question of the dashboard for Grafana."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.brokers import Mosquitto
from tests.depot_folder import make_yard
from tests.laws.sources import ROOT
from tests.story.depot_process import PROJECT, until
from tests.story.prometheus import IS_HERE, PrometheusProcess, checked, documented
from tests.story.serve_process import ServeProcess, users, wait_for_part

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not IS_HERE, reason="there is no prometheus here: apt-get install it"),
]

DEVICES, PERIOD_S = 40, 3
RECORDS = 4 * DEVICES  # are enough
NATIVE = "--enable-feature=native-histograms"
STAGE = "vedette_stage_duration_seconds"
NATIVE_WIDTH, CLASSIC_WIDTH = 2 ** (1 / 16), 2**0.5  # of a bucket
MOVED = 1.008  # native buckets are ours moved by less, and values in them are looked for on a line
MISSED = 0.05  # share of the records that may have come late: they are in the registry alone
PER_DEVICE = "vedette_device_*"


@dataclass
class Scene:
    """A server, what asks it, and somebody with a token. Devices are there until they end."""

    text: PrometheusProcess
    native: PrometheusProcess
    client: httpx.Client
    crowd: subprocess.Popen[bytes]

    def metrics(self, **more: str) -> str:
        answer = self.client.get("/metrics", params=more)
        assert answer.status_code == 200
        return answer.text

    def both(self) -> tuple[PrometheusProcess, PrometheusProcess]:
        return self.text, self.native


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    place = tmp_path_factory.mktemp("prometheus")
    yard = make_yard(place)
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto())
        served = stack.enter_context(ServeProcess(yard, broker))
        name, _ = served.first_account()
        secret = json.loads(users(served.folder, "token", name, "--json").stdout)["secret"]
        (place / "token").write_text(secret)
        configuration = documented(served.home.removeprefix("http://"), place / "token")
        text, native = (
            stack.enter_context(PrometheusProcess(place / name, configuration, *options))
            for name, options in (("text", ()), ("native", (NATIVE,)))
        )
        for each in (text, native):
            each.await_ready()
        client = served.client()
        client.headers["authorization"] = f"Bearer {secret}"
        wait_for_part(client, "ingest", "working")
        until("somebody counts", lambda: "counted" in wait_for_part(client, "metrics", "working"))
        crowd = stack.enter_context(_crowd(served.folder))
        stack.callback(crowd.kill)
        for each in (text, native):
            _await_numbers(each)
        yield Scene(text, native, client, crowd)


def _await_numbers(each: PrometheusProcess) -> None:
    records = f"vedette_records_total >= {RECORDS}"
    until("enough records", lambda: each.values(records) != [])
    until("a trouble", lambda: each.values("vedette_device_trouble") != [])


def _crowd(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vedette", "fleet", "simulate", "--dir", str(folder)]
    command += ["--devices", str(DEVICES), "--telemetry-s", str(PERIOD_S), "--registry"]
    return subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL)


def test_the_target_is_up_and_who_shows_no_token_is_not_let_in(scene: Scene) -> None:
    for each in scene.both():
        ours, stranger = each.target("vedette"), each.target("stranger")
        assert ours is not None and stranger is not None
        assert (ours.health, ours.last_error) == ("up", "")
        assert each.value('min_over_time(up{job="vedette"}[5m])') == 1
        assert stranger.health == "down"
        assert "401" in stranger.last_error
        assert not [line for line in each.log.splitlines() if re.search("level=(warn|error)", line)]


def test_the_checker_of_prometheus_finds_nothing(scene: Scene) -> None:
    assert checked("metrics", told=scene.metrics()) == ""
    assert checked("metrics", told=scene.metrics(per="fleet")) == ""
    assert checked("config", str(scene.text.file)) == ""


def documented_metrics() -> set[str]:
    """Of the table in docs/api.md."""
    page = (ROOT / "docs" / "api.md").read_text()
    (table,) = re.findall(r"\n\| metric \| \|\n.*?\n\n", page, re.DOTALL)
    rows = [row.split("|")[1:3] for row in table.splitlines() if row.startswith("| `")]
    found: set[str] = set()
    for names, meaning in rows:
        if PER_DEVICE in names:
            per_device = re.sub(r"\(.*?\)", "", meaning)  # labels
            found |= {f"vedette_device_{name}" for name in re.findall(r"`(\w+)`", per_device)}
        else:
            found |= set(re.findall(r"`(\w+)`", names))
    return found


def test_all_that_is_documented_is_there_and_nothing_else(scene: Scene) -> None:
    names = documented_metrics()
    assert len(names) == 21
    for name in names - {STAGE}:
        for each in scene.both():
            assert each.values(name), name
    assert scene.text.values(f"{STAGE}_bucket")
    assert scene.native.value(f"count({STAGE})") > 0
    for each in scene.both():
        there = set(each.words("__name__", '{__name__=~"vedette.*"}'))
        assert {re.sub("_(bucket|sum|count)$", "", name) for name in there} == names


def test_every_question_for_grafana_has_an_answer(scene: Scene) -> None:
    (device, *_) = scene.text.words("device", "vedette_device_trouble")
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    asked = 0
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "20s").replace("$device", device)
            found = [each.series(query) for each in scene.both()]
            if STAGE not in query:
                is_right = all(found)
            else:  # in one of the formats
                is_classic = f"{STAGE}_bucket" in query
                is_right = [bool(count) for count in found] == [is_classic, not is_classic]
            assert is_right, (panel["title"], query, found)
            asked += 1
    assert asked > 25
    (_, variable) = dashboard["templating"]["list"]
    label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert label is not None
    assert len(scene.text.words(label[2], label[1])) == DEVICES


def test_percentiles_are_those_of_the_server(scene: Scene) -> None:
    """The last test: devices end, so that all see the same."""
    scene.crowd.send_signal(signal.SIGINT)
    assert scene.crowd.wait(90) == 0
    _await_quiet(scene)
    latency = scene.client.get("/api/v1/latency").json()
    for stage, ours in latency.items():
        kind = f'stage="{stage}"'
        counts = [
            scene.text.value(f"sum({STAGE}_count{{{kind}}})"),
            scene.native.value(f"histogram_count(sum({STAGE}{{{kind}}}))"),
        ]
        assert counts[0] == counts[1]
        assert (1 - MISSED) * ours["count"] <= counts[0] <= ours["count"]
        near = MOVED if counts[0] == ours["count"] else NATIVE_WIDTH * MOVED
        for percent in (50, 95, 99):
            share, ours_s = percent / 100, ours[f"p{percent}_us"] / 1e6
            buckets = f"sum by (le)({STAGE}_bucket{{{kind}}})"
            classic_s = scene.text.value(f"histogram_quantile({share}, {buckets})")
            native_s = scene.native.value(f"histogram_quantile({share}, sum({STAGE}{{{kind}}}))")
            print(f"{stage} p{percent}: {ours_s:.6f} s, {native_s:.6f} native, {classic_s:.6f}")
            assert _is_within(native_s, ours_s, near), (stage, percent)
            assert _is_within(classic_s, ours_s, CLASSIC_WIDTH * near), (stage, percent)


def _await_quiet(scene: Scene) -> None:
    """Until nothing more is counted, and everybody has seen all of it."""

    def is_quiet() -> bool:
        told = re.search(r"^vedette_records_total (\d+)$", scene.metrics(), re.MULTILINE)
        assert told is not None
        same = "changes(vedette_records_total[5s]) == 0"
        return all(
            each.values(f"vedette_records_total == {told[1]}") and each.values(same)
            for each in scene.both()
        )

    until("nothing more is counted", is_quiet)


def _is_within(value: float, true: float, factor: float) -> bool:
    return true / factor <= value <= true * factor
