"""A changed configuration is judged by a process that knows cameras and engines, as it was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import judging
from agent.judging import judge_of
from wire import config
from wire.accepted import InForce, accept, in_force
from wire.folders import Folders
from wire.troubles import Refused

GOOD = """device = "door"
[broker]
url = "mqtt://localhost"
[pipeline.a]
camera = "synthetic://64x48@5"
model = "digits"
"""
BAD = GOOD.replace("64x48@5", "bad")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(config=tmp_path / "vedette.toml", state=tmp_path, run=tmp_path)
    folders.config.write_text(GOOD)
    return folders


def judge(folders: Folders, text: str) -> None:
    judge_of(folders)(config.parse(text, "x"), text)


def test_the_text_is_judged_and_not_what_the_file_became_meanwhile(folders: Folders) -> None:
    """An editor saves twice: the first is bad, and the second good, or the other way round."""
    with pytest.raises(Refused) as refused:
        judge(folders, BAD)
    assert f"{folders.config}:5" in str(refused.value) and "stdin" not in str(refused.value)
    folders.config.write_text(BAD)
    judge(folders, GOOD)


def test_a_bad_one_changes_nothing(folders: Folders) -> None:
    accept(folders, GOOD)
    folders.config.write_text(BAD)
    for running in (None, InForce(config.parse(GOOD, "x"), None, GOOD)):
        force = in_force(folders, running, judge_of(folders))
        assert force.text == GOOD and force.refused is not None
        assert "the last accepted one stays in force" in force.refused


ENDS = {
    "killed": "import os; os.kill(os.getpid(), 9)",
    "hangs": "import time; time.sleep(60)",
    "garbage": "print('{'); raise SystemExit(2)",
    "deep": "print('[' * 100_000); raise SystemExit(2)",
    "odd": "import sys; sys.stdout.buffer.write(b'\\xff' * 100); raise SystemExit(2)",
}


@pytest.mark.parametrize("end", ENDS)
def test_who_gives_no_verdict_is_taken_for_content_and_it_is_said(
    end: str,
    folders: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The agent must not stand still because a child did: each runtime sees for itself."""
    (tmp_path / "vedette.py").write_text(ENDS[end])
    monkeypatch.setattr(judging, "ROOT", tmp_path)
    monkeypatch.setattr(judging, "PATIENCE_S", 2.0 if end == "hangs" else 60.0)
    judge(folders, BAD)
    assert "was not found out" in caplog.text
