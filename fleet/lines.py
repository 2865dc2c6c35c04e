"""What arrives, as one plain line each: for pipes and logs, and for the foot of the table."""

from __future__ import annotations

from fleet.devices import Happened, News
from fleet.wording import (
    clock_time,
    model_words,
    number,
    plural,
    printable,
    share,
    spread,
    stretch,
)
from wire.messages import (
    Event,
    Presence,
    Reply,
    State,
    Telemetry,
    Window,
)
from wire.results import Result, Thing

MOST_PIPELINES = 16
MOST_THINGS = 6
LEAST_SCORE = 0.005  # less is shown as 0 %


def news_line(news: News, now_s: float) -> str:
    """`12:03:04 door-1 telemetry: ...`"""
    who = printable(news.device or news.part, 100)
    return f"{clock_time(now_s)} {who} {news.kind}: {news_words(news)}"


def news_words(news: News) -> str:
    """What a message says, shortly."""
    message = news.message
    if news.garbage is not None:
        return printable(f"cannot be read: {news.garbage}", 300)
    if isinstance(message, Presence):
        return "online" if message.online else "offline"
    if isinstance(message, State):
        return state_words(message)
    if isinstance(message, Telemetry):
        return telemetry_words(message)
    if isinstance(message, Event):
        return event_words(message)
    if isinstance(message, Result):
        return result_words(message)
    if isinstance(message, Reply):
        return printable(f"{'done' if message.ok else 'refused'}: {message.text}", 300)
    return "taken away"


def state_words(state: State) -> str:
    pipelines = [
        f"{name} {pipeline.phase} {model_words(pipeline.model, pipeline.version)}"
        for name, pipeline in list(state.pipelines.items())[:MOST_PIPELINES]
    ]
    parts = [f"agent {state.agent} on {state.board}", *pipelines]
    if len(state.pipelines) > MOST_PIPELINES:
        parts.append(f"{len(state.pipelines) - MOST_PIPELINES} more pipelines")
    parts += state.faults[:MOST_PIPELINES]
    if len(state.faults) > MOST_PIPELINES:
        parts.append(f"{len(state.faults) - MOST_PIPELINES} more faults")
    return printable("; ".join(parts), 1000)


def telemetry_words(record: Telemetry) -> str:
    parts = [
        window_words(name, window)
        for name, window in list(record.pipelines.items())[:MOST_PIPELINES]
    ]
    if len(record.pipelines) > MOST_PIPELINES:
        parts.append(f"{len(record.pipelines) - MOST_PIPELINES} more pipelines")
    if record.lost:
        parts.append(f"{plural(record.lost, 'record')} lost")
    return "; ".join([f"record {record.seq} of {stretch(record.window_s)}", *parts])


def window_words(name: str, window: Window) -> str:
    words = f"{name} {window.phase} {window.model} {window.version}, "
    words += number(window.fps, "per second", 1)
    if window.stages.end_to_end.count:
        words += f", end to end {spread(window.stages.end_to_end)} ms"
        words += f", inference {spread(window.stages.inference)} ms"
    if without := without_result(window):
        words += f", {number(without)} frames without a result"
    if window.throttled:
        words += f", throttled: {', '.join(window.throttled)}"
    return printable(words, 400)


def event_words(event: Event) -> str:
    where = f"{event.pipeline}: " if event.pipeline else ""
    return printable(f"{event.kind}: {where}{event.subject}: {event.text}", 400)


def happened_line(happened: Happened) -> str:
    when = clock_time(happened.at_s)
    return f"{when} {printable(happened.device)} {event_words(happened.event)}"


def result_words(result: Result) -> str:
    things = worth_telling(result)
    found = [thing_words(thing) for thing in things[:MOST_THINGS]]
    if len(things) > MOST_THINGS:
        found.append(f"{len(things) - MOST_THINGS} more")
    return f"{result.pipeline}: {', '.join(found) or 'nothing found'}"


def worth_telling(result: Result) -> tuple[Thing, ...]:
    """What was found, without the classes that a model is sure it does not see: a classifier names
    its best few, whatever their scores."""
    seen = tuple(t for t in result.found if t.score is None or t.score >= LEAST_SCORE)
    return seen or result.found[:1]


def thing_words(thing: Thing) -> str:
    label = printable(thing.label, 40) or f"#{thing.index}"
    if thing.share is not None:
        return f"{label} in {number(100 * thing.share)} % of the picture"
    if thing.length is not None:
        return f"{label} of length {number(thing.length, digits=3)}"
    if thing.score is not None:
        return f"{label} ({number(100 * thing.score)} %)"
    return f"{label} mean {number(thing.mean, digits=3)}" if thing.mean is not None else label


def without_result(window: Window) -> int:
    """Frames that gave none, for whatever reason."""
    losses = window.losses
    return losses.skipped + losses.driver + losses.decode + losses.refused


def without_percent(window: Window) -> float | None:
    without = without_result(window)
    return share(without, without + window.frames)
