"""Which share of the requests of devices a depot answers, where several do it together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wire import topics
from wire.troubles import Refused

_SHARE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})\Z")


@dataclass(frozen=True)
class Share:
    """number: from 1 to `of`."""

    number: int = 1
    of: int = 1

    @property
    def is_all(self) -> bool:
        return self.of == 1

    def patterns(self, fleet: str) -> tuple[str, ...]:
        """The topics on which devices ask for files of this share."""
        if self.is_all:
            return (topics.from_devices(fleet, "request"),)
        first = (self.number - 1) * topics.SHARDS // self.of
        behind = self.number * topics.SHARDS // self.of
        return tuple(topics.requests(fleet, shard) for shard in range(first, behind))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def share_of(text: str) -> Share:
    """As `2/3`. Raises Refused."""
    found = _SHARE.match(text)
    if found is not None:
        share = Share(int(found[1]), int(found[2]))
        if 1 <= share.number <= share.of <= topics.SHARDS:
            return share
    raise Refused(f"{text!r} is no share: the second of three is 2/3, of {topics.SHARDS} at most")
