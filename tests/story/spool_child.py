"""A process that keeps records until it is killed, and says what it was told is kept."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from agent.clock import SystemClock
from agent.keeping import Keeping
from wire.config import TelemetryTable


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def main(folder: str, seed: str) -> None:
    """`+ SPOOL SEQ`: kept. `- SPOOL SEQ`: about to be acknowledged, with all before it."""
    chance = random.Random(int(seed))
    keeping = Keeping(Path(folder), TelemetryTable(spool_mib=4), SystemClock())
    say("open")
    while True:
        bodies = [chance.randbytes(chance.choice((20, 3000))) for _ in range(chance.choice((1, 3)))]
        records = keeping.append(
            [("telemetry", body) for body in bodies], {"ledger": b"%d" % chance.getrandbits(30)}
        )
        for record in records:
            say(f"+ {record.spool} {record.seq} {record.body.hex()}")
        name = keeping.ids()[0]
        if chance.random() < 0.1 and keeping.newest(name):
            seq = chance.randint(keeping.oldest(name), keeping.newest(name) + 1)
            say(f"- {name} {seq}")
            keeping.acknowledge(name, seq)
        if chance.random() < 0.02:
            keeping.close()
            keeping = Keeping(Path(folder), TelemetryTable(spool_mib=4), SystemClock())


if __name__ == "__main__":
    main(*sys.argv[1:])
