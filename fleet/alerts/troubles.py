"""What is wrong with a fleet, as troubles: of each device from its concerns, and of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.alerts.ledger import Sight, Trouble
from fleet.alerts.terms import TERMS, AlertKind
from fleet.concerns import Concern
from fleet.live.line import Line
from fleet.wording import plural, printable

MARKED = ("rejected", "rolled_back", "lost")  # another text is another trouble
OF_THE_FLEET: frozenset[AlertKind] = frozenset(("expiry", "depot", "ingest"))
OF_DEVICES: frozenset[AlertKind] = frozenset(TERMS) - OF_THE_FLEET
FEWEST = 3  # devices that must be silent together before it is not their fault
LONGEST = 300  # characters of what is wrong


def sight_of(lines: Sequence[Line], whole: Iterable[Trouble]) -> Sight:
    """What can be seen now. whole: what others know of depot, metadata and ingest."""
    of_the_fleet = list(whole)
    silence = silence_of_all(lines)
    if silence is not None and all(trouble.kind != "ingest" for trouble in of_the_fleet):
        of_the_fleet.append(silence)
    is_blind = any(trouble.kind == "ingest" for trouble in of_the_fleet)
    found = [] if is_blind else [trouble for line in lines for trouble in of_device(line)]
    return Sight(
        troubles=[*of_the_fleet, *found],
        subjects={"", *(line.name for line in lines)},
        unseen=OF_DEVICES if is_blind else frozenset(),
    )


def of_device(line: Line) -> Iterator[Trouble]:
    """One trouble for each kind of concern."""
    kinds: dict[AlertKind, list[Concern]] = {}
    for concern in line.concerns:
        if concern.kind != "trial" and concern.kind != "note":
            kinds.setdefault(concern.kind, []).append(concern)
    for kind, concerns in kinds.items():
        words = printable("; ".join(concern.words for concern in concerns), LONGEST)
        yield Trouble(kind, line.name, words, words if kind in MARKED else "", line.groups)


def silence_of_all(lines: Iterable[Line]) -> Trouble | None:
    """No device that should be there is heard: it is the broker, the network, or who writes down
    what they say."""
    silent = 0
    for line in lines:
        if line.is_online and line.reached_s is not None:
            if "silent" not in line.kinds:
                return None
            silent += 1
    if silent < FEWEST:
        return None
    words = f"nothing is heard of any of {plural(silent, 'device')} that should be there: look at "
    return Trouble("ingest", "", words + "the broker, the network and vedette fleet ingest")
