"""kill -9 costs no record, and no number is given twice, whenever it comes."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.keeping import Keeping
from agent.spool.change import Record
from wire.config import TelemetryTable

PROJECT = Path(__file__).parents[2]
TABLE = TelemetryTable(spool_mib=4)


def killed_after(folder: Path, seed: int, seconds: float) -> list[list[str]]:
    """Run a child for so long, at random moments of its work. The lines that it said, in words."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.story.spool_child", str(folder), str(seed)],
        cwd=PROJECT, stdout=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"open\n"
        time.sleep(seconds)  # any moment is right
        child.kill()
        said = child.stdout.read().decode()
    return [line.split() for line in said.splitlines(keepends=True) if line.endswith("\n")]


def all_of(keeping: Keeping) -> list[Record]:
    return [r for name in keeping.ids() for r in keeping.after(name, 0, 100_000)]


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(7)
    told: dict[tuple[str, int], bytes] = {}
    floors: dict[str, int] = {}
    names = set()
    for seed in range(25):
        for word, spool, seq, *body in killed_after(tmp_path, seed, chance.uniform(0, 0.15)):
            if word == "+":
                assert (spool, int(seq)) not in told, "a number was given twice"
                told[spool, int(seq)] = bytes.fromhex(body[0])
            else:
                floors[spool] = max(floors.get(spool, 0), int(seq))
        keeping = Keeping(tmp_path, TABLE, SystemClock())
        assert keeping.fault is None
        kept = {(r.spool, r.seq): r.body for r in all_of(keeping)}
        assert len(kept) == keeping.waiting
        assert keeping.lost == 0
        missing = {key for key in told if key not in kept and key[1] > floors.get(key[0], 0)}
        assert not missing
        assert all(kept[key] == told[key] for key in kept.keys() & told.keys())
        # kept, and killed before it could say so: at most the last append of this round
        assert len(kept.keys() - told.keys()) <= 3
        told |= kept
        names |= set(keeping.ids())
        keeping.close()
    assert len(told) > 200
    assert len(names) == 1  # one boot: nothing was forgotten, so nothing needs a new id


@pytest.mark.slow
def test_killed_while_a_damaged_file_is_mended(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    keeping = Keeping(source, TABLE, SystemClock())
    for n in range(600):
        keeping.append([("telemetry", b"%d" % n + bytes(3000))], {"ledger": b"book"})
    keeping.close()
    with open(source / "spool.db", "r+b") as file:
        file.seek(100 * 4096)
        file.write(b"\xff" * 4096 * 3)
    whole = tmp_path / "whole"
    shutil.copytree(source, whole)
    keeping = Keeping(whole, TABLE, SystemClock())
    expected, lost = all_of(keeping), keeping.lost
    keeping.close()
    assert lost > 0 and len(expected) + lost == 600
    chance, interrupted = random.Random(3), 0
    for n in range(10):
        folder = tmp_path / f"{n}"
        shutil.copytree(source, folder)
        kill_while_mending(folder, chance.uniform(0.0, 0.3) if n else 0.0)
        interrupted += (folder / "spool.db.new").exists()
        keeping = Keeping(folder, TABLE, SystemClock())
        assert all_of(keeping) == expected
        assert keeping.lost == lost
        assert not (folder / "spool.db.new").exists()
        keeping.close()
    assert interrupted


def kill_while_mending(folder: Path, seconds: float) -> None:
    """A child that only opens the file, and is killed so long after it began to write anew."""
    code = (
        "import sys; from pathlib import Path; from agent.clock import SystemClock;"
        "from agent.keeping import Keeping; from wire.config import TelemetryTable;"
        "Keeping(Path(sys.argv[1]), TelemetryTable(spool_mib=4), SystemClock())"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=PROJECT) as child:
        while not (folder / "spool.db.new").exists() and child.poll() is None:
            time.sleep(0.001)
        time.sleep(seconds)  # any moment is right
        child.kill()
