"""A part: any order, any garbage, any end of the process, a damaged disk, a full one."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wire.block.blocks import BLOCK, MOST_BLOCKS, block_count
from wire.block.part import Part
from wire.troubles import Refused, Unavailable


def blocks_of(content: bytes) -> list[bytes]:
    return [content[at : at + BLOCK] for at in range(0, max(1, len(content)), BLOCK)]


def digests(content: bytes) -> bytes:
    return b"".join(hashlib.sha256(block).digest() for block in blocks_of(content))


def part_of(content: bytes, folder: Path) -> Part:
    whole = hashlib.sha256(content).hexdigest()
    return Part(folder / "m.zip", len(content), whole, digests(content))


def filled(content: bytes, folder: Path) -> Part:
    part = part_of(content, folder)
    for number, block in enumerate(blocks_of(content)):
        assert part.write(number, block)
    return part


CONTENT = random.Random(7).randbytes(20 * BLOCK + 5)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK])
def test_sizes(size: int, tmp_path: Path) -> None:
    content = random.Random(size).randbytes(size)
    part = part_of(content, tmp_path)
    assert list(part.missing()) == [(0, block_count(size))]
    with pytest.raises(Unavailable):
        part.finish()
    order = list(enumerate(blocks_of(content)))
    random.Random(size).shuffle(order)
    for number, block in order:
        assert part.write(number, block)
        assert not part.write(number, block)
    assert list(part.missing()) == []
    assert part.have_bytes == size
    assert part.finish().read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.zip"]


def test_garbage_is_not_taken(tmp_path: Path) -> None:
    part = part_of(CONTENT, tmp_path)
    block = CONTENT[:BLOCK]
    for number, content in [
        (0, b""), (0, block[:-1]), (0, block + b"x"), (0, bytes(BLOCK)), (1, block),
        (-1, block), (21, block), (10**30, block), (20, CONTENT[-5:] + b"x"),
    ]:  # fmt: skip
        assert not part.write(number, content)
    assert part.have_bytes == 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_in_blocks_is_refused(tmp_path: Path) -> None:
    for size, block_digests in [(-1, bytes(32)), (MOST_BLOCKS * BLOCK + 1, b""), (5, bytes(31))]:
        with pytest.raises(Refused):
            Part(tmp_path / "m.zip", size, "0" * 64, block_digests)


def test_goes_on_after_settle_and_after_kill(tmp_path: Path) -> None:
    """A killed process did not settle: what it wrote is found by its digests."""
    first = part_of(CONTENT, tmp_path)
    for number in (0, 1, 7, 20):
        first.write(number, blocks_of(CONTENT)[number])
    first.settle()
    first.write(9, blocks_of(CONTENT)[9])  # and then it is killed
    second = part_of(CONTENT, tmp_path)
    assert list(second.missing()) == [(2, 7), (8, 9), (10, 20)]
    assert second.have_bytes == 4 * BLOCK + 5
    first.settle()


def test_the_bitmap_claims_only_what_was_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every claim is about blocks that were fsynced before it was written."""
    synced: list[str] = []
    real = os.fsync

    def fsync(file: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{file}").rpartition("/")[2])
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    part = part_of(CONTENT, tmp_path)
    part.write(0, CONTENT[:BLOCK])
    assert synced == []
    part.settle()
    assert synced[0] == "m.zip.part"
    assert synced.index(".m.zip.have.new") > synced.index(tmp_path.name) > 0
    part.settle()
    assert synced.count("m.zip.part") == 1


def test_what_comes_fast_waits_for_few_fsyncs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many bytes in a moment: the disk is told to begin, and an fsync comes after a while."""
    now_s, pushed = [1000.0], list[tuple[int, int]]()
    monkeypatch.setattr("wire.block.part.CLAIM_BYTES", 2 * BLOCK)
    monkeypatch.setattr("wire.block.part_disk.PUSH_BYTES", 4 * BLOCK)
    monkeypatch.setattr(os, "posix_fadvise", lambda _, at, size, __: pushed.append((at, size)))
    whole = hashlib.sha256(CONTENT).hexdigest()
    part = Part(tmp_path / "m.zip", len(CONTENT), whole, digests(CONTENT), lambda: now_s[0])
    have = tmp_path / "m.zip.have"
    for number in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12):
        part.write(number, blocks_of(CONTENT)[number])
    assert pushed == [(0, 4 * BLOCK), (4 * BLOCK, 4 * BLOCK), (9 * BLOCK, 4 * BLOCK)]
    assert not have.exists()
    now_s[0] += 0.5
    part.write(13, blocks_of(CONTENT)[13])
    assert have.exists()
    part.settle()


def test_what_comes_slowly_is_safe_after_some_seconds(tmp_path: Path) -> None:
    now_s = [1000.0]
    whole = hashlib.sha256(CONTENT).hexdigest()
    path = tmp_path / "m.zip"
    part = Part(path, len(CONTENT), whole, digests(CONTENT), lambda: now_s[0])
    have = tmp_path / "m.zip.have"
    for number, passes_s in enumerate((0.0, 5.0, 4.9)):
        now_s[0] += passes_s
        part.write(number, blocks_of(CONTENT)[number])
        assert not have.exists()
    now_s[0] += 0.2
    part.write(3, blocks_of(CONTENT)[3])
    claimed = have.read_bytes()
    now_s[0] += 9.0
    part.write(4, blocks_of(CONTENT)[4])
    assert have.read_bytes() == claimed
    now_s[0] += 1.1
    part.write(5, blocks_of(CONTENT)[5])
    assert have.read_bytes() != claimed
    part.settle()


def test_a_power_cut_that_lost_blocks_the_bitmap_does_not_claim(tmp_path: Path) -> None:
    part = part_of(CONTENT, tmp_path)
    for number in range(5):
        part.write(number, blocks_of(CONTENT)[number])
    part.settle()
    for number in range(5, 10):
        part.write(number, blocks_of(CONTENT)[number])
    with open(tmp_path / "m.zip.part", "r+b") as file:  # size kept, content lost; one block half
        file.seek(5 * BLOCK)
        file.write(bytes(5 * BLOCK))
        file.seek(6 * BLOCK)
        file.write(blocks_of(CONTENT)[6][:1000])
    again = part_of(CONTENT, tmp_path)
    assert list(again.missing()) == [(5, 21)]
    part.settle()


def test_a_damaged_block_is_found_and_only_this_is_missing(tmp_path: Path) -> None:
    part = part_of(CONTENT, tmp_path)
    for number in range(20):
        part.write(number, blocks_of(CONTENT)[number])
    part.settle()
    with open(tmp_path / "m.zip.part", "r+b") as file:
        file.seek(3 * BLOCK + 77)
        file.write(b"damaged")
    part = part_of(CONTENT, tmp_path)
    assert part.write(20, blocks_of(CONTENT)[20])
    assert part.is_whole, "what the bitmap claims is trusted, until the end"
    with pytest.raises(Unavailable):
        part.finish()
    assert list(part.missing()) == [(3, 4)]
    assert list(part_of(CONTENT, tmp_path).missing()) == [(3, 4)], "also after a restart"
    part.write(3, blocks_of(CONTENT)[3])
    assert part.finish().read_bytes() == CONTENT


def test_a_part_that_became_shorter(tmp_path: Path) -> None:
    filled(CONTENT, tmp_path).settle()
    os.truncate(tmp_path / "m.zip.part", 4 * BLOCK + 1)
    part = part_of(CONTENT, tmp_path)
    assert list(part.missing()) == [(4, 21)]


@pytest.mark.parametrize("damage", [b"", b"x", bytes(200), b"vedette have 1\n" + bytes(100)])
def test_a_damaged_bitmap_costs_nothing(damage: bytes, tmp_path: Path) -> None:
    filled(CONTENT, tmp_path).settle()
    (tmp_path / "m.zip.have").write_bytes(damage)
    assert part_of(CONTENT, tmp_path).finish().read_bytes() == CONTENT


def test_a_bitmap_without_its_part_or_of_another_file(tmp_path: Path) -> None:
    filled(CONTENT, tmp_path).settle()
    other = bytes(reversed(CONTENT))
    assert part_of(other, tmp_path).have_bytes == 0
    (tmp_path / "m.zip.part").unlink()
    assert part_of(CONTENT, tmp_path).have_bytes == 0
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_blocks_that_is_of_another_file(tmp_path: Path) -> None:
    part = Part(tmp_path / "m.zip", len(CONTENT), "0" * 64, digests(CONTENT))
    for number, block in enumerate(blocks_of(CONTENT)):
        part.write(number, block)
    with pytest.raises(Refused, match="of another file"):
        part.finish()
    part.drop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_full_disk_loses_nothing(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = part_of(CONTENT, tmp_path)
    part.write(0, CONTENT[:BLOCK])
    part.settle()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(Unavailable, match="is full: make room"):
            part.write(1, blocks_of(CONTENT)[1])
            part.settle()
    assert part.have_bytes == BLOCK
    assert list(part.missing()) == [(1, 21)]
    for number, block in enumerate(blocks_of(CONTENT)):
        part.write(number, block)
    assert part.finish().read_bytes() == CONTENT


def test_no_file_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    part = filled(CONTENT, tmp_path)
    part.settle()
    assert len(os.listdir("/proc/self/fd")) == before
    part_of(CONTENT, tmp_path).finish()
    filled(CONTENT, tmp_path).drop()
    assert len(os.listdir("/proc/self/fd")) == before


class PartModel(RuleBasedStateMachine):
    """Against a set of numbers: whatever happens, never a wrong byte, never a block too few."""

    @initialize(count=st.integers(1, 9), tail=st.integers(1, BLOCK), seed=st.integers(0, 99))
    def begin(self, count: int, tail: int, seed: int) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.content = random.Random(seed).randbytes((count - 1) * BLOCK + tail)
        self.blocks = blocks_of(self.content)
        self.part = part_of(self.content, Path(self.folder.name))
        self.have: set[int] = set()
        self.is_damaged = False

    @rule(number=st.integers(-1, 10), garbage=st.sampled_from([None, b"", bytes(BLOCK)]))
    def write(self, number: int, garbage: bytes | None) -> None:
        there = 0 <= number < len(self.blocks)
        content = garbage if garbage is not None else self.blocks[number if there else 0]
        is_new = garbage is None and there and number not in self.have
        assert self.part.write(number, content) == is_new
        if is_new:
            self.have.add(number)

    @rule()
    def settle(self) -> None:
        self.part.settle()

    @rule()
    def die_and_come_back(self) -> None:
        dead, self.part = self.part, part_of(self.content, Path(self.folder.name))
        if self.is_damaged:
            self.have = {n for n in range(len(self.blocks)) if self.part.has(n)}
        file, dead._file = dead._file, None
        if file is not None:
            os.close(file)

    @rule(number=st.integers(0, 8))
    def damage(self, number: int) -> None:
        path = Path(self.folder.name) / "m.zip.part"
        if number in self.have and path.exists():
            self.die_and_come_back()
            with open(path, "r+b") as file:
                file.seek(number * BLOCK)
                byte = file.read(1)[0]
                file.seek(number * BLOCK)
                file.write(bytes([byte ^ 1]))
            self.is_damaged = True

    @rule()
    def finish(self) -> None:
        try:
            assert self.part.finish().read_bytes() == self.content
        except Unavailable:
            assert len(self.have) < len(self.blocks) or self.is_damaged
            self.have = {n for n in range(len(self.blocks)) if self.part.has(n)}
        else:
            self.is_damaged = False
            self.part = part_of(self.content, Path(self.folder.name))
            self.have = set()

    @invariant()
    def says_what_is_there(self) -> None:
        missing = {n for first, behind in self.part.missing() for n in range(first, behind)}
        assert missing == set(range(len(self.blocks))) - self.have
        assert self.part.have_bytes == sum(len(self.blocks[n]) for n in self.have)

    def teardown(self) -> None:
        self.part.drop()
        self.folder.cleanup()


PartModel.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)
TestPartModel = PartModel.TestCase
