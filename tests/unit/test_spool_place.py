"""A spool that is left in trouble and opened again is compared with what was known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.spool.change import Limits
from agent.spool.place import FILE, Place, Taken
from agent.spool.spool import Spool
from wire.troubles import Refused, Unavailable

LIMITS = Limits(1 << 20, 1e6)


def clock() -> float:
    return 0.0


def make_place(folder: Path) -> Place:
    return Place(folder, LIMITS, clock, "boot")


def test_a_write_that_failed_and_is_there_all_the_same_gives_no_second_record(
    tmp_path: Path,
) -> None:
    place = make_place(tmp_path)
    spool = place.open("identity")
    spool.append([("event", b"one"), ("event", b"two")], {})
    place.leave(spool)
    disk = Spool(tmp_path / FILE, LIMITS, clock, "boot", "identity")
    disk.append([("event", b"three")], {})  # the disk said that this failed
    disk.abandon()
    spool = place.open("identity")
    assert [r.body for r in spool.after(spool.id, 0, 10)] == [b"one", b"two"]
    assert (spool.waiting, spool.lost) == (2, 0)
    assert [r.seq for r in spool.append([("event", b"four")], {})] == [4]
    spool.close()
    place.close()


def test_a_disk_that_spoils_the_new_file_too_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused would say that a file can be mended; nothing here can."""
    (tmp_path / FILE).write_bytes(b"no database" * 1000)

    def spoiled(*_: object) -> None:
        raise Refused("the new file is damaged")

    monkeypatch.setattr(Spool, "take_over", spoiled)
    with pytest.raises(Unavailable, match="the new file is damaged"):
        make_place(tmp_path).open("identity")


def test_the_lock_goes_with_the_place(tmp_path: Path) -> None:
    place, other = make_place(tmp_path), make_place(tmp_path)
    spool = place.open("identity")
    with pytest.raises(Taken):
        other.open("identity")
    place.leave(spool)
    with pytest.raises(Taken):  # it will be back
        other.open("identity")
    place.close()
    other.open("identity").close()
    other.close()


def test_what_was_known_counts_where_the_damaged_file_cannot_say(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    spool = place.open("identity")
    for _ in range(10):
        spool.append([("event", b"one")], {})
    spool.discard(spool.id, 1)
    identity = spool.identity
    place.leave(spool)
    (tmp_path / FILE).write_bytes(b"garbage" * 1000)
    spool = place.open(identity)
    assert (spool.waiting, spool.lost, spool.identity) == (0, 10, identity)
    mended = place.mended()
    assert mended is not None and "0 records were saved, 10 are lost" in mended
    assert place.mended() is None
    spool.close()
    place.close()
