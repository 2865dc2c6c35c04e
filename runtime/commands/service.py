"""`vedette runtime NAME`: one pipeline of vedette.toml as a service that reports to the agent."""

from __future__ import annotations

import argparse
import logging
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec

from models.store import Store
from runtime import choosing, stopping
from runtime.agent_line import LONGEST_TEXT, AgentLine
from runtime.cameras import Camera
from runtime.choosing import Choice
from runtime.commands.flags import duration_s, port, positive
from runtime.engines import EngineOptions
from runtime.frames import Frame
from runtime.last_end import last_end
from runtime.loader import Loader
from runtime.locating import resolve
from runtime.loop import Loop, Model, Result
from runtime.model_wishes import ModelWishes
from runtime.panel import Panel, printable
from runtime.reloading import Reloading, pipeline_of, settings_of
from runtime.reporting import Pipeline, Reporter
from runtime.serving import Service
from runtime.sharing.configured import offering, service_camera
from runtime.sources import Sources
from runtime.takeover import Takeover
from wire import config, fault
from wire.command_line import Parser
from wire.folders import Folders, add_folder_options, folders_of
from wire.local import Failed
from wire.logs import log_to_stderr, set_level
from wire.masking import masked
from wire.observation import observation_of
from wire.systemd import Notifier
from wire.troubles import Trouble

PATIENCE_S = 0.5  # how long one step waits for a frame before the stop flag is looked at
PATIENT = 2  # times that of the watchdog, until a process that opened its model has a first frame
OPENING_S = 300.0  # an unknown model is tried in a child process before it is opened

IN_STORE = re.compile(r"/\S*/digests/([0-9a-f]{12})[0-9a-f]{52}(/[^\s:]+)?")

log = logging.getLogger("vedette.runtime")


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    stopping.leave_on_sigterm(exit_code=0)
    again = heard(signal.SIGHUP)  # one that comes before there is a loop must not end it
    log_to_stderr("info")
    fault.arm()
    folders = folders_of(words)
    device, wanted = pipeline_of(folders, words.name)
    set_level(device.log_level)
    with ExitStack() as stack:
        notifier = stack.enter_context(Notifier())
        line = stack.enter_context(closing(AgentLine(folders.run, words.name, note)))
        sources = sources_of(folders, words.name, wanted, notifier)
        with told(line, words.name):
            camera = stack.enter_context(service_camera(device, words.name, folders.run))
            choice = chosen(sources, device, notifier)
        camera.aim = choice.model.aim
        reporter = Reporter(
            Pipeline(words.name, wanted.camera), camera, lambda: loop.model,
            settings_of(wanted), line, choice.model,
        )  # fmt: skip
        emit, glance = watched(reporter, camera, wanted, lambda: loop.model, words, stack)
        loop = Loop(camera, choice.model, emit, glance)
        loader = Loader(loop, wanted.engine, options_of(wanted), note)
        stack.callback(loader.close)
        takeover = Takeover(loop, sources, choice.source, note, choice.unloaded)
        wishes = reporter.wishes = ModelWishes(line, loader, takeover)

        def expect() -> None:
            wishes.learn_formats(wanted.engine)

        if device.updates.root is not None:
            expect()
        stack.callback(camera.stop)
        service = Service(
            loop, camera, reporter, notifier, lambda: title(loop.model, wanted.camera)
        )
        stack.callback(reporter.close)  # the last totals must not wait for a slow camera
        stack.callback(service.end)

        def load(path: Path | None) -> None:
            loader.do(lambda: takeover.reconfigure(path))

        reloading = Reloading(folders, words.name, device, reporter, load, expect)
        log.info("%s", title(choice.model, wanted.camera))
        with told(line, words.name), first_frame_within(notifier.watchdog_s) as came:
            serve(service, reporter, words, reloading, again, came)
    if words.json:
        print(msgspec.json.encode(reporter.totals()).decode())
    return 0


def serve(
    service: Service,
    reporter: Reporter,
    words: argparse.Namespace,
    reloading: Reloading,
    again: Callable[[], bool],
    came: Callable[[], None],
) -> None:
    """Step until the wished number of results, the wished time, the end, or a signal. came: called
    when the service is ready."""
    stop = stopping.stop_on_signals()
    service.start()  # last of all, or it would see its first frames overtaken
    end_s = time.monotonic() + (words.seconds or float("inf"))
    while not stop.is_set() and service.step(PATIENCE_S):
        if reporter.frames >= (words.frames or float("inf")) or time.monotonic() >= end_s:
            break
        if came is not nothing and service.is_ready:
            came()
            came = nothing
        if again():
            reloading.read_again()


