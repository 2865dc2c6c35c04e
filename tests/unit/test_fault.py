"""The fault hook: off unless asked, says so, strikes once where and how it was told."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laws.sources import ROOT
from wire import steps
from wire.fault import FAULT, ONCE, arm
from wire.steps import reached
from wire.troubles import Refused

STATE = "install.renamed"


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm({})


def test_nothing_happens_unless_asked() -> None:
    arm({})
    assert steps._strike is None
    reached(STATE)


def test_it_says_so_when_it_is_armed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("vedette"), "propagate", True)
    with caplog.at_level(logging.WARNING, "vedette"):
        arm({FAULT: f"{STATE}:error"})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "on purpose" in caplog.text


@pytest.mark.parametrize(("kind", "number"), [("enospc", errno.ENOSPC), ("eio", errno.EIO)])
def test_a_disk_that_fails(kind: str, number: int) -> None:
    arm({FAULT: f"{STATE}:{kind}"})
    with pytest.raises(OSError) as told:
        reached(STATE)
    assert told.value.errno == number
    reached(STATE)


def test_the_nth_time_of_one_model() -> None:
    arm({FAULT: f"{STATE}:error:2:ab"})
    for digest in ("abc", "xyz", "xyz", ""):
        reached(STATE, digest)
    reached("install.noted", "abc")
    with pytest.raises(RuntimeError, match=STATE):
        reached(STATE, "abd")
    reached(STATE, "abd")


def test_once_for_all_processes(tmp_path: Path) -> None:
    environment = {FAULT: f"{STATE}:error", ONCE: str(tmp_path / "struck")}
    arm(environment)
    with pytest.raises(RuntimeError):
        reached(STATE)
    arm(environment)  # as the process that is started next does
    reached(STATE)


@pytest.mark.parametrize(
    "wish",
    ["nowhere:kill", STATE, f"{STATE}:tickle", f"{STATE}:kill:0", f"{STATE}:kill:x", ":", "a:b:c",
     f"{STATE}:kill:1:ab:cd", f"{STATE}:kill:1:zz"],
)  # fmt: skip
def test_what_cannot_be_is_refused(wish: str) -> None:
    with pytest.raises(Refused, match=FAULT):
        arm({FAULT: wish})


def test_a_note_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Else another fault than the one that was asked for would come, at the state."""
    with pytest.raises(Refused, match=f"{ONCE}=.*there is no folder"):
        arm({FAULT: f"{STATE}:kill", ONCE: str(tmp_path / "none" / "struck")})


def in_child(code: str, wish: str) -> subprocess.Popen[bytes]:
    lines = f"from wire.fault import arm\nfrom wire.steps import reached\narm()\n{code}\n"
    return subprocess.Popen(
        [sys.executable, "-c", lines], cwd=ROOT, env=os.environ | {FAULT: wish},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_kill_is_one() -> None:
    with in_child(f"reached({STATE!r})", f"{STATE}:kill") as child:
        assert child.wait(60) == -signal.SIGKILL


def test_a_hang_is_one() -> None:
    code = f"print('here', flush=True)\nreached({STATE!r})\nprint('there', flush=True)"
    with in_child(code, f"{STATE}:hang") as child:
        assert child.stdout is not None and child.stdout.readline() == b"here\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.3)
        child.kill()
        assert child.stdout.read() == b""


def test_a_command_that_cannot_have_its_fault_ends(tmp_path: Path) -> None:
    for command in (["agent"], ["runtime", "lane"]):
        done = subprocess.run(
            [sys.executable, "-m", "vedette", *command, "--state", str(tmp_path)], cwd=ROOT,
            env=os.environ | {FAULT: "nowhere:kill"}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1 and FAULT in done.stderr


def test_no_unit_sets_it() -> None:
    for path in (ROOT / "systemd").rglob("*"):
        assert path.is_dir() or FAULT not in path.read_text()
