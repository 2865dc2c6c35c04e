"""What alerts are about, how long a trouble must last, and [[alerts]] and [alerting] of
fleet.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from wire.complaints import FILE_PATTERN
from wire.names import Name
from wire.troubles import Refused

# those of a device are as fleet.concerns has them; below them those of the whole fleet
AlertKind = Literal[
    "offline", "silent", "no_frames", "fault", "rejected", "rolled_back", "slow", "throttled",
    "hot", "disk", "memory", "trust", "lost", "config", "late", "clock", "garbage",
    "expiry", "depot", "ingest",
]  # fmt: skip
Seconds = Annotated[float, Meta(ge=0, le=7 * 86400)]
Hours = Annotated[float, Meta(ge=0.1, le=10_000)]


class Terms(Struct, frozen=True):
    """When a trouble of a kind is told. hold_s: it must last so long before; calm_s: and be
    away so long before it counts as over, so that what comes and goes is told once. again_s:
    what gets worse is told again after so long; None: only with the next reminder. is_usual:
    whether those who named no kinds are told."""

    hold_s: float
    calm_s: float
    again_s: float | None = None
    is_usual: bool = True


TERMS: dict[AlertKind, Terms] = {
    "offline": Terms(300, 60),
    "silent": Terms(300, 60),
    "no_frames": Terms(120, 60),
    "fault": Terms(120, 120),
    "rejected": Terms(0, 60, again_s=0),
    "rolled_back": Terms(0, 60, again_s=0),
    "slow": Terms(300, 300),
    "throttled": Terms(300, 600),
    "hot": Terms(120, 600),
    "disk": Terms(300, 600),
    "memory": Terms(300, 600),
    "trust": Terms(600, 60),
    "lost": Terms(0, 60, again_s=3600),
    "config": Terms(600, 60),
    "late": Terms(3600, 60, is_usual=False),
    "clock": Terms(3600, 600, is_usual=False),
    "garbage": Terms(0, 60, is_usual=False),
    "expiry": Terms(0, 60),
    "depot": Terms(180, 60),
    "ingest": Terms(180, 60),
}
USUAL: frozenset[AlertKind] = frozenset(kind for kind, terms in TERMS.items() if terms.is_usual)


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """[[alerts]]: whom to tell. url: as Apprise writes it, or url_file, which holds it, where
    it has a password in it. kinds: of troubles, without it the usual ones. groups: only of
    devices in these (and of the whole fleet)."""

    url: Annotated[str, Meta(min_length=4, max_length=1000)] | None = None
    url_file: Annotated[str, Meta(pattern=FILE_PATTERN, max_length=1000)] | None = None
    kinds: Annotated[tuple[AlertKind, ...], Meta(max_length=64)] = ()
    groups: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()

    @property
    def wanted(self) -> frozenset[AlertKind]:
        return frozenset(self.kinds) or USUAL


class Alerting(Struct, frozen=True, forbid_unknown_fields=True):
    """[alerting]: repeat_hours: what lasts is said again, in one message. gather_s: what comes
    within so long goes into one message; pace_s: between two messages to the same, at least.
    page: the dashboard's address, for messages. hold_s: how long a trouble lasts before it is
    told, and calm_s: how long it is away before it is over, by kind."""

    repeat_hours: Hours = 24.0
    gather_s: Seconds = 20.0
    pace_s: Seconds = 120.0
    page: Annotated[str, Meta(max_length=300)] | None = None
    hold_s: dict[str, Seconds] = {}
    calm_s: dict[str, Seconds] = {}

    def terms(self, kind: AlertKind) -> Terms:
        """As usual, but for what is said otherwise."""
        usual = TERMS[kind]
        hold_s = self.hold_s.get(kind, usual.hold_s)
        calm_s = self.calm_s.get(kind, usual.calm_s)
        return Terms(hold_s, calm_s, usual.again_s, usual.is_usual)


def check(targets: tuple[Target, ...], alerting: Alerting, where: str) -> None:
    """Raises Refused for a target that names no address, or two, and for what cannot be meant.
    where: the file, for people."""
    for number, target in enumerate(targets, 1):
        if (target.url is None) == (target.url_file is None):
            raise Refused(f"{where}: [[alerts]] number {number}: give it a url, or a url_file")
    for key, by_kind in (("hold_s", alerting.hold_s), ("calm_s", alerting.calm_s)):
        for kind in by_kind:
            if kind not in TERMS:
                raise Refused(
                    f"{where}: [alerting] {key}: there is no kind {kind!r}: possible are "
                    f"{', '.join(sorted(TERMS))}"
                )
    if alerting.page is not None and not alerting.page.startswith(("http://", "https://")):
        raise Refused(f"{where}: [alerting] page: write the dashboard's address, as https://...")
