"""Metadata and wishes with bytes changed at random: refused, and never a crash."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.signer.signer import Signer
from tests.depot_folder import FLEET, Yard, make_yard
from tests.unit.test_signer import listing, take
from wire.troubles import Refused

ROUNDS = 300


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


@pytest.fixture
def signer(yard: Yard) -> Iterator[Signer]:
    signer = Signer(yard.depot)
    take(yard, signer, yard.with_model("6"))
    yield signer
    signer.close()


def spoiled(content: bytes, chance: random.Random) -> bytes:
    """A text with some of it changed, cut out, doubled, or made a number, a list, null."""
    spoilt = bytearray(content)
    for _ in range(chance.choice((1, 1, 3))):
        at = chance.randrange(len(spoilt))
        end = at + chance.choice((1, 1, 4, 40))
        cut = bytes(spoilt[at:end])
        spoilt[at:end] = chance.choice(
            (b"", cut + cut, b"0", b"-1", b"[]", b"{}", b"null", b'"', chance.randbytes(2))
        )
    return bytes(spoilt)


def test_spoiled_metadata(yard: Yard, signer: Signer) -> None:
    targets = yard.with_model("7")
    root = roles.signed(roles_root.next_root(yard.root, {}, time.time()), [yard.root_key])
    before, chance = listing(yard.depot), random.Random(7)
    refused = 0
    for _ in range(ROUNDS):
        try:
            signer.judge([spoiled(root, chance)], spoiled(targets, chance))
        except Refused as refusal:
            refused += 1
            assert "\n" not in str(refusal)
    assert refused > 0.9 * ROUNDS, "spaces and names of keys alone may change"
    assert listing(yard.depot) == before


def test_spoiled_metadata_with_a_good_signature(yard: Yard, signer: Signer) -> None:
    """Who has the release key may still write nonsense."""
    chance, judged = random.Random(8), 0
    targets = yard.with_model("7")
    for _ in range(ROUNDS):
        try:
            signed = roles.signed(spoiled(targets, chance), [yard.release_key])
            judged += 1
            signer.judge([], signed)
        except Refused:
            continue
    assert judged > ROUNDS / 20


def test_spoiled_wishes(yard: Yard, signer: Signer) -> None:
    wish, chance = yard.wish("6", 1), random.Random(9)
    for _ in range(ROUNDS):
        changed = spoiled(wish, chance)
        try:
            signer.deploy(FLEET, "w1", changed)
        except Refused:
            continue
        assert signer.versions.deployments == 2, "only what is beside the signed text was changed"
