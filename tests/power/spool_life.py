"""A spool's life, to be recorded: records, acknowledgements, restarts, and a file that is damaged.

    python -m tests.power.spool_life FOLDER [mend]

Says `kept SPOOL SEQ` when a record is kept, `asked SPOOL SEQ` before it is acknowledged with all
before it. mend: only opens what is there, which is damaged.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from agent.clock import SystemClock
from agent.keeping import Keeping
from tests.power.recorder import mark
from wire.config import TelemetryTable

TABLE = TelemetryTable(spool_mib=1)
COUNT = 70


def opened(folder: Path) -> Keeping:
    return Keeping(folder, TABLE, SystemClock())


def main(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    keeping = opened(folder)
    for number in range(COUNT):
        bodies = [chance.randbytes(chance.choice((20, 3000))) for _ in range(chance.choice((1, 2)))]
        notes = {"ledger": b"%d" % number}
        for record in keeping.append([("telemetry", body) for body in bodies], notes):
            mark(f"kept {record.spool} {record.seq}")
        mark(f"noted {number}")
        name = keeping.ids()[0]
        if chance.random() < 0.1 and keeping.newest(name):
            seq = chance.randint(keeping.oldest(name), keeping.newest(name) + 1)
            mark(f"asked {name} {seq}")
            keeping.acknowledge(name, seq)
        if number % 30 == 29:
            keeping.close()
            mark("closed")
            keeping = opened(folder)
    keeping.close()


if __name__ == "__main__":
    if sys.argv[2:] == ["mend"]:
        opened(Path(sys.argv[1])).close()
    else:
        main(Path(sys.argv[1]), 1)
