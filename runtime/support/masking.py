"""Takes secrets out of a text, in every form in which programs write them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Collection, Iterator
from urllib.parse import quote, quote_plus

from runtime.support.patterns import without

SHORT = 6  # characters: a shorter one is hidden where it stands alone, not within other words
LABELS = ("[hidden]", "[removed]", "[******]", "[-]", "")
ROUNDS = 5
GONE = "left out: a secret could not be taken out of it\n"


class Mask:
    """For the secrets that are known, and whatever looks like one."""

    def __init__(self, secrets: Collection[str], users: Collection[str] = ()) -> None:
        """users: who proves itself with one: the two are sent as one word."""
        forms = {form for secret in secrets for form in _forms(secret, users) if form}
        self._long = sorted((one for one in forms if len(one) >= SHORT), key=len, reverse=True)
        short = sorted((one for one in forms if len(one) < SHORT), key=len, reverse=True)
        self._short = re.compile("|".join(map(_alone, short))) if short else None
        self._label = next(one for one in LABELS if not self.shows(one))

    def clean(self, text: str) -> str:
        """The text without them. What is left over of one may make another with its neighbours,
        so it is looked at again."""
        for _ in range(ROUNDS):
            before = text
            text = without(self._hidden(text), self._label)
            if text == before:
                return text
        return GONE if self.shows(text) and not self.shows(GONE) else text

    def shows(self, text: str) -> bool:
        """Whether one that is known stands in it."""
        return any(one in text for one in self._long) or (
            self._short is not None and self._short.search(text) is not None
        )

    def _hidden(self, text: str) -> str:
        for form in self._long:  # one after the other: far quicker than all as one pattern
            text = text.replace(form, self._label)
        return text if self._short is None else self._short.sub(lambda _: self._label, text)


def _alone(form: str) -> str:
    return rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])"


def _forms(secret: str, users: Collection[str]) -> Iterator[str]:
    yield secret
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (repr(secret)[1:-1], ascii(secret)[1:-1])
    content = secret.encode("utf-8", "surrogateescape")
    yield repr(content)[2:-1]
    if len(secret) >= SHORT:
        yield from (content.hex(), content.hex().upper())
    for whole in (content, *(f"{user}:".encode() + content for user in users)):
        if len(whole) >= SHORT:
            # without its end: what follows may be in the same word
            yield base64.b64encode(whole)[: len(whole) * 4 // 3].decode()
            yield base64.urlsafe_b64encode(whole)[: len(whole) * 4 // 3].decode()
