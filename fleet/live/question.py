"""What somebody wants to see of the fleet's table: search, filters, order and page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import asdict, replace

from fleet.concerns import Kind

LONGEST = 200  # characters of one word of it
MOST_PAGES = 1_000_000
KINDS: frozenset[str] = frozenset(get_args(Kind))
ORDERS = ("worst", "name", "model", "board", "fps", "p95", "hot", "heard")
SHOWS = ("all", "needs", "online", "offline")


class Question(Struct, frozen=True):
    """search: words, all of which must be in a line. show: all, those who need somebody, those who
    are online, or not. kind: of a concern. model: `NAME VERSION`, as pipelines run it. reverse: the
    other end of the order first. page: from 1. Empty words ask for nothing."""

    search: str = ""
    show: str = "all"
    kind: str = ""
    model: str = ""
    board: str = ""
    group: str = ""
    order: str = "worst"
    reverse: bool = False
    page: int = 1

    @property
    def is_narrow(self) -> bool:
        """Whether some devices are left out."""
        words = (self.search, self.kind, self.model, self.board, self.group)
        return any(words) or self.show != "all"

    @property
    def query(self) -> str:
        """As it stands in an address: only what is not as usual."""
        usual = asdict(Question())
        told = {n: v for n, v in asdict(self).items() if v != usual[n]}
        return urlencode({n: "1" if v is True else v for n, v in told.items()})

    def without(self, name: str) -> Question:
        """The same without one filter, from its first page."""
        usual: str = asdict(Question())[name]
        return replace(self, page=1, **{name: usual})

    def turned(self, page: int) -> Question:
        return replace(self, page=page)

    def ordered(self, order: str) -> Question:
        """By that column; once more: the other way round."""
        reverse = self.order == order and not self.reverse
        return replace(self, page=1, order=order, reverse=reverse)


def question_of(told: Mapping[str, str]) -> Question:
    """From what stands in an address. What makes no sense there counts as not said."""
    words = {n: told.get(n, "").strip()[:LONGEST] for n in ("search", "model", "board", "group")}
    page = told.get("page", "1")[:LONGEST]
    return Question(
        show=_one_of(SHOWS, told.get("show")),
        kind=kind if (kind := told.get("kind", "")) in KINDS else "",
        order=_one_of(ORDERS, told.get("order")),
        reverse=told.get("reverse") == "1",
        page=min(MOST_PAGES, max(1, int(page))) if page.isascii() and page.isdigit() else 1,
        **words,
    )


def _one_of(possible: tuple[str, ...], told: str | None) -> str:
    """The first is the usual one."""
    return told if told in possible else possible[0]
