"""Keys and signatures: whose is whose, and what happens with files that are no keys."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from wire import signing
from wire.signing import key_that_signed, load_key, make_key
from wire.troubles import Refused, Unavailable

PRIME = 2**255 - 19
IDENTITY = bytes([1, *[0] * 31])


def test_a_key_outlives_its_process_and_signs_what_its_public_half_accepts(tmp_path: Path) -> None:
    made = make_key(tmp_path / "ops.pem")
    loaded = load_key(tmp_path / "ops.pem")
    assert loaded.public == made.public
    assert len(made.public) == 64 and bytes.fromhex(made.public).hex() == made.public
    assert key_that_signed(b"open", loaded.sign(b"open"), [made.public]) == made.public


def test_the_file_is_ours_alone_and_is_what_openssl_calls_a_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_key(tmp_path / "ops.pem")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "ops.pem").stat().st_mode) == 0o600
    told = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "ops.pem", "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    assert told.stdout[-32:].hex() == made.public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path / "ops.pem")
    before = (tmp_path / "ops.pem").read_bytes()
    with pytest.raises(Refused, match="is there already"):
        make_key(tmp_path / "ops.pem")
    assert (tmp_path / "ops.pem").read_bytes() == before
    (tmp_path / "link.pem").symlink_to("elsewhere.pem")
    with pytest.raises(Refused, match="is there already"):
        make_key(tmp_path / "link.pem")
    assert not (tmp_path / "elsewhere.pem").exists()


def test_the_one_that_signed_is_found_among_others(tmp_path: Path) -> None:
    keys = [make_key(tmp_path / f"{name}.pem") for name in "abc"]
    public = [key.public for key in keys]
    signature = keys[1].sign(b"text")
    assert key_that_signed(b"text", signature, public) == public[1]
    assert key_that_signed(b"texT", signature, public) is None
    assert key_that_signed(b"text", signature[:-1] + bytes([signature[-1] ^ 1]), public) is None
    assert key_that_signed(b"text", signature, [public[0], public[2]]) is None
    assert key_that_signed(b"text", signature, []) is None


@given(st.binary(max_size=80), st.binary(max_size=80), st.text(max_size=70) | st.just("ff" * 32))
def test_nonsense_has_signed_nothing(content: bytes, signature: bytes, key: str) -> None:
    assert key_that_signed(content, signature, [key, "0" * 64]) is None


def test_a_key_for_which_anybody_can_sign_is_no_key() -> None:
    """Each weak key takes a signature that was made without any secret; ours refuses it."""
    fooled = 0
    for point in sorted(signing._WEAK):
        for key in (point, point[:31] + bytes([point[31] | 0x80])):
            if forged := forgery(key):
                fooled += 1
                Ed25519PublicKey.from_public_bytes(key).verify(forged[1], forged[0])
                assert key_that_signed(forged[0], forged[1], [key.hex()]) is None
    assert fooled >= 8, "the attack must be real, or the list is not needed"


def forgery(key: bytes) -> tuple[bytes, bytes] | None:
    """A text and a signature that this public key takes: S = 0, R a point of small order."""
    for number in range(40):
        content = b"%d" % number
        for small in (*signing._WEAK, IDENTITY):
            for point in (small, small[:31] + bytes([small[31] | 0x80])):
                signature = point + bytes(32)
                try:
                    Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
                except Exception:  # noqa: S112 - not this one
                    continue
                return content, signature
    return None


def test_the_list_of_weak_keys_is_whole() -> None:
    """y of the eight points of order 1, 2, 4 and 8, and their spellings of 255 bits beyond p."""
    d = -121665 * pow(121666, -1, PRIME) % PRIME
    # order 8: twice the point has y = 0, so x^2 = -y^2... which gives d y^4 + 2 y^2 - 1 = 0
    root = square_root((1 + d) % PRIME)
    of_order_8 = set()
    for sign in (root, -root):
        square = (sign - 1) * pow(d, -1, PRIME) % PRIME
        y = square_root(square)
        of_order_8 |= {y, -y % PRIME} if y * y % PRIME == square else set()
    expected = {0, 1, PRIME - 1, PRIME, PRIME + 1, *of_order_8}
    assert {int.from_bytes(point, "little") for point in signing._WEAK} == expected
    assert not signing.is_weak(hashlib.sha256(b"").digest())


def square_root(square: int) -> int:
    """One that is right where there is any."""
    root = pow(square, (PRIME + 3) // 8, PRIME)
    return root if root * root % PRIME == square else root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME


def test_files_that_are_no_key_are_refused_with_what_to_do(tmp_path: Path) -> None:
    key = make_key(tmp_path / "ops.pem")
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    locked = key._private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    public = key._private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    whole = (tmp_path / "ops.pem").read_bytes()
    for content, why in (
        (elliptic, "not an Ed25519 key"),
        (locked, "encrypted"),
        (public, "no private key"),
        (b"", "no private key"),
        (whole[:-40], "no private key"),
        (os.urandom(1000), "no private key"),
        (whole + b" " * signing.LARGEST, "too large"),
    ):
        (tmp_path / "bad.pem").write_bytes(content)
        with pytest.raises(Refused, match=why):
            load_key(tmp_path / "bad.pem")


def test_files_that_cannot_be_used_are_unavailable(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(Unavailable, match="cannot be read"):
            load_key(path)
    with pytest.raises(Unavailable, match="cannot be written"):
        make_key(tmp_path / "none" / "ops.pem")


def test_a_disk_that_is_full_leaves_no_half_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        make_key(tmp_path / "ops.pem")
    assert list(tmp_path.iterdir()) == []


def test_a_power_cut_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has its name when it is whole; what was left of an earlier one is no obstacle."""
    path, seen = tmp_path / "ops.pem", list[bool]()

    def cut(file: BinaryIO) -> None:
        seen.append(path.exists())

    monkeypatch.setattr(signing, "sync_file", cut)
    (tmp_path / ".ops.pem.new").write_bytes(b"half")
    made = make_key(path)
    assert seen == [False]
    assert load_key(path).public == made.public
    assert list(tmp_path.iterdir()) == [path] and path.stat().st_mode & 0o777 == 0o600


def test_a_stick_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    made = make_key(tmp_path / "ops.pem")
    with pytest.raises(Refused, match="is there already"):
        make_key(tmp_path / "ops.pem")
    assert load_key(tmp_path / "ops.pem").public == made.public
    assert [path.name for path in tmp_path.iterdir()] == ["ops.pem"]


@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_refused(content: bytes) -> None:
    path = Path(f"/proc/self/fd/{os.memfd_create('key')}")
    descriptor = int(path.name)
    try:
        os.write(descriptor, content)
        with pytest.raises(Refused):
            load_key(path)
    finally:
        os.close(descriptor)
