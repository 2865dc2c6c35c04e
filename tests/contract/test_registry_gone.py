"""A database file that goes away under a registry that is open: said at once, and nothing is lost
that was acknowledged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleet.accounts.accounts import open_accounts
from fleet.registry.registry import Registry, open_registry
from fleet.registry.words import EventQuery
from tests.fleet_talk import NOW_S, Talker
from wire.troubles import Unavailable

BESIDE = ("", "-wal", "-shm")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet's #1.db"


@pytest.fixture
def registry(file: Path) -> Iterator[Registry]:
    url = f"sqlite:///{file}"
    with closing(open_registry(url)) as opened:
        yield opened


@pytest.fixture
def door() -> Talker:
    return Talker("door")


def texts(registry: Registry) -> list[str]:
    return [row.event.text for row in registry.events(EventQuery()).events]


def moved(file: Path, to: Path) -> None:
    for ending in BESIDE:
        if Path(f"{file}{ending}").exists():
            os.rename(f"{file}{ending}", f"{to}{ending}")


def test_what_is_gone_is_said_and_not_made_anew(
    file: Path, registry: Registry, door: Talker
) -> None:
    registry.write([door.event(NOW_S, "kept")])
    for ending in BESIDE:
        Path(f"{file}{ending}").unlink(missing_ok=True)
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"database .* is gone: nothing is stored"):
            registry.write([door.event(NOW_S + 1, "lost")])
        with pytest.raises(Unavailable, match="is gone"):
            registry.changed(0)
    assert not file.exists()


def test_what_is_put_back_is_used_again(file: Path, registry: Registry, door: Talker) -> None:
    registry.write([door.event(NOW_S, "before")])
    away = file.with_name("away.db")
    for turn in range(2):
        moved(file, away)
        heard = [door.event(NOW_S + 1 + turn, f"meanwhile {turn}")]
        with pytest.raises(Unavailable, match="is gone"):
            registry.write(heard)
        moved(away, file)
        assert registry.write(heard).stored == 1
    assert texts(registry) == ["meanwhile 1", "meanwhile 0", "before"]
    with closing(open_registry(f"sqlite:///{file}")) as again:
        assert len(texts(again)) == 3


def test_what_goes_in_the_middle_of_a_batch_is_not_acknowledged(
    file: Path, registry: Registry, door: Talker
) -> None:
    with (
        pytest.raises(Unavailable, match="is gone"),
        registry.database.writing(),
    ):
        moved(file, file.with_name("away.db"))
    moved(file.with_name("away.db"), file)
    assert registry.write([door.event(NOW_S, "after")]).stored == 1


def test_another_file_in_its_place_is_not_taken_for_it(
    file: Path, registry: Registry, door: Talker
) -> None:
    registry.write([door.event(NOW_S, "kept")])
    with closing(open_registry(f"sqlite:///{file.with_name('other.db')}")) as other:
        other.write([door.event(NOW_S, "of another")])
    os.replace(file.with_name("other.db"), file)
    for _ in range(2):
        with pytest.raises(Unavailable, match="was replaced by another file"):
            registry.write([door.event(NOW_S + 1, "lost")])
        with pytest.raises(Unavailable, match="was replaced"):
            texts(registry)


def test_a_copy_is_used_after_a_new_start(file: Path, registry: Registry, door: Talker) -> None:
    registry.write([door.event(NOW_S, "kept")])
    registry.close()
    shutil.copy(file, file.with_name("copy.db"))
    file.unlink()
    os.replace(file.with_name("copy.db"), file)
    with closing(open_registry(f"sqlite:///{file}")) as again:
        assert texts(again) == ["kept"]


def test_an_operator_is_made_where_there_are_only_viewers(file: Path) -> None:
    with closing(open_accounts(f"sqlite:///{file.with_name('a.db')}")) as accounts:
        accounts.add("operator", "a good long password", "viewer")
        first = accounts.add_first()
        assert first is not None
        assert first[0] == "operator-2"
        assert accounts.sign_in("operator-2", first[1], "127.0.0.1").secret
        assert accounts.add_first() is None
