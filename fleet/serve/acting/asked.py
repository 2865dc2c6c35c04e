"""What a form of a deployment says, as a version that is wanted. Raises Refused with the field."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from fleet.rollout.deploy import Wanted
from fleet.rollout.flags import Choice
from wire.deployments import Gates
from wire.names import Name, Version
from wire.troubles import Refused

LONGEST = 4000  # characters of a field


class Form(Struct, frozen=True):
    """What was typed, so that it can be shown again. who: all, share or canaries."""

    model: str = ""
    version: str = ""
    pipeline: str = ""
    who: str = "all"
    share: str = "10"
    canaries: str = ""
    groups: tuple[str, ...] = ()
    trial_s: str = ""
    p95_ms: str = ""
    retry: bool = False

    def pairs(self) -> list[tuple[str, str]]:
        """For hidden fields, or an address."""
        single = [(name, str(getattr(self, name))) for name in _SINGLE if getattr(self, name)]
        return [*single, *(("group", g) for g in self.groups), *([("retry", "1")] * self.retry)]


_SINGLE = ("model", "version", "pipeline", "who", "share", "canaries", "trial_s", "p95_ms")


def form_of(pairs: Iterable[tuple[str, object]]) -> Form:
    """Nothing is judged yet. pairs: of a form, or of the query of an address."""
    told, groups = {}, []
    for name, value in pairs:
        text = str(value)[:LONGEST].strip()
        if name == "group":
            groups.append(text[:64])
        elif text:
            told[name] = text
    single = {name: told[name] for name in _SINGLE if name in told}
    return Form(**single, groups=tuple(groups[:64]), retry="retry" in told)


def wanted_of(form: Form) -> Wanted:
    """Raises Refused."""
    model = _checked(form.model, Name, "model")
    version = _checked(form.version, Version, "version")
    pipeline = _checked(form.pipeline, Name, "pipeline") if form.pipeline else None
    canaries = _names(form.canaries) if form.who == "canaries" else ()
    if form.who == "canaries" and not canaries:
        raise Refused("canaries: name one device at least, as door, gate")
    wave = {"all": 1.0, "canaries": 0.0}.get(form.who)
    if wave is None:
        wave = _number(form.share, "share", 100) / 100
    gates = Gates(
        trial_s=_number(form.trial_s, "trial", 604_800) if form.trial_s else None,
        p95_ms=_number(form.p95_ms, "p95", 1e9) if form.p95_ms else None,
    )
    groups = tuple(dict.fromkeys(_checked(each, Name, "group") for each in form.groups))
    return Wanted(pipeline, model, version, Choice(wave, canaries, groups, gates, form.retry))


def _names(text: str) -> tuple[str, ...]:
    found = [each for each in re.split(r"[\s,;]+", text) if each]
    if len(found) > 200:
        raise Refused("canaries: 200 are the most: use a group, or a share")
    return tuple(dict.fromkeys(_checked(each, Name, "canaries") for each in found))


def _checked(text: str, kind: object, field: str) -> str:
    try:
        return str(msgspec.convert(text, kind))
    except msgspec.ValidationError:
        raise Refused(f"{field}: {text[:64]!r} is no name: letters, digits, _ and -") from None


def _number(text: str, field: str, most: float) -> float:
    is_number = re.fullmatch(r"\d{1,9}([.,]\d{1,6})?", text, re.ASCII)
    value = float(text.replace(",", ".")) if is_number else 0.0
    if not 0 < value <= most:
        raise Refused(f"{field}: {text[:32]!r} is no number above 0 and up to {most:g}")
    return value
