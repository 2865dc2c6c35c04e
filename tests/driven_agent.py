"""A process with a real agent on a real broker, whose clock is driven from outside.

    python -m tests.driven_agent FOLDER RUN_FOLDER PORT ACKNOWLEDGED_BY SPOOL_MIB

reads lines from stdin and answers each with one line: `to MINUTE` lets the device live until that
minute of its boot, with a runtime at 30 fps; `settle` waits, in real time, until no record waits;
`end` leaves in order. The minute it has reached is in FOLDER/minute, so that a killed one goes on.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.rig import Rig, SetClock, config_text, totals
from wire.config import parse
from wire.link import Link, MakeWill, Post
from wire.mqtt.mqtt import MqttLink

FRAMES_PER_MINUTE = 1800
PATIENCE_S = 90.0
SETTLING_SPEED = 10.0  # seconds of the device's clock per real second


class Day:
    """One device's day, minute by minute."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self._rig = rig
        self._reached = folder / "minute"
        self.minute = minute_of(folder)

    def to(self, minute: int) -> None:
        while self.minute < minute:
            self.minute += 1
            self._reached.write_text(str(self.minute))
            frames = self.minute * FRAMES_PER_MINUTE
            self._rig.say(totals(frames, self.minute * 60.0))
            self._rig.forward(60.0)
            self._rig.quiet(0.002)

    def settle(self) -> bool:
        """Whether everything was taken."""
        end_s = before_s = time.monotonic()
        end_s += PATIENCE_S
        while self._rig.keeping.waiting and time.monotonic() < end_s:
            self._rig.agent.step(0.01)
            now_s = time.monotonic()
            self._rig.clock.up_s += (now_s - before_s) * SETTLING_SPEED
            before_s = now_s
        return self._rig.keeping.waiting == 0


def minute_of(folder: Path) -> int:
    try:
        return int((folder / "minute").read_text())
    except (OSError, ValueError):
        return 0


def main(folder: Path, run: Path, port: int, by: str, mib: int) -> None:
    config = parse(config_text(port, by, mib), "vedette.toml")

    def link(client_id: str, post: Post, will: MakeWill) -> Link:
        return MqttLink(config.broker, client_id, post, will)

    clock = SetClock(up_s=1000.0 + minute_of(folder) * 61.0)
    with Rig(folder, link, config, clock, run=run) as rig:
        day = Day(rig, folder)
        print("ready", flush=True)
        for line in sys.stdin:
            verb, *rest = line.split()
            if verb == "end":
                break
            if verb == "settle":
                print("settled" if day.settle() else f"{rig.keeping.waiting} wait", flush=True)
            else:
                day.to(int(rest[0]))
                print(f"at {day.minute}", flush=True)
    print("ended", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