@contextmanager
def first_frame_within(watchdog_s: float | None) -> Iterator[Callable[[], None]]:
    """A process that was opened and hangs before it is ready is ended by SIGALRM. Gives what to
    call when it is ready; from then on systemd's watchdog sees to it.

    systemd gave it minutes for opening, and takes none of them back. What hangs may hold Python's
    lock, so no code of ours may be needed. watchdog_s: None: nobody would start it again.
    """

    def disarm() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)

    if watchdog_s is not None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, PATIENT * watchdog_s)
    try:
        yield disarm
    finally:
        disarm()


def nothing() -> None:
    """There is nothing to do any more."""


def sources_of(folders: Folders, name: str, wanted: config.Pipeline, notifier: Notifier) -> Sources:
    """Where its models come from."""

    def said(line: str) -> None:
        notifier.extend_timeout(OPENING_S)  # something long gets on, or is done
        note(line)

    own = None if wanted.model is None else resolve(wanted.model)
    store = Store(folders.state / "models")
    ended = last_end(folders.run, name)
    return Sources(store, name, own, wanted.engine, options_of(wanted), said, ended)


def options_of(wanted: config.Pipeline) -> EngineOptions:
    return EngineOptions(threads=wanted.threads, accelerators=wanted.accelerators)


def chosen(sources: Sources, device: config.Config, notifier: Notifier) -> Choice:
    """The model to start with. Raises Refused, Unavailable where it is the configured one, and no
    fleet could send another."""

    def opening() -> None:
        notifier.extend_timeout(OPENING_S)

    opening()
    if device.updates.root is None:
        return choosing.configured(sources)
    choice = choosing.deployed(sources, opening)
    if choice.unloaded is not None:
        log.warning("%s", choice.unloaded)
    return choice


@contextmanager
def told(line: AgentLine, name: str) -> Iterator[None]:
    """What ends a process is known to the agent too, not only to the journal."""
    try:
        yield
    except Exception as trouble:
        why = str(trouble) if isinstance(trouble, Trouble) else f"a bug: {trouble!r}"
        why = IN_STORE.sub(r"model \1", why)  # where the store has it says nothing to a person
        line.send(Failed(name, printable(why, LONGEST_TEXT)))
        raise


def watched(
    reporter: Reporter,
    camera: Camera,
    wanted: config.Pipeline,
    model: Callable[[], Model],
    words: argparse.Namespace,
    stack: ExitStack,
) -> tuple[Callable[[Result], None], Callable[[Frame], None]]:
    """The loop's two hooks: the reporter's, and the preview's where one was asked for. A preview
    that cannot be is no reason not to serve."""
    reporter.observe(observation_of(wanted))
    reporter.show = offer = offering(camera, model)
    if not words.preview:
        return reporter.emit, reporter.glance
    from runtime.preview import Preview  # costs what only a viewer needs
    from runtime.tally import Tally

    tally = Tally(camera, wanted.camera)

    def look() -> Panel:
        return tally.panel(model())

    try:
        preview = stack.enter_context(Preview(words.preview, words.name, look))
    except Trouble as trouble:
        log.warning("no preview: %s", trouble)
        return reporter.emit, reporter.glance
    log.info("preview: %s", preview.address)

    def show(seen: Result) -> None:
        offer(seen)
        preview.show(seen)

    def emit(result: Result) -> None:
        reporter.emit(result)
        tally.add(result, model())

    def glance(frame: Frame) -> None:
        reporter.glance(frame)
        preview.glance(frame)

    reporter.show = show
    return emit, glance


def heard(number: signal.Signals) -> Callable[[], bool]:
    """Whether this signal came since the last time that was asked."""
    came: list[int] = []
    signal.signal(number, lambda got, _: came.append(got))

    def since() -> bool:
        if not came:
            return False
        came.clear()
        return True

    return since


def title(model: Model, camera_uri: str) -> str:
    """What runs here, for people."""
    if not model.digest:
        return f"no model on {printable(masked(camera_uri), 200)}"
    name = f"{model.manifest.name} {model.manifest.version}"
    return f"{name} on {printable(masked(camera_uri), 200)}"


def note(line: str) -> None:
    """Something that the journal should hold."""
    log.info("%s", line)


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette runtime",
        description="Run one pipeline of vedette.toml as a service: a camera, a model, and reports "
        "to the agent. With [updates] it runs what the fleet deployed, and waits where that is "
        "nothing. It waits for a camera that is missing, and tells systemd (Type=notify) that it "
        "is alive only when frames come out. SIGHUP reads the configuration again and loads the "
        "model anew, without losing a frame.",
    )
    parser.add_argument("name", metavar="NAME", help="of a [pipeline.NAME] in the configuration")
    add_folder_options(parser)
    parser.add_argument("--frames", type=positive, metavar="N", help="stop after N results")
    parser.add_argument("--seconds", type=duration_s, metavar="S", help="stop after S seconds")
    parser.add_argument("--json", action="store_true", help="print the totals as one JSON object")
    parser.add_argument(
        "--preview", type=port, default=0, metavar="PORT",
        help="serve a page with the live picture on 127.0.0.1; 0, the default, serves none",
    )  # fmt: skip
    return parser
