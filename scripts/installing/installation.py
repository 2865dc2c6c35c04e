"""The way from nothing, or from an older release, to services that run: every step repeatable."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from installing import accounts, configuring, durable, findings, release, upgrade, vitals
from installing.configuring import Wish
from installing.findings import Finding
from installing.machine import ENGINES, Machine, look
from installing.meaning import Meaning, read
from installing.places import Places
from installing.progress import Progress, run
from installing.release import Card
from installing.services import AGENT, SETTLE, Services
from installing.source import Source, find
from installing.troubles import Trouble, Wrong
from installing.vitals import Vital

STEPS = 7
SOURCES = "name a wheelhouse with --offline, or run scripts/install of a checkout"
CONFIGURE = "sudo /opt/vedette/installer/install"  # on the device
WHEN_THE_IMAGE_BOOTS = "nothing was started: the services start when the image boots"
WITHOUT_SYSTEMD = (
    "nothing was started: systemd does not run here (it is not process 1); the services start when "
    "it boots this system"
)


@dataclass(frozen=True)
class Order:
    """What is asked for. engines: None: those of the wheelhouse, or all.
    upgrade: whether another release may take the place of the one that runs. back: to the release
    of before. watchdog: whether the hardware's is used. wait: until everything works."""

    wish: Wish
    wheelhouse: Path | None
    engines: tuple[str, ...] | None
    upgrade: bool
    back: bool
    watchdog: bool
    wait: bool


@dataclass(frozen=True)
class Done:
    """What came of it. missing: what does not work. why: an upgrade went back, and why. found: what
    is wrong here where something is missing."""

    release: str
    meaning: Meaning | None
    missing: tuple[Vital, ...]
    why: str = ""
    found: tuple[Finding, ...] = ()


def install(places: Places, services: Services, order: Order, progress: Progress) -> Done:
    """Bring the device to what is asked for. Raises Trouble."""
    done = _install(places, services, order, progress)
    if not services.runs and done.meaning is not None and done.meaning.pipelines:
        progress.note(WHEN_THE_IMAGE_BOOTS if not places.is_here else WITHOUT_SYSTEMD)
    return done


def _install(places: Places, services: Services, order: Order, progress: Progress) -> Done:
    progress.step("looking at this machine")
    machine = look(places)
    _judge(machine, progress)
    _need_place(places)
    _finish_what_was_begun(places, services, progress)
    # what a power cut left half made
    release.sweep(places, [places.linked(places.current), places.linked(places.previous)])
    running = release.card(places, places.linked(places.current))
    if order.back:
        before = release.card(places, places.linked(places.previous))
        if running is None or before is None:
            raise Trouble("there is no release of before to go back to")
        return _upgrade(places, services, running, before.name, progress)
    source = find(order.wheelhouse)
    if source is None:
        name = _that_runs(running, machine, order, progress)
        progress.step("user, group and folders")
        accounts.make(places, name, progress)
        return _bring_up(places, services, name, order, progress)
    had = source.engines or ENGINES if running is None else running.engines
    engines = order.engines or had
    wanted = release.planned(source, machine, engines, places)
    differs = None if running is None else running.differs(wanted)
    if running is not None and differs is not None and not order.upgrade:
        raise Wrong(
            f"the release that runs {differs}: --upgrade replaces it"
            + _how_to_configure(places, running, wanted)
        )
    if running is None or differs is not None:
        _need_tools(machine, source, places)
        if running is not None:
            os.nice(10)  # what runs comes first
        progress.step(f"making release {wanted.name}")
        release.make(places, wanted, source, progress)
        name = wanted.name
        if running is None:  # whatever is wrong with the configuration: it need not be made again
            upgrade.point_to(places, name)
    else:
        name = running.name
        progress.step(f"release {name} is there already")
    progress.step("user, group and folders")
    accounts.make(places, name, progress)
    if running is not None and differs is not None:
        done = _upgrade(places, services, running, name, progress)
        if done.why or not (order.watchdog or order.wish.says_something):
            return done
    return _bring_up(places, services, name, order, progress)


def _that_runs(running: Card | None, machine: Machine, order: Order, progress: Progress) -> str:
    """The release that is configured where there is nothing to make one of. Raises Wrong."""
    if running is None or order.upgrade:
        raise Wrong(f"there is nothing to install here: {SOURCES}")
    wanted = replace(running, python=machine.python, engines=order.engines or running.engines)
    if differs := running.differs(wanted):
        raise Wrong(f"the release that runs {differs}: to replace it, {SOURCES}, and add --upgrade")
    if running.vendors != machine.vendors:  # as where an image was made on another machine
        progress.note(
            f"the release that runs {running.differs(replace(running, vendors=machine.vendors))}: "
            f"where it is to use what is there now, {SOURCES}, and add --upgrade"
        )
    progress.step(f"release {running.name} stays")
    return running.name


def _how_to_configure(places: Places, running: Card, wanted: Card) -> str:
    """The command that leaves the release as it is, if that one can run at all."""
    if running.python != wanted.python:
        return ""
    root = "" if places.is_here else f" --root {shlex.quote(str(places.root))}"
    command = f"sudo {shlex.quote(str(places.home / 'installer/install'))}{root}"
    return f"; `{command}`, with your other options, configures and checks the one that runs"


def _judge(machine: Machine, progress: Progress) -> None:
    progress.say(str(machine))
    if not machine.is_known:
        progress.note(f"{machine.system} was never tried; it may work all the same")
    if not machine.systemd:
        raise Trouble("there is no systemd here: Vedette's services need it")
    if machine.vendors:
        progress.say(f"uses the system's {' and '.join(machine.vendors)}")


