"""Answers a camera that asks who we are: Basic and Digest (RFC 7617, 7616), in HTTP and RTSP."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable

FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))')
HASHES = {"MD5": "md5", "SHA-256": "sha256"}


class Login:
    """A name and a password, and what the camera asked for last."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self._scheme = ""
        self._asked: dict[str, str] = {}
        self._count = 0

    def learn(self, challenges: Iterable[str]) -> bool:
        """Take the best of the WWW-Authenticate headers. False: none can be answered."""
        known = sorted(filter(None, map(_read, challenges)), key=lambda one: one[0])
        if not known:
            return False
        rank, self._asked = known[0]
        self._scheme = "basic" if rank == len(HASHES) else "digest"
        self._count = 0
        return True

    def answer(self, method: str, uri: str) -> str | None:
        """The Authorization header of a request, or None as long as nothing was asked."""
        if not self._scheme:
            return None
        if self._scheme == "basic":
            pair = f"{self._user}:{self._password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return self._digest(method, uri)

    def _digest(self, method: str, uri: str) -> str:
        asked = self._asked
        name = asked.get("algorithm", "MD5").upper()

        def hashed(*words: str) -> str:
            return hashlib.new(HASHES[name], ":".join(words).encode()).hexdigest()

        realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
        who, what = hashed(self._user, realm, self._password), hashed(method, uri)
        fields = {"username": self._user, "realm": realm, "nonce": nonce, "uri": uri}
        plain = {"algorithm": name} if "algorithm" in asked else {}
        if "auth" in re.split(r"[\s,]+", asked.get("qop", "")):
            self._count += 1
            plain |= {"qop": "auth", "nc": f"{self._count:08x}"}
            fields["cnonce"] = secrets.token_hex(8)
            fields["response"] = hashed(
                who, nonce, plain["nc"], fields["cnonce"], plain["qop"], what
            )
        else:
            fields["response"] = hashed(who, nonce, what)
        if "opaque" in asked:
            fields["opaque"] = asked["opaque"]
        quoted = [f'{key}="{_escaped(value)}"' for key, value in fields.items()]
        return "Digest " + ", ".join(quoted + [f"{key}={value}" for key, value in plain.items()])


def _read(challenge: str) -> tuple[int, dict[str, str]] | None:
    """(rank, fields) of a challenge that can be answered: SHA-256 before MD5 before Basic."""
    scheme, _, rest = challenge.strip().partition(" ")
    if scheme.lower() == "basic":
        return len(HASHES), {}
    if scheme.lower() != "digest":
        return None
    fields = {
        key.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
        for key, quoted, plain in FIELD.findall(rest)
    }
    name = fields.get("algorithm", "MD5").upper()
    if name not in HASHES:
        return None
    return list(reversed(HASHES)).index(name), fields


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
