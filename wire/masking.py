"""A camera's address as it may be shown: without the password that may be in it."""

from __future__ import annotations

import re

HIDDEN = "[hidden]"
NAMED = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://)(?P<who>[^/?#]*)@", re.IGNORECASE)
PLACE = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#:]*(\[[^]]*\])?(:[0-9]*)?([/?#]|$)", re.IGNORECASE)
SPLIT = re.compile(r"([a-z][a-z0-9+.-]*://).*@", re.IGNORECASE | re.DOTALL)  # of a bad one
SECRET = re.compile(
    r"([?&;][\w.%-]*(?:pas|pwd|psw|token|secret|auth|key)[\w.%-]*=)[^&;#]*", re.IGNORECASE
)


def masked(uri: str) -> str:
    """The same address with `[hidden]` for a password (and the name before it), and for values of
    the query that are called like one. A name alone is shown."""
    found = NAMED.match(uri)
    if found is not None:
        shown = found["who"] if ":" not in found["who"] else HIDDEN
        uri = f"{found['before']}{shown}@{uri[found.end() :]}"
    elif PLACE.match(uri) is None:  # a password with `/`, `?` or `#` in it, not percent-encoded
        uri = SPLIT.sub(rf"\1{HIDDEN}@", uri)
    where, mark, options = uri.partition("#")
    return SECRET.sub(rf"\1{HIDDEN}", where) + mark + options
