"""Passwords of devices at the broker: made by chance, and written as mosquitto keeps them."""

from __future__ import annotations

import base64
import hashlib
import secrets

PATTERN = r"^\$7\$[0-9]{1,6}\$[A-Za-z0-9+/=]{8,64}\$[A-Za-z0-9+/=]{88}\Z"
# as mosquitto_passwd has it; a password of 192 random bits needs no stretching
ROUNDS = 101
SALT_BYTES, PASSWORD_BYTES = 12, 24


def new_password() -> str:
    """32 characters that no shell and no file minds."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hash_of(password: str) -> str:
    """What stands in a password_file after the name: $7$, PBKDF2 with SHA512."""
    salt = secrets.token_bytes(SALT_BYTES)
    found = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(found).decode()}"


def is_of(password: str, hashed: str) -> bool:
    """Whether a hash is of this password."""
    _, _, rounds, salt, found = hashed.split("$")
    again = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), int(rounds))
    return secrets.compare_digest(again, base64.b64decode(found))
