"""What the device says during the demo, by `vedette watch`: results, updates, telemetry."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from scripts.telling.machines import FLEET, PIPELINE, ROOT, Place, vedette


@dataclass
class Heard:
    """All that was said so far. captured: of each result, by version, in seconds."""

    version: str = ""
    digest: str = ""
    captured: list[tuple[float, str]] = field(default_factory=list)
    updates: list[tuple[str, str, str | None]] = field(default_factory=list)
    records: int = 0
    frames_lost: int = 0

    def runs(self, version: str) -> bool:
        return self.version == version

    def phases(self, version: str) -> list[str]:
        """Through which phases a version went."""
        return [phase for which, phase, _ in self.updates if which == version]

    def reason(self, version: str) -> str | None:
        """What was said last of why."""
        reasons = [why for which, _, why in self.updates if which == version and why]
        return reasons[-1] if reasons else None

    def swap_gap_ms(self, before: str, after: str) -> float:
        """The longest time between two captured frames with results, from the last second of one
        version to the first second of the other."""
        first_s = next(moment for moment, version in self.captured if version == after)
        near = [
            moment
            for moment, version in self.captured
            if version in (before, after) and abs(moment - first_s) < 1.0
        ]
        return 1000 * max(
            (later - earlier for earlier, later in itertools.pairwise(near)), default=0.0
        )

    def take(self, line: str) -> None:
        """One line of `vedette watch --json --results`."""
        said = json.loads(line)
        message = said["message"]
        if said["kind"] == "result":
            self.version, self.digest = message["version"], message["digest"]
            self.captured.append((message["captured"], message["version"]))
        elif said["kind"] == "event" and (update := message.get("update")):
            self.updates.append((update["version"], update["phase"], update["reason"]))
        elif said["kind"] == "telemetry" and PIPELINE in message["pipelines"]:
            self.records += 1
            losses = message["pipelines"][PIPELINE]["losses"]
            self.frames_lost += sum(losses.values())


class Listening:
    """`vedette watch` in a process of its own, read as it comes."""

    def __init__(self, place: Place) -> None:
        self._heard = Heard()
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            vedette("watch", "--broker", place.broker, "--fleet", FLEET, "--json", "--results"),
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self) -> Listening:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()

    def wait_for(self, holds: Callable[[Heard], bool], patience_s: float) -> Heard:
        """As soon as it holds. Raises TimeoutError."""
        end_s = time.monotonic() + patience_s
        with self._changed:
            while not holds(self._heard):
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError(
                        f"not heard in {patience_s:g} s; updates: {self._heard.updates}"
                    )
                self._changed.wait(left_s)
            return self._heard

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._changed:
                    self._heard.take(line)
                    self._changed.notify_all()
