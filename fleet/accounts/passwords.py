"""Passwords: which are taken, how they are stored (argon2id), and secrets made by chance."""

from __future__ import annotations

import functools
import hashlib
import secrets
import threading

from wire.troubles import Refused, Unavailable

SHORTEST, LONGEST = 10, 256  # characters
PASSES, MEMORY_KIB, LANES = 2, 19 * 1024, 1
# what it costs is wanted, but not by everybody at once
_ONE_AT_A_TIME = threading.Lock()


def check(password: str, account: str) -> None:
    """Raises Refused for what nobody should sign in with."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused(f"a password has {SHORTEST} to {LONGEST} characters")
    if account.lower() in password.lower() and len(password) - len(account) < SHORTEST:
        raise Refused("a password is not made of the account's name: choose another")
    if len(set(password)) < 5:
        raise Refused("this password is one character again and again: choose another")


def hashed(password: str) -> str:
    """What is stored: an argon2id hash, salted, with its own terms in it."""
    from argon2 import PasswordHasher

    with _ONE_AT_A_TIME:
        return PasswordHasher(PASSES, MEMORY_KIB, LANES).hash(_bytes(password))


def is_right(stored: str | None, password: str) -> bool:
    """Whether this is the password. stored: None where there is no such account: it takes as long,
    so that the time does not tell which accounts there are."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    against = _nobodys() if stored is None else stored
    with _ONE_AT_A_TIME:
        try:
            PasswordHasher(PASSES, MEMORY_KIB, LANES).verify(against, _bytes(password))
        except VerificationError:
            return False
        except InvalidHashError:
            raise Unavailable("an account's password is damaged: set it anew") from None
    return stored is not None and len(password) <= LONGEST


def made_up() -> str:
    """A password that nobody guesses, easy enough to type: 100 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def secret() -> str:
    """For a session or a token: 256 bits."""
    return secrets.token_urlsafe(32)


def digest(text: str) -> str:
    """How a secret is stored. It is as long as chance made it: it needs no salt."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _bytes(password: str) -> bytes:
    return password[: LONGEST + 1].encode("utf-8", "replace")


@functools.cache
def _nobodys() -> str:
    return hashed(secret())
