"""A real Prometheus that scrapes a fleet's server as docs/api.md says, and its checker."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Literal, TypeVar

import httpx
import msgspec
from msgspec import Struct

from tests.brokers import free_port
from tests.laws.sources import ROOT
from tests.story.depot_process import until

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
IS_HERE = PROMETHEUS is not None and PROMTOOL is not None
PATIENCE_S = 60.0
# what 2.42 does not know: there the flag says it
NOT_YET = re.compile(r"^ *scrape_native_histograms:.*\n", re.MULTILINE)
STRANGER = """\
  - job_name: stranger
    scrape_interval: 1s
    static_configs: [{{targets: ["{target}"]}}]
"""


Told = TypeVar("Told")


class Answer(Struct, frozen=True):
    """As it says everything. data: of the kind that was asked for."""

    status: Literal["success"]
    data: msgspec.Raw
    warnings: list[str] = []


class Series(Struct, frozen=True):
    """value: when and what it is, where one moment was asked for."""

    metric: dict[str, str]
    value: tuple[float, str] | None = None


class Found(Struct, frozen=True):
    """What a query gives."""

    result: list[Series]


class Target(Struct, frozen=True, rename="camel"):
    """One that it scrapes. health: up, down, or unknown before the first time."""

    labels: dict[str, str]
    health: str
    last_error: str


class Targets(Struct, frozen=True, rename="camel"):
    active_targets: list[Target]


def documented(target: str, token: Path) -> str:
    """The configuration of docs/api.md for a server that is elsewhere, every second; and a job
    that shows no token."""
    page = (ROOT / "docs" / "api.md").read_text()
    found = re.search(r"```yaml\n(scrape_configs:.*?)```", page, re.DOTALL)
    assert found is not None
    text = NOT_YET.sub("", found[1]).replace("127.0.0.1:8080", target)
    text = text.replace("scrape_interval: 30s", "scrape_interval: 1s")
    text = text.replace("/etc/prometheus/vedette-token", str(token))
    assert text.count(target) == text.count(str(token)) == text.count("interval: 1s") == 1
    return text + STRANGER.format(target=target)


class PrometheusProcess:
    """One with a disk of its own. A `with`."""

    def __init__(self, folder: Path, configuration: str, *options: str) -> None:
        folder.mkdir()
        self.file = folder / "prometheus.yml"
        self.file.write_text(configuration)
        self._log = folder / "log"
        port = free_port()
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [
                    str(PROMETHEUS), f"--config.file={self.file}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}", *options,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/v1", timeout=PATIENCE_S, trust_env=False
        )

    def __enter__(self) -> PrometheusProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def await_ready(self) -> None:
        until("a Prometheus", self._is_ready)

    def target(self, job: str) -> Target | None:
        told = self._asked(Targets, "/targets").active_targets
        return next((each for each in told if each.labels["job"] == job), None)

    def values(self, query: str) -> list[float]:
        """Of each series that there is now."""
        told = self._asked(Found, "/query", query=query)
        return [float(each.value[1]) for each in told.result if each.value is not None]

    def value(self, query: str) -> float:
        """Where it is one."""
        (found,) = self.values(query)
        return found

    def series(self, query: str) -> int:
        """How many there are in a picture of the last minute."""
        now_s = time.time()
        told = self._asked(Found, "/query_range", query=query, start=now_s - 60, end=now_s, step=5)
        return len(told.result)

    def words(self, label: str, metric: str) -> list[str]:
        """The values of a label."""
        return self._asked(list[str], f"/label/{label}/values", **{"match[]": metric})

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.log
        try:
            return self._client.get("/status/runtimeinfo").status_code == 200
        except httpx.TransportError:
            return False

    def _asked(self, kind: type[Told], path: str, **words: str | float) -> Told:
        answer = self._client.get(path, params=words)
        assert answer.status_code == 200, answer.text
        told = msgspec.json.decode(answer.content, type=Answer)
        assert told.warnings == []
        return msgspec.json.decode(told.data, type=kind)


def checked(*words: str, told: str = "") -> str:
    """What promtool finds fault with."""
    done = subprocess.run(
        [str(PROMTOOL), "check", *words], input=told, capture_output=True, text=True, timeout=60
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr + f"exit {done.returncode}"
