"""What a secret looks like in text that nobody wrote for us: private keys, passwords in addresses,
and what is assigned to a name that says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
# a host cannot hold what ends an address, so what stands before its @ is all of the user's part
IN_ADDRESS = re.compile(r"(?<=://)([^\s/@\"'<>]{1,500})@")
WORDS = r"pass(?:word|wd|phrase|code)?|passwd|psk|secret|token|api_?key|credential|private_?key"
SCHEME = re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
NAMED = re.compile(
    rf"(?P<name>(?:{WORDS})[\w-]{{0,40}})"  # its begin is not looked for: that takes for ever
    r"(?P<is>[\"']?\s{0,9}[=:]\s{0,9})"
    r"(?P<value>\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s,;&\"'}\])]+)",
    re.IGNORECASE,
)
SECRET_NAME = re.compile(rf"{WORDS}|key$", re.IGNORECASE)  # of a variable
PATH = re.compile(r"[\"']?/")  # a file that holds one: the name says which
HARMLESS = ("true", "false", "none", "null", "yes", "no", "0", "1")


def in_text(text: str) -> Iterator[str]:
    """Every secret that such a text shows, as it stands there and as it is meant."""
    for found in PRIVATE_KEY.finditer(text):
        yield from key_lines(found[0])
    for found in IN_ADDRESS.finditer(text):
        _, _, password = found[1].partition(":")
        yield from filter(None, (password, unquote(password)))
    for found in NAMED.finditer(text):
        value = bare(found["value"])
        if not _is_no_secret(found):
            yield value
            yield unescaped(value)


def without(text: str, label: str) -> str:
    """The text with the label in the place of whatever looks like a secret."""
    text = PRIVATE_KEY.sub(label, text)
    text = SCHEME.sub(rf"\1\2{label}", IN_ADDRESS.sub(f"{label}@", text))
    return NAMED.sub(
        lambda found: found[0] if _is_no_secret(found) else f"{found['name']}{found['is']}{label}",
        text,
    )


def key_lines(pem: str) -> Iterator[str]:
    """What of a key gives it away: each line, and all of them as one."""
    lines = [line.strip() for line in pem.splitlines() if not line.startswith("-----")]
    yield from (line for line in lines if len(line) >= 8)
    if lines:
        yield "".join(lines)


def bare(value: str) -> str:
    """Without the quotes around it."""
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def unescaped(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value)


def _is_no_secret(found: re.Match[str]) -> bool:
    value = found["value"]
    return not bare(value) or bare(value).lower() in HARMLESS or PATH.match(value) is not None
