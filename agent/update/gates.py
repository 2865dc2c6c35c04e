"""What a model on trial must show, and whether it does: arithmetic on what runtimes count."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from agent.sums import Sum
from models.manifest import Floors, Manifest
from wire.deployments import Gates

ENOUGH = 100  # results before a gate that needs no comparison may fail
ENOUGH_SCORES = 30  # results with a score on both sides before scores are compared
EARLY = 0.25  # of the trial: before that nothing is compared with the model of before
SETTLING_S = 10.0  # until caches are warm and what the change left behind is cleared away
# A model whose frames take less of the time than this is not what slows the camera down.
BUSY = 0.7

USUAL_TRIAL_S, USUAL_FIRST_RESULT_S = 300.0, 60.0
USUAL_FPS_SHARE, USUAL_SCORE_DROP, USUAL_ERROR_SHARE = 0.8, 0.3, 0.01


class Bar(Struct, frozen=True):
    """What holds for one trial: nothing is left open. p95_ms, memory_mb: None: any."""

    trial_s: float = USUAL_TRIAL_S
    first_result_s: float = USUAL_FIRST_RESULT_S
    p95_ms: float | None = None
    fps_share: float = USUAL_FPS_SHARE
    score_drop: float = USUAL_SCORE_DROP
    error_share: float = USUAL_ERROR_SHARE
    memory_mb: float | None = None


class Before(Struct, frozen=True):
    """What the model before has shown; None: nothing that could be compared."""

    fps: float | None
    score: float | None


@dataclass(frozen=True)
class Failure:
    """A gate that the model does not pass."""

    reason: str


def bar_of(manifest: Manifest | None, wished: Gates) -> Bar:
    """The stricter of what the manifest and a deployment ask; the usual where neither says."""
    floors = Floors() if manifest is None else manifest.floors
    limit_ms = None if manifest is None else manifest.limits.p95_ms
    usual = Bar()
    return Bar(
        trial_s=_largest(floors.trial_s, wished.trial_s, usual.trial_s),
        first_result_s=_smallest(
            floors.first_result_s, wished.first_result_s, usual.first_result_s
        ),
        p95_ms=min((x for x in (limit_ms, wished.p95_ms) if x is not None), default=None),
        fps_share=_largest(floors.fps_share, wished.fps_share, usual.fps_share),
        score_drop=_smallest(floors.score_drop, wished.score_drop, usual.score_drop),
        error_share=_smallest(floors.error_share, wished.error_share, usual.error_share),
        memory_mb=None if manifest is None else manifest.limits.memory_mb,
    )


def failure_of(bar: Bar, shown: Sum, before: Before | None, elapsed_s: float) -> Failure | None:
    """The gate that a model does not pass, as far as that can be said after `elapsed_s` of its
    trial. Those that compare it with the model of before wait until they say something.

    shown: what was counted while the camera was there.
    """
    over = elapsed_s >= bar.trial_s
    if shown.frames >= ENOUGH or (over and shown.frames):
        failure = _too_wrong(bar, shown)
        if failure is None and elapsed_s >= min(SETTLING_S, bar.trial_s * EARLY):
            failure = _too_slow(bar, shown)
        if failure is not None:
            return failure
    if before is not None and elapsed_s >= bar.trial_s * EARLY:
        return _too_few(bar, shown, before) or _too_unsure(bar, shown, before)
    return None


def before_of(shown: Sum) -> Before:
    """What is kept of the model that another takes the place of."""
    return Before(fps_of(shown), mean_score(shown))


def fps_of(shown: Sum) -> float | None:
    """None while that says nothing."""
    return shown.frames / shown.seconds if shown.seconds >= 1.0 else None


def busy_share(shown: Sum) -> float:
    """The share of the time in which frames were worked on."""
    stages = shown.stages
    spent_us = stages.preprocess.sum_us + stages.inference.sum_us + stages.postprocess.sum_us
    return spent_us / (shown.seconds * 1e6) if shown.seconds > 0 else 0.0


def mean_score(shown: Sum) -> float | None:
    """None while that says nothing."""
    scores = shown.scores
    return scores.sum / scores.frames if scores.frames >= ENOUGH_SCORES else None


def _too_slow(bar: Bar, shown: Sum) -> Failure | None:
    p95_us = shown.stages.inference.percentile(0.95)
    if bar.p95_ms is None or p95_us is None or p95_us <= bar.p95_ms * 1000:
        return None
    return Failure(
        f"too slow: 95 % of the inferences took up to {p95_us / 1000:.1f} ms, "
        f"{bar.p95_ms:g} ms is the limit"
    )


def _too_wrong(bar: Bar, shown: Sum) -> Failure | None:
    broken = shown.scores.broken
    if broken <= shown.frames * bar.error_share:
        return None
    return Failure(
        f"{broken} of {shown.frames} results held a score that is no number from 0 to 1, "
        f"{bar.error_share:.1%} is the limit"
    )


def _too_few(bar: Bar, shown: Sum, before: Before) -> Failure | None:
    now, then = fps_of(shown), before.fps
    if now is None or then is None or now >= then * bar.fps_share or busy_share(shown) < BUSY:
        return None
    return Failure(
        f"too slow: {now:.1f} frames per second, the model before gave {then:.1f} and "
        f"{bar.fps_share:.0%} of that is the least"
    )


def _too_unsure(bar: Bar, shown: Sum, before: Before) -> Failure | None:
    now, then = mean_score(shown), before.score
    if now is None or then is None or then - now <= bar.score_drop:
        return None
    return Failure(
        f"unsure: its mean score is {now:.2f}, that of the model before was {then:.2f} and "
        f"{bar.score_drop:g} less is the limit"
    )


def _largest(floor: float | None, wished: float | None, usual: float) -> float:
    return max((one for one in (floor, wished) if one is not None), default=usual)


def _smallest(floor: float | None, wished: float | None, usual: float) -> float:
    return min((one for one in (floor, wished) if one is not None), default=usual)
