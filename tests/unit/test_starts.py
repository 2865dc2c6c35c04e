"""How the starts of a trial ended: what is counted, what systemd noted, and what is said of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from models.pipelines import Trial
from models.starts import Came, Starts, end_of, ends_in_words
from models.store import Store
from runtime.last_end import last_end
from tests.deployed import digits
from tests.laws.sources import ROOT

DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("came", "boot", "said", "end"),
    [
        ("begun", "one", "", "it died when it was opened"),
        ("begun", "one", "core-dump SEGV", "it died of SIGSEGV when it was opened"),
        ("opened", "one", "signal ILL", "it died of SIGILL at its first frame"),
        ("opened", "one", "watchdog ABRT", "it hung at its first frame"),
        ("opened", "one", "signal ALRM", "it hung at its first frame"),
        ("begun", "one", "timeout TERM", "it hung when it was opened"),
        ("answered", "one", "exit-code 1", "it ended after its first results with exit code 1"),
        ("answered", "one", "success 0", "it was stopped after its first results"),
        (
            "answered", "one", "oom-kill KILL",
            "it was killed after its first results, most often that is for want of memory",
        ),
        ("opened", "two", "", "the whole device went down at its first frame"),
        ("opened", "", "signal KILL", "the whole device went down at its first frame"),
    ],
)  # fmt: skip
def test_an_end_in_words(came: Came, boot: str, said: str, end: str) -> None:
    assert end_of(Starts(DIGEST, "x", 1, came, "one"), boot, said) == end


def test_a_start_that_was_counted_without_a_boot_says_nothing_of_it() -> None:
    assert end_of(Starts(DIGEST, "x", 1), "two", "") == "it died when it was opened"


def test_the_same_end_is_said_once() -> None:
    assert ends_in_words(("it hung", "it died", "it hung")) == "it hung, then it died"
    assert ends_in_words(()) == ""


def test_each_start_notes_how_the_one_before_it_ended(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    digest = store.install(digits(tmp_path, "2"))
    store.activate("door", Trial(digest, 60, 60))
    assert store.count_start("door", "one", "signal SEGV") == 1
    assert store.pipeline("door").ends == (), "that was the end of another model's"
    store.note_came("door", digest, "opened")
    assert store.count_start("door", "one", "signal SEGV") == 2
    assert store.count_start("door", "two", "") == 3
    ends = (
        "it died of SIGSEGV at its first frame",
        "the whole device went down when it was opened",
    )
    assert store.pipeline("door").ends == ends
    for _ in range(20):
        store.count_start("door", "two", "")
    assert store.pipeline("door").starts == 23 and len(store.pipeline("door").ends) == 4
    store.mark_good("door", digest)
    store.note_came("door", digest, "answered")
    state = store.pipeline("door")
    assert (state.starts, state.ends) == (0, ()), "of a good model nothing is counted"


def test_the_note_of_another_model_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    digest = store.install(digits(tmp_path, "2"))
    store.note_came("door", digest, "opened")
    store.activate("door", Trial(digest, 60, 60))
    store.count_start("door", "one")
    store.note_came("door", DIGEST, "answered")
    store.count_start("door", "one")
    assert store.pipeline("door").ends == ("it died when it was opened",)


def test_what_a_device_has_from_before_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    digest = store.install(digits(tmp_path, "2"))
    store.activate("door", Trial(digest, 60, 60))
    attempt = store.pipeline("door").trial
    assert attempt is not None
    (tmp_path / "models" / "starts").mkdir()
    old = f'{{"digest":"{digest}","attempt":"{attempt.attempt}","count":1}}'
    (tmp_path / "models" / "starts" / "door").write_text(old)
    assert store.count_start("door", "one", "") == 2


def noted(folder: Path, result: str, status: str) -> None:
    """As the unit has systemd do it."""
    unit = (ROOT / "systemd" / "vedette-runtime@.service").read_text()
    (script,) = re.findall(r"(?m)^ExecStopPost=-/bin/sh -c '(.*)'$", unit)
    told = {"SERVICE_RESULT": result, "EXIT_STATUS": status, "RUNTIME_DIRECTORY": str(folder)}
    command = script.replace("%i", "door").replace("$$", "$")
    subprocess.run(["/bin/sh", "-c", command], env=told, check=True)


def test_what_the_unit_notes_is_read_once(tmp_path: Path) -> None:
    assert last_end(tmp_path, "door") == ""
    noted(tmp_path, "signal", "SEGV")
    assert last_end(tmp_path, "lane") == ""
    assert last_end(tmp_path, "door") == "signal SEGV"
    assert last_end(tmp_path, "door") == ""


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"signal", b"signal SEGV; rm", b"x" * 10_000])
def test_a_note_that_cannot_be_one_says_nothing(tmp_path: Path, note: bytes) -> None:
    (tmp_path / "door.ended").write_bytes(note)
    assert last_end(tmp_path, "door") == ""
