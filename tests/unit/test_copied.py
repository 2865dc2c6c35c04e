"""A copy of the depot's folder: what is new in it is seen, and looking costs little."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import pytest

from fleet.depot import copy
from fleet.depot.copied import CopiedLibrary
from fleet.depot.copy import CopyDepot
from fleet.depot.share import Share
from wire.block.server import ServeTerms
from wire.memory_link import MemoryBroker
from wire.release import file_key

LONG_AGO_S = 1_000_000_000
CONTENT = b"a model"
NAME = f"{hashlib.sha256(CONTENT).hexdigest()}.any.zip"
PATH = f"targets/models/digits/1/{NAME}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/1.root.json").write_bytes(b"{}")
    return tmp_path


class Looking:
    """A library whose clock goes on at each look. walks: how often it went through the folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.walks = 0
        self.library = CopiedLibrary(folder, lambda: self.now)
        walk = os.walk

        def counted(top: Path) -> object:
            self.walks += 1
            return walk(top)

        monkeypatch.setattr("fleet.depot.copied.os.walk", counted)

    def has(self, path: str) -> bool:
        self.now += 1.1
        try:
            file = self.library.open(file_key(path))
        except OSError:
            return False
        assert file is not None
        file.close()
        return True


def put(folder: Path, path: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(CONTENT)


def age(folder: Path) -> None:
    """Nothing in it was changed lately."""
    for where, _, _ in os.walk(folder):
        os.utime(where, (LONG_AGO_S, LONG_AGO_S))


def test_what_is_new_is_seen_wherever_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(folder)
    looking = Looking(folder, monkeypatch)
    assert not looking.has(PATH)
    put(folder, PATH)
    assert looking.has(PATH)
    age(folder)
    assert looking.has(PATH)
    second = f"targets/models/digits/2/{'5' * 64}.any.zip"
    put(folder, second)
    assert looking.has(second)
    (folder / PATH).unlink()
    assert not looking.has(PATH)


def test_a_folder_that_stays_as_it_is_is_walked_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, PATH)
    age(folder)
    looking = Looking(folder, monkeypatch)
    assert all(looking.has(PATH) for _ in range(5))
    assert looking.walks == 2, "metadata and targets, once"


def test_what_was_changed_a_moment_ago_may_be_changed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one tick of the file system's clock, and nobody could tell."""
    put(folder, PATH)
    looking = Looking(folder, monkeypatch)
    assert looking.has(PATH)
    assert looking.has(PATH)
    assert looking.walks == 4


def test_a_copy_without_targets_says_once_what_it_waits_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(copy, "LACKING_S", 0.0)
    broker = MemoryBroker()
    depot = CopyDepot(
        "yard", folder, lambda name, post: broker.link(name, post), ServeTerms(), Share(), None
    )
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            depot.step(0.0)
        assert caplog.text.count("has no targets/") == 1
        assert "not complete" in depot.status()
        put(folder, PATH)
        depot.step(0.0)
    assert "the folder is complete" in caplog.text
    assert "not complete" not in depot.status()
    depot.close()
