"""What the device says of itself in its retained state."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from agent.ledger import Ledger
from agent.runtimes import Runtimes
from wire.config import Config, Pipeline
from wire.local import Totals
from wire.masking import masked
from wire.messages import LogLevel, PipelineSettings, PipelineState, State, Trusted, Update

# so that the state of 64 pipelines fits every broker
MOST_FAULTS = 32
MOST_OF_ALL = 5000  # characters of all addresses; as many of all that is absent, of all reasons
MOST_CHARACTERS = 200  # of a fault or an address; events have all of it


def pipeline_states(
    config: Config,
    ledger: Ledger,
    runtimes: Runtimes,
    now_s: float,
    update: Callable[[str], Update | None],
) -> dict[str, PipelineState]:
    """Every configured pipeline: as it really runs, or as it should if it was never heard."""
    silent = runtimes.silent(now_s)
    most = min(MOST_CHARACTERS, MOST_OF_ALL // max(1, len(runtimes.names)))
    return {
        name: replace(
            _never_heard(config.pipeline[name], most)
            if (totals := ledger.latest(name)) is None
            else _pipeline(totals, ledger.restarts(name), name in silent, most),
            update=_shown(update(name), most),
        )
        for name in sorted(runtimes.names)
    }


def state_of(
    config: Config,
    version: str,
    board: str,
    boot: str,
    telemetry_s: float,
    log_level: LogLevel,
    faults: tuple[str, ...],
    refused: str | None,
    pipelines: dict[str, PipelineState],
    trusted: Trusted | None,
) -> State:
    shown = tuple(_short(fault) for fault in faults[:MOST_FAULTS])
    if len(faults) > MOST_FAULTS:
        shown = (*shown, f"and {len(faults) - MOST_FAULTS} more")
    return State(
        agent=version,
        board=board,
        groups=config.groups,
        boot=boot,
        acknowledged_by=config.telemetry.acknowledged_by,
        telemetry_s=telemetry_s,
        log_level=log_level,
        snapshots=config.commands.snapshot,
        faults=shown,
        config=refused,
        pipelines=pipelines,
        trusted=trusted,
    )


def pipeline_fault(
    totals: Totals | None, failure: str | None, is_missing: bool, name: str
) -> str | None:
    """What is wrong with the process of a pipeline, in a sentence. failure: why it ended."""
    if failure is not None:
        return f"its process cannot start: {failure}"
    if not is_missing:
        return None
    been = "never been heard" if totals is None else "not been heard for a while"
    return f"its process has {been}: see systemctl status vedette-runtime@{name}"


def _never_heard(configured: Pipeline, most: int) -> PipelineState:
    return PipelineState(
        phase="silent",
        model=configured.model or "",
        version=None,
        digest=None,
        engine=configured.engine,
        camera=_short(masked(configured.camera), most),
        absent=None,
        restarts=0,
        settings=PipelineSettings(
            configured.results, configured.results_per_s, configured.min_score
        ),
    )


def _pipeline(totals: Totals, restarts: int, silent: bool, most: int) -> PipelineState:
    return PipelineState(
        phase="silent" if silent else totals.phase,
        model=totals.model,
        version=totals.version,
        digest=totals.digest,
        engine=totals.engine,
        camera=_short(totals.camera, most),
        absent=None if totals.absent is None else _short(totals.absent, most),
        restarts=restarts,
        settings=totals.settings,
    )


def _shown(update: Update | None, most: int) -> Update | None:
    if update is None or update.reason is None:
        return update
    return replace(update, reason=_short(update.reason, most))


def _short(text: str, most: int = MOST_CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
