"""What knocks at doors notices a door that raises, hangs, eats memory or dies, and says where."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scripts.fuzzing.finds import REASON, door_of
from scripts.fuzzing.jobs import Report
from scripts.fuzzing.watching import Wish, knocked
from tests.fuzz import traps
from tests.fuzz.changing import Stock, changed, drawn
from tests.laws.sources import ROOT

FUZZ = str(ROOT / "scripts" / "fuzz")
INPUTS = 20
SEED = b'{"a":[1,2,{"b":"c"}]}'


def reported(name: str, folder: Path) -> Report:
    wish = Wish("own", INPUTS, 60.0, 1, folder, "tests.fuzz.traps")
    return knocked(traps.BY_NAME[name], wish)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "what"),
    [
        ("raises", "error", "KeyError at traps.py"),
        ("computes", "slow", "TooLong at traps.py"),
        ("eats", "memory", "MemoryError at traps.py"),
    ],
)
def test_a_broken_door(name: str, kind: str, what: str, tmp_path: Path) -> None:
    report = reported(name, tmp_path)
    assert report.inputs == INPUTS
    assert [one.kind for one in report.found] == [kind]
    (found,) = report.found
    assert found.what.startswith(what)
    path = Path(found.file)
    assert traps.RARE in path.read_bytes() and door_of(path) == name
    assert path.with_name(path.name + REASON).exists()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("dies", "death"), ("waits", "hang")])
def test_a_door_that_ends_its_process(name: str, kind: str, tmp_path: Path) -> None:
    wish = Wish("own", 3, 60.0, 1, tmp_path, "tests.fuzz.traps")
    report = knocked(traps.BY_NAME[name], wish)
    assert {one.kind for one in report.found} == {kind}
    assert all(traps.RARE in Path(one.file).read_bytes() for one in report.found)
    for said in tmp_path.glob(f"*{REASON}"):
        (folder,) = [line for line in said.read_text().splitlines() if "vedette-" in line]
        assert not Path(folder).exists()  # though its process was killed


def test_a_sound_door(tmp_path: Path) -> None:
    report = reported("sound", tmp_path)
    assert (report.inputs, report.found) == (INPUTS, ())
    assert report.taken and report.refused and report.taken + report.refused == INPUTS


def test_the_same_numbers_make_the_same_input() -> None:
    for form in ("bytes", "json", "toml", "msgpack"):
        stock = Stock(form, (b"word",), (b"another",))  # type: ignore[arg-type]
        made = [
            [changed(SEED, drawn(random.Random(n)), stock) for n in range(200)] for _ in range(2)
        ]
        assert made[0] == made[1]
        assert len(set(made[0])) > 100


def test_changes_keep_the_form_often_enough() -> None:
    """Else the inner rooms of a door would never be reached."""
    stock = Stock("json")
    whole = 0
    for n in range(500):
        try:
            json.loads(changed(SEED, drawn(random.Random(n)), stock))
            whole += 1
        except (ValueError, RecursionError):
            continue
    assert whole > 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nowhere"], "no such door: nowhere"),
        (["topics", "--inputs", "0"], "no whole number from 1 on"),
        (["topics", "--seconds", "nan"], "no number of seconds"),
        (["topics", "--crashes", FUZZ], "nothing can be written there"),
        (["--replay", "nowhere"], "its name does not begin with that of a door"),
        (["--replay", "topics-error-0123456789ab"], "no such file"),
    ],
)
def test_the_script_refuses_what_cannot_be_meant(words: list[str], why: str) -> None:
    other = subprocess.run([sys.executable, FUZZ, *words], capture_output=True, text=True)
    assert other.returncode == 2 and why in other.stderr and "Traceback" not in other.stderr


@pytest.mark.slow
def test_an_interrupted_search_says_what_it_did(tmp_path: Path) -> None:
    words = ["topics", "bundle", "--seconds", "600", "--crashes", str(tmp_path), "--engine", "own"]
    search = subprocess.Popen([sys.executable, FUZZ, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)  # fmt: skip
    until_it_has_a_child(search)
    search.send_signal(signal.SIGINT)
    told, why = search.communicate(timeout=60)
    assert search.returncode == 130
    assert "ended at topics" in why and "Traceback" not in why
    assert told == "0 inputs at 0 doors: nothing found\n"


def until_it_has_a_child(search: subprocess.Popen[str]) -> None:
    """It is at a door then."""
    end_s = time.monotonic() + 60
    while not psutil.Process(search.pid).children() and time.monotonic() < end_s:
        time.sleep(0.05)
