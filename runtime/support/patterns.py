"""What a secret looks like in text that nobody wrote for us: private keys, passwords in addresses,
and what is assigned to a name that says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from wire.masking import IN_PATH, LOCAL

PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
# up to the last @: people write passwords with @ and / in them, as they are
# nobody signs in there
NOT_LOCAL = "(?<=://)" + "".join(f"(?<!{re.escape(kind)}://)" for kind in LOCAL)
IN_ADDRESS = re.compile(rf"{NOT_LOCAL}([^\s\"'<>]{{1,200}})@")
# cut off before its @, as by a # in a password: what follows the : is no port
CUT_ADDRESS = re.compile(
    rf"{NOT_LOCAL}[^\s/?#:@\"'<>\[\]]{{1,200}}:(?!\d{{1,5}}(?:[\s/?#\"'<>,;.:)\]}}\\]|$))[^\s\"'<>]+"
)
WORDS = (
    r"pass(?:word|wd|phrase|code)?|passwd|pwd|psk|secret|token|(?:api|access|private|auth)[_-]?key|"
    r"credential|loginpas|cookie"
)
SCHEME = re.compile(
    r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}|\b(digest)(\s+)[a-z]+=[^\n]*", re.IGNORECASE
)
# no secrets, but nobody's business: who somebody is, and the name of a network
WHO = re.compile(
    r"(?P<name>\b(?:user_?name|ssid))(?P<is>\\{0,3}[\"']?[ \t]{0,9}[=:][ \t]{0,9})(?!\[)"
    r"(?P<value>\"[^\"\n]+\"|'[^'\n]+'|[^\s,;&\"'}\])]+)",
    re.IGNORECASE,
)
IN_WAY = re.compile(rf"({NOT_LOCAL}[^\s\"'<>]{{0,200}}?{IN_PATH})([^\s\"'<>]+)", re.IGNORECASE)
# of cameras: words too short to be looked for anywhere else
IN_QUERY = re.compile(r"(?<=[?&;])(pw|pin|auth|key|usr|user|loginuse)=[^&\s\"'<>]+", re.IGNORECASE)
# a line that is one assignment, as in a file of variables: its value may have blanks
LINE = re.compile(
    rf"^(?P<name>[ \t]*[\"']?[\w.-]{{0,60}}?(?:{WORDS})[\w-]{{0,40}}[\"']?)(?P<is>[ \t]*=[ \t]*)"
    r"(?P<value>[^\s\"'\[{][^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
NAMED = re.compile(
    rf"(?P<name>(?:{WORDS})[\w-]{{0,40}})"  # its begin is not looked for: that takes for ever
    r"(?P<is>\\{0,3}[\"']?\s{0,9}[=:]\s{0,9}\\{0,3})"  # in JSON within JSON
    r"(?P<value>\"{3}[\s\S]{0,4000}?\"{3}|'{3}[\s\S]{0,4000}?'{3}|"
    r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s\"'][^\s\"]*)",
    re.IGNORECASE,
)
ARGUMENT = re.compile(
    rf"(?P<name>(?<=--)(?:{WORDS})(?![\w-]*file)[\w-]{{0,40}})(?P<is>[ \t]+)(?P<value>[^\s-]\S*)",
    re.IGNORECASE,
)
SECRET_NAME = re.compile(rf"{WORDS}|key$", re.IGNORECASE)  # of a variable
PATH = re.compile(r"[\"']?/")  # a file that holds one: the name says which
ASSIGNED = (LINE, NAMED, ARGUMENT)
HARMLESS = ("true", "false", "none", "null", "yes", "no", "0", "1")


def in_text(text: str) -> Iterator[str]:
    """Every secret that such a text shows, as it stands there and as it is meant."""
    for found in PRIVATE_KEY.finditer(text):
        yield from key_lines(found[0])
    for found in IN_ADDRESS.finditer(text):
        _, _, password = found[1].partition(":")
        yield from filter(None, (password, unquote(password)))
    for found in IN_WAY.finditer(text):
        yield from (found[2], unquote(found[2]))
    for pattern in ASSIGNED:
        for found in pattern.finditer(text):
            if not _is_no_secret(found):
                value = bare(found["value"])
                yield value
                yield unescaped(value)


def without(text: str, label: str) -> str:
    """The text with the label in the place of whatever looks like a secret."""
    text = PRIVATE_KEY.sub(label, text)
    text = CUT_ADDRESS.sub(label, IN_ADDRESS.sub(f"{label}@", text))
    text = IN_WAY.sub(rf"\1{label}", text)
    text = SCHEME.sub(lambda found: f"{found[1] or found[3]} {label}", text)
    text = IN_QUERY.sub(rf"\1={label}", text)
    for pattern in (*ASSIGNED, WHO):
        text = pattern.sub(
            lambda found: (
                found[0] if _is_no_secret(found) else f"{found['name']}{found['is']}{label}"
            ),
            text,
        )
    return text


def key_lines(pem: str) -> Iterator[str]:
    """What of a key gives it away: each line, and all of them as one."""
    lines = [line.strip() for line in pem.splitlines() if not line.startswith("-----")]
    yield from (line for line in lines if len(line) >= 8)
    if lines:
        yield "".join(lines)


def bare(value: str) -> str:
    """Without the quotes around it."""
    for quotes in ('"' * 3, "'" * 3, '"', "'"):
        if len(value) >= 2 * len(quotes) and value.startswith(quotes) and value.endswith(quotes):
            return value[len(quotes) : -len(quotes)]
    return value


def unescaped(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value)


def _is_no_secret(found: re.Match[str]) -> bool:
    value = found["value"]
    return not bare(value) or bare(value).lower() in HARMLESS or PATH.match(value) is not None
