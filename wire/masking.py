"""A camera's address as it may be shown: without the password that may be in it.

People write passwords as they are, with `#`, `/`, `?`, `@` and `:` in them, and then the address
means something else. So what might belong to one is hidden, rather than what surely does.
"""

from __future__ import annotations

import re

HIDDEN = "[hidden]"
# nobody signs in there
LOCAL = ("file", "v4l2", "csi", "synthetic", "pipeline", "rows", "rows+synthetic")
BEGIN = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:/+|//)?", re.IGNORECASE)
NUMERIC = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[^]@]*\])(?::\d*)?[/?]")  # no name of a user
UNCLOSED = r"\[[\da-f]*:[\da-f]*:[\da-f:.]*"  # an address of IPv6 without its ]
PLACE = re.compile(
    rf"(?:[^/?#:]*(?:\[[^]]*\])?(?::\d*)?|{UNCLOSED})(?:[/?#]|$)",
    re.IGNORECASE,
)
COLON = re.compile(r":|%3a", re.IGNORECASE)
WORDS = r"(?:pas|pass(?:wor[dt]|wd|phrase)?|pwd|psw|secret|token|auth|(?:api)?key)"
IN_PATH = rf"/(?:[\w.%-]{{0,40}}[_.-])?{WORDS}/"  # and not /passage/
NAME = rf"([?&;/_][\w.%-]{{0,40}}(?:pas|pwd|psw|token|secret|auth|key)[\w.%-]{{0,40}}=|{IN_PATH})"
# with what follows a `&` of its own: another word would have a `=`
SECRET = re.compile(rf"{NAME}[^&;]*(?:[&;][^=&;]*(?=[&;]|$))*", re.IGNORECASE)
OPTION = re.compile(r"[\w-]+=[^@]*|(?:password|ca)_file=/.*", re.DOTALL)
OURS = re.compile(r"(?:timeout|transport|fps|password_file|ca_file)=")


def parted(uri: str) -> tuple[str, str]:
    """A network camera's address and, from `#` on, the options that follow. Where that would be
    a piece of a password, all is address: it has a `#` then."""
    where, mark, options = uri.partition("#")
    words = [word for word in options.split("&") if word]
    in_query = [found.end() for found in SECRET.finditer(where)][-1:] == [len(where)]
    if all(OPTION.fullmatch(one) and (OURS.match(one) or not in_query) for one in words):
        return where, mark + options
    return uri, ""


def masked(uri: str) -> str:
    """The same address with `[hidden]` for a password (and the name before it), and for values of
    query and path that are called like one. A name alone is shown."""
    if uri.partition(":")[0].lower() in LOCAL:
        return uri
    where, options = parted(uri)
    begin = BEGIN.match(where)
    before = begin[0] if begin is not None else ""
    rest = where[len(before) :]
    who, at, _ = rest.rpartition("@")
    numeric = NUMERIC.match(who)
    if at and COLON.search(who, numeric.end() if numeric else 0):
        return before + HIDDEN + _without_values(rest, len(who)) + options
    if before and not at and PLACE.match(rest) is None:  # neither machine nor port
        return f"{before}{rest.partition(':')[0]}:{HIDDEN}"
    return before + _without_values(rest, 0) + options


def _without_values(rest: str, start: int) -> str:
    """What stands from there on. A value that begins before it, or has a `#` in it, has no end
    that could be told."""
    if "#" in rest and (found := SECRET.search(rest)):
        begin = max(start, found.end(1))
        return rest[start:begin] + HIDDEN if begin > start else ""
    for found in SECRET.finditer(rest):
        if found.start() < start < found.end():
            start = found.end()
    return SECRET.sub(rf"\1{HIDDEN}", rest[start:])
