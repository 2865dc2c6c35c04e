"""Ed25519: key files, signatures, and which key made one. Nothing else knows the cryptography."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wire.durable import sync_file, sync_folder
from wire.troubles import Refused, Unavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LARGEST = 16 * 1024  # bytes of a key file

# A public key of small order takes signatures that anybody can make, and a placeholder of zeros is
# one. These are all of them, without the highest bit (the sign of x).
_WEAK = frozenset(
    bytes.fromhex(text)
    for text in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)


# how a passphrase is stretched: 16 MiB of memory, five times
_COST, _TURNS = 1 << 14, 5
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_AES256_CBC = bytes.fromhex("060960864801650304012a")


class WrongPassphrase(Refused):
    """The file is a key, and what opens it was not given."""


@dataclass(frozen=True)
class SigningKey:
    """A private key in memory. public: the public key in 64 hex digits."""

    public: str
    _private: Ed25519PrivateKey

    def sign(self, content: bytes) -> bytes:
        """The signature: 64 bytes."""
        return self._private.sign(content)


def make_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Make a key and write it to a new file (PEM, PKCS 8) that only we may read.

    Encrypted where there is a passphrase. Raises Refused if something is at `path` already,
    Unavailable if it cannot be written.
    """
    with _cryptography():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    private = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    if passphrase is None:
        content = private.private_bytes(serialization.Encoding.PEM, form, plain)
    else:
        content = _locked(
            private.private_bytes(serialization.Encoding.DER, form, plain), passphrase
        )
    _write_new(path, content)
    return SigningKey(_hex_of(private), private)


def _locked(key: bytes, passphrase: bytes) -> bytes:
    """A key (PKCS 8, DER) under a passphrase, as PEM that openssl reads too.

    cryptography itself would stretch a passphrase by 2048 rounds of PBKDF2, which a thief of the
    file undoes for most passphrases that people choose; this is scrypt.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    salt, vector = os.urandom(16), os.urandom(16)
    secret = hashlib.scrypt(passphrase, salt=salt, n=_COST, r=8, p=_TURNS, dklen=32)
    pad = 16 - len(key) % 16
    cipher = Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
    hidden = cipher.update(key + bytes([pad]) * pad) + cipher.finalize()
    numbers = map(_der_number, (_COST, 8, _TURNS, 32))
    stretching = _der(0x30, _SCRYPT, _der(0x30, _der(0x04, salt), *numbers))
    algorithm = _der(
        0x30, _PBES2, _der(0x30, stretching, _der(0x30, _AES256_CBC, _der(0x04, vector)))
    )
    content = base64.b64encode(_der(0x30, algorithm, _der(0x04, hidden))).decode()
    lines = [content[at : at + 64] for at in range(0, len(content), 64)]
    name = "ENCRYPTED PRIVATE KEY"
    return "\n".join([f"-----BEGIN {name}-----", *lines, f"-----END {name}-----", ""]).encode()


def _der(tag: int, *parts: bytes) -> bytes:
    """One value of ASN.1, of less than 256 bytes."""
    content = b"".join(parts)
    size = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + size + content


def _der_number(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _write_new(path: Path, content: bytes) -> None:
    """A power cut leaves no half key: it would be in the way of those that are whole."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                sync_file(file)
            _name(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        _keep(path)
    except FileExistsError:
        raise Refused(f"{path} is there already, and a key is never overwritten") from None
    except OSError as error:
        raise Unavailable(f"{path}: cannot be written: {error.strerror}") from None


def _name(file: Path, path: Path) -> None:
    """Call a file by another name, if nothing is called so."""
    try:
        os.link(file, path)
    except PermissionError:  # no hard links on the FAT of a stick
        if os.path.lexists(path):
            raise FileExistsError from None
        os.rename(file, path)


def _keep(path: Path) -> None:
    """A name that was given just now outlives a power cut, or is not given."""
    try:
        sync_folder(path.parent)
    except OSError:
        path.unlink()
        raise


def load_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """The private key in a file, which may be encrypted.

    A passphrase that is not needed does no harm. Raises Unavailable if the file cannot be read,
    WrongPassphrase if it is encrypted and the passphrase is missing or another, Refused if it is
    no key of ours.
    """
    with _cryptography():
        from cryptography.exceptions import InternalError, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    content = _read(path)
    is_encrypted = b"BEGIN ENCRYPTED " in content or b",ENCRYPTED" in content
    if is_encrypted and not passphrase:
        raise WrongPassphrase(f"{path}: it is encrypted: give its passphrase")
    try:
        private = load_pem_private_key(content, passphrase if is_encrypted else None)
    except (TypeError, ValueError, UnsupportedAlgorithm, InternalError):
        if is_encrypted:
            raise WrongPassphrase(f"{path}: this is not its passphrase") from None
        raise Refused(
            f"{path}: no private key in PEM: make one with vedette ask --new-key FILE"
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise Refused(f"{path}: not an Ed25519 key: make one with vedette ask --new-key FILE")
    return SigningKey(_hex_of(private), private)


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise Refused(f"{path}: too large for a key")
    return content


def key_that_signed(content: bytes, signature: bytes, public_keys: Iterable[str]) -> str | None:
    """The first of the public keys (64 hex digits each) that made the signature; None if none did.

    A text that is no key, and one that anybody can sign for, have signed nothing.
    """
    with _cryptography():
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    for key in public_keys:
        with contextlib.suppress(InvalidSignature, ValueError):
            point = bytes.fromhex(key)
            if not is_weak(point):
                Ed25519PublicKey.from_public_bytes(point).verify(signature, content)
                return key
    return None


def is_weak(point: bytes) -> bool:
    """Whether a public key (32 bytes) takes signatures that were made without a private key."""
    return point[:31] + bytes((point[31] & 0x7F,)) in _WEAK if len(point) == 32 else True


def _hex_of(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes_raw().hex()


@contextlib.contextmanager
def _cryptography() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise Unavailable(f"cannot load cryptography: {error}: pip install vedette") from None
