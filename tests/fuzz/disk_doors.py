"""Doors of the disk: files of the state folder that rotted, or that somebody wrote."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack
from pathlib import Path

from agent.keeping import Keeping
from models import bundle
from models.pipelines import Trial
from models.store import Store
from tests.fuzz.door import Door, Opened
from tests.model_folder import make_folder
from tests.rig import SetClock
from wire.block.blocks import BLOCK
from wire.block.part import Part
from wire.config import TelemetryTable
from wire.troubles import Refused

SIZE = 5 * BLOCK + 100


def open_store(folder: Path, last: ExitStack) -> Opened:
    """A byte that says which state file it is. Then the life of a pipeline goes on."""
    before, now = folder / "before", folder / "now"
    store = Store(before)
    found = []
    for name in ("a", "b"):
        bundle.pack(make_folder(folder / name, name.encode() * 50), folder / f"{name}.zip")
        found.append(store.install(folder / f"{name}.zip"))
    store.activate("lane", Trial(found[0], 60.0, 5.0))
    store.mark_good("lane", found[0])
    store.reject("lane", "c" * 64, "it is slow")
    store.activate("lane", Trial(found[1], 60.0, 5.0))
    store.count_start("lane")
    names = (
        "pipelines/lane/trial.json", "pipelines/lane/rejected.json", "starts/lane",
        "installed.json",
    )  # fmt: skip

    def attempt(content: bytes) -> None:
        shutil.rmtree(now, ignore_errors=True)
        shutil.copytree(before, now, symlinks=True)
        (now / names[content[0] % len(names) if content else 0]).write_bytes(content[1:])
        store = Store(now)
        state = store.pipeline("lane")
        assert state.good == found[0]
        store.count_start("lane")
        if state.active == found[1]:
            store.rollback("lane", found[1], "it failed")
        assert store.pipeline("lane").active == found[0]
        store.collect(keep=0)
        assert store.installed() == (found[0],)

    seeds = (bytes([n]) + (before / name).read_bytes() for n, name in enumerate(names))
    return Opened(attempt, tuple(seeds))


def open_part(folder: Path, last: ExitStack) -> Opened:
    """Claims of what is there of a file, and what is there: the whole is right in the end."""
    content = bytes(range(256)) * (SIZE // 256) + bytes(SIZE % 256)
    blocks = [content[at : at + BLOCK] for at in range(0, SIZE, BLOCK)]
    digests = b"".join(hashlib.sha256(one).digest() for one in blocks)
    digest = hashlib.sha256(content).hexdigest()
    path = folder / "bundle.zip"
    part_file, have = folder / "bundle.zip.part", folder / "bundle.zip.have"

    def fresh() -> Part:
        return Part(path, SIZE, digest, digests)

    part = fresh()
    for number in (0, 1, 4):
        part.write(number, blocks[number])
    part.settle()
    right, claims = part_file.read_bytes(), have.read_bytes() if have.exists() else b""

    def attempt(spoiled: bytes) -> None:
        is_claim = not spoiled or spoiled[0] % 2 == 0
        part_file.write_bytes(right if is_claim else spoiled[1:])
        have.write_bytes(spoiled[1:] if is_claim else claims)
        part = fresh()
        for number, block in enumerate(blocks):
            part.write(number, block)
        if not part.verify():  # a claim was wrong: it is missing again
            for number, block in enumerate(blocks):
                part.write(number, block)
        assert part.finish().read_bytes() == content
        path.unlink()

    return Opened(attempt, (b"\0" + claims, b"\1" + right[: 2 * BLOCK]))


def open_spool(folder: Path, last: ExitStack) -> Opened:
    """The file of records: begun anew where it cannot be used, and then it keeps records."""
    first, now = folder / "first", folder / "now"
    first.mkdir()
    table = TelemetryTable(spool_mib=1)
    keeping = Keeping(first, table, SetClock())
    for number in range(20):
        keeping.append([("telemetry", b"%d" % number + b"." * 900)], {"ledger": b"book"})
    keeping.close()
    seed = (first / "spool.db").read_bytes()

    def attempt(content: bytes) -> None:
        shutil.rmtree(now, ignore_errors=True)
        now.mkdir()
        (now / "spool.db").write_bytes(content)
        kept = Keeping(now, table, SetClock())
        try:
            kept.append([("telemetry", b"new")], {"ledger": b"book"})
            assert kept.waiting >= 1
            for spool in kept.ids():
                assert kept.newest(spool) >= kept.oldest(spool) - 1
        finally:
            kept.close()
        if content[:16] != seed[:16]:
            raise Refused("no such file")

    return Opened(attempt, (seed,))


DOORS: tuple[Door, ...] = (
    Door("disk.store", "a disk", open_store, limit_s=4.0, examples=30),
    Door("disk.part", "a disk", open_part, most_bytes=200_000, examples=40),
    Door("disk.spool", "a disk", open_spool, most_bytes=200_000, limit_s=4.0, examples=20),
)
