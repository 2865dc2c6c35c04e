"""What a version must show on trial: the stricter of a deployment and its manifests, in words."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.rollout.rollout import USUAL_TRIAL_S
from fleet.wording import stretch
from models.manifest import Floors, Limits, Manifest
from wire.deployments import Gates

ELSEWHERE = "its manifest may ask for more: it is not on this server"


def terms_of(gates: Gates, manifests: Sequence[Manifest | None]) -> list[tuple[str, str]]:
    """Names and values. manifests: of the variants, None where one is not here."""
    here = [each for each in manifests if each is not None]
    asked = [_asked(gates, each.floors, each.limits) for each in here]
    if not asked:
        asked = [_asked(gates, Floors(), Limits())]
    names = list(dict.fromkeys(name for each in asked for name in each))
    found = [(name, _joined([each.get(name, "no limit") for each in asked])) for name in names]
    return found if len(here) == len(manifests) else [*found, ("Beside that", ELSEWHERE)]


def _asked(gates: Gates, floors: Floors, limits: Limits) -> dict[str, str]:
    """Of one variant, by name."""
    trial_s = max(filter(None, (gates.trial_s, floors.trial_s)), default=USUAL_TRIAL_S)
    told = {"On trial for": f"{stretch(trial_s)} at least"}
    p95_ms = min(filter(None, (gates.p95_ms, limits.p95_ms)), default=None)
    told["p95 of inference"] = "no limit" if p95_ms is None else f"{p95_ms:g} ms at most"
    told["Memory"] = "no limit" if limits.memory_mb is None else f"{limits.memory_mb:g} MB at most"
    if (first_s := _least(gates.first_result_s, floors.first_result_s)) is not None:
        told["First result"] = f"within {stretch(first_s)}"
    if share := max(filter(None, (gates.fps_share, floors.fps_share)), default=None):
        told["Frames per second"] = f"at least {100 * share:g} % of those of the model before"
    if (drop := _least(gates.score_drop, floors.score_drop)) is not None:
        told["Mean score"] = f"at most {drop:g} lower"
    if (errors := _least(gates.error_share, floors.error_share)) is not None:
        told["Scores that are no number"] = f"in {100 * errors:g} % of results at most"
    return told


def _least(*values: float | None) -> float | None:
    return min((each for each in values if each is not None), default=None)


def _joined(words: Sequence[str]) -> str:
    """What variants ask, each once."""
    return ", or ".join(dict.fromkeys(words))