def _need_place(places: Places) -> None:
    """What others made is neither replaced nor, one day, removed."""
    for name in ("pyproject.toml", "pyvenv.cfg"):
        if (places.home / name).exists():
            what = "a checkout" if name == "pyproject.toml" else "an environment made by hand"
            raise Trouble(f"{places.home} is {what}: move it to another place, then run it there")
    for link, _ in places.links:
        if link.exists() and not link.is_symlink():
            raise Trouble(f"{link} is there, and not of this installer: move it away first")


def _finish_what_was_begun(places: Places, services: Services, progress: Progress) -> None:
    if not places.marker.exists():
        return
    progress.say("an upgrade was cut off: bringing it to its end first")
    if services.runs:
        services.settle()
    else:
        upgrade.settle(places, services, progress)


def _need_tools(machine: Machine, source: Source, places: Places) -> None:
    """What makes environments. A wheelhouse brings its own pip."""
    if source.pip is not None or importlib.util.find_spec("ensurepip") is not None:
        return
    words = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y"]  # others may be at it
    words += ["--no-install-recommends", f"python{machine.python}-venv"]
    if shutil.which("apt-get") is None or not places.is_here:
        raise Trouble("this Python cannot make environments: install its ensurepip module")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(words, 900, env=env)
    except Trouble:
        run(["apt-get", "update"], 900)  # a list that was never fetched, or is old
        run(words, 900, env=env)


def _upgrade(
    places: Places, services: Services, running: Card, name: str, progress: Progress
) -> Done:
    progress.step(f"from {running.name} to {name}")
    before = read(places, running.name)
    expects = vitals.working(vitals.look(services, before, None)) if before is not None else []
    progress.say(f"what works must work afterwards: {', '.join(expects) or 'nothing works now'}")
    # the one that settles is the new one's: it knows the new units
    durable.link(places.home / "installer", f"releases/{name}/installer")
    upgrade.begin(places, running.name, name, expects)
    progress.step("trying it (as a service: it comes to its end whatever happens here)")
    if services.runs:
        _ready_to_settle(places, services, name)
        services.settle()
        outcome = upgrade.outcome_of(places)
    else:
        outcome = upgrade.settle(places, services, progress)
    if outcome is None:
        raise Trouble("the upgrade did not end: journalctl -u vedette-settle")
    runs = outcome.old if outcome.why else outcome.new
    meaning = read(places, runs)
    missing = [] if meaning is None or not services.runs else vitals.look(services, meaning, runs)
    amiss = [one for one in missing if not one.works and one.name in expects]
    return Done(runs, meaning, tuple(amiss) if outcome.why else (), outcome.why)


def _ready_to_settle(places: Places, services: Services, name: str) -> None:
    """The unit that will settle it, and start again at the next boot."""
    unit = places.releases / name / release.UNITS / SETTLE
    if unit.exists():
        durable.write(places.units / SETTLE, unit.read_bytes())
    services.reload()
    services.enable([SETTLE])


def _bring_up(
    places: Places, services: Services, name: str, order: Order, progress: Progress
) -> Done:
    progress.step("configuration")
    before = places.config.read_bytes() if places.config.exists() else None
    configuring.configure(places, name, order.wish, progress)
    is_new = before is not None and places.config.read_bytes() != before
    meaning = read(places, name)
    for warning in () if meaning is None else meaning.warnings:
        progress.note(warning)
    progress.step("units")
    if order.watchdog:
        _use_watchdog(places, services, name)
    upgrade.apply(places, services, name, progress)
    if meaning is None or not meaning.pipelines:
        return Done(name, meaning, ())
    if is_new:
        services.restart([AGENT, *(one.unit for one in meaning.pipelines)])
    if not services.runs:
        progress.step("nothing is started here")
        return Done(name, meaning, ())
    if not order.wait:
        progress.step("started; nobody waits for frames and telemetry")
        return Done(name, meaning, ())
    progress.step("waiting for frames, and for a record that is acknowledged")
    missing = tuple(vitals.await_all(services, meaning, name, None, progress))
    if not missing:
        return Done(name, meaning, ())
    progress.say("it does not work yet: vedette doctor looks for the reason")
    return Done(name, meaning, missing, found=findings.ask(places, name))


def _use_watchdog(places: Places, services: Services, name: str) -> None:
    brought = places.releases / name / release.UNITS / "watchdog.conf"
    if durable.write(places.watchdog, brought.read_bytes()) and services.runs:
        run(["systemctl", "daemon-reexec"])


def summary(done: Done, services: Services, notes: Sequence[str]) -> list[str]:
    """For people, a few lines."""
    meaning = done.meaning
    lines = [f"vedette {done.release} is installed in /opt/vedette"]
    last = [f"  note      {note}" for note in notes]
    if done.why:
        lines = [f"vedette {done.release} runs again: the new release did not come up: {done.why}"]
    if meaning is None:
        lines.append(f"  next: {CONFIGURE} --enroll NAME.vedette --camera URI")
        return lines + last
    lines.append(f"  device    {meaning.device} of fleet {meaning.fleet}, broker {meaning.broker}")
    for pipeline in meaning.pipelines:
        lines.append(f"  pipeline  {pipeline.name}: {pipeline.camera}")
    if not meaning.pipelines:
        lines.append("  no pipeline: vedette cameras lists the cameras; then")
        lines.append(f"            $ {CONFIGURE} --enroll NAME.vedette --camera URI")
    elif services.runs and not done.missing and not done.why:
        lines.append("  works     services up, frames flow, telemetry is acknowledged")
    lines += [f"  missing   {vital.name}: {vital.said}; {vital.mend}" for vital in done.missing]
    for finding in done.found:
        lines.append(f"  found     {finding.about}: {finding.says}")
        lines += [f"            $ {finding.mend}"] if finding.mend else []
    return lines + last
