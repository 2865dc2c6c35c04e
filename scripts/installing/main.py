"""The options of scripts/install, and what it answers with."""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from installing import durable, removal, upgrade, uris
from installing.configuring import Wish
from installing.installation import STEPS, Order, install, summary
from installing.machine import EXTRAS
from installing.places import Places
from installing.progress import Progress, complain, conclude
from installing.services import Services, services_of
from installing.troubles import Trouble, Wrong


def main(argv: Sequence[str] | None = None) -> int:
    """0: done, and it works. 1: something is missing or does not work. 2: a wrong request."""
    words = parser().parse_args(argv)
    # a terminal that goes away must not leave half of it done
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # as Ctrl-C: pip must not go on alone
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.umask(0o022)
    trouble: Trouble
    try:
        places = Places(words.root.resolve())
        _check(words, places)
        services = services_of(places)
        if words.settle:
            return _settle(places, services)
        with _alone(places):
            return (
                _remove(places, services, words)
                if words.uninstall
                else _install(places, services, words)
            )
    except Trouble as known:
        trouble = known
    except OSError as error:
        trouble = Trouble(_in_words(error))
    except KeyboardInterrupt:
        trouble = Trouble("interrupted: what ran before runs still; run it again")
    conclude({"done": False, "trouble": str(trouble)}, [], "json" if words.json else None)
    complain(str(trouble))
    return trouble.code


def _in_words(error: OSError) -> str:
    """What the system refused, and what to do."""
    what = error.strerror or str(error)
    where = f"{error.filename}: " if error.filename is not None else ""
    mends = {
        errno.ENOSPC: "make room (df -h says where), then run it again",
        errno.EDQUOT: "make room, then run it again",
        errno.EROFS: "make it writable for as long as this takes (mount -o remount,rw /)",
        errno.EACCES: "run it with sudo",
        errno.EPERM: "run it with sudo",
        errno.EIO: "the disk fails: see dmesg",
    }
    return f"{where}{what}: {mends.get(error.errno or 0, 'mend that, then run it again')}"


def _check(words: argparse.Namespace, places: Places) -> None:
    asks = words.camera or words.model or words.broker or words.enroll or words.watchdog
    if words.back and (words.upgrade or words.offline or words.uninstall or asks):
        raise Wrong("--back takes the release of before, and nothing else: leave the rest out")
    if words.uninstall and (words.upgrade or words.offline or asks):
        raise Wrong("--uninstall goes with --purge and --root only")
    if words.enroll is not None and words.broker is not None:
        raise Wrong("--enroll names the broker: leave --broker out")
    if (words.model or words.broker) and not (words.camera or words.enroll):
        raise Wrong("--model and --broker are for a new configuration, and go with --camera")
    if words.purge and not words.uninstall:
        raise Wrong("--purge goes with --uninstall")
    if words.enroll is not None:
        uris.check_enrolment(words.enroll)
    if words.camera is not None:
        uris.check_camera(words.camera)
    if words.broker is not None:
        uris.check_broker(words.broker)
    unknown = set(words.engines or ()) - set(EXTRAS)
    if unknown:
        raise Wrong(f"there is no engine {sorted(unknown)[0]!r}: possible: {', '.join(EXTRAS)}")
    if places.is_here and os.geteuid() != 0:
        raise Wrong("this changes the system: run it with sudo")
    if not places.root.is_dir():
        raise Wrong(f"{words.root} is no folder: --root needs where a system is mounted")
    if not places.at("/etc/passwd").is_file():
        raise Wrong(f"{words.root} has no etc/passwd: --root needs where a system is mounted")


def _install(places: Places, services: Services, words: argparse.Namespace) -> int:
    wish = Wish(words.enroll, words.camera, words.model, words.broker)
    order = Order(
        wish,
        words.offline,
        words.engines,
        words.upgrade,
        words.back,
        words.watchdog,
        not words.unchecked,
    )
    progress = Progress(STEPS)
    done = install(places, services, order, progress)
    is_well = not done.missing and not done.why
    said = {
        "done": is_well, "release": done.release, "seconds": progress.seconds,
        "went_back": done.why or None, "missing": [asdict(one) for one in done.missing],
        "findings": [asdict(one) for one in done.found],
        "device": None if done.meaning is None else done.meaning.device,
        "pipelines": [] if done.meaning is None else [one.name for one in done.meaning.pipelines],
        "started": services.runs, "notes": progress.notes,
    }  # fmt: skip
    conclude(said, summary(done, services, progress.notes), "json" if words.json else None)
    return 0 if is_well else 1


def _settle(places: Places, services: Services) -> int:
    """As vedette-settle.service."""
    durable.make_folder(places.home)
    with _held(places.home):
        upgrade.settle(places, services, Progress(1))
    return 0  # also of going back: it came to its end, and that is said in the outcome


def _remove(places: Places, services: Services, words: argparse.Namespace) -> int:
    progress = Progress(3 if words.purge else 2)
    if words.purge:
        removal.purge(places, services, progress)
        kept: list[str] = []
        lines = ["vedette is gone, with its configuration, its state and its user"]
    else:
        kept = [str(path) for path in removal.uninstall(places, services, progress)]
        lines = ["vedette is uninstalled"]
        lines += [f"  kept: {', '.join(kept)} (--uninstall --purge removes them)"] if kept else []
    lines += [f"  note: {note}" for note in progress.notes]
    conclude({"done": True, "kept": kept}, lines, "json" if words.json else None)
    return 0


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """One installer at a time. A folder of the system is what is held: nothing is left behind."""
    durable.make_folder(places.at("/opt"))
    with _held(places.at("/opt")):
        yield


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble("another installer is at work here: wait for it") from None
        yield
    finally:
        os.close(handle)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="install",
        description="Install Vedette as systemd services: user, programs in /opt/vedette, units; "
        "configure it, start it, and see that frames flow and telemetry is acknowledged. What is "
        "done already is not done again. docs/install.md says more.",
    )
    add = parser.add_argument
    add("--enroll", type=Path, metavar="FILE", help="NAME.vedette, of `vedette fleet enroll NAME`")
    add("--camera", metavar="URI", help="as v4l2:///dev/video0; for a new configuration")
    add("--model", metavar="NAME", help="of the zoo, or a path; for a new configuration")
    add("--broker", metavar="URL", help="without --enroll: as mqtt://HOST; for a new configuration")
    add("--engines", type=_names, metavar="NAMES", help="default: litert,onnx; network: for "
        "cameras by rtsp://")  # fmt: skip
    add("--offline", type=Path, metavar="WHEELHOUSE", help="the folder of scripts/wheelhouse")
    add("--upgrade", action="store_true", help="replace the release that runs; go "
        "back if the new one does not come up")  # fmt: skip
    add("--back", action="store_true", help="to the release of before, in the same way")
    add("--unchecked", action="store_true", help="start, and do not wait until it works")
    add("--watchdog", action="store_true", help="let the hardware reset a machine that hangs")
    add("--uninstall", action="store_true", help="remove all but configuration and state")
    add("--purge", action="store_true", help="with --uninstall: those and the user, too")
    add("--root", type=Path, default=Path("/"), metavar="FOLDER",
        help="install into the system that is mounted there; start nothing")  # fmt: skip
    add("--json", action="store_true", help="one JSON object instead of a summary")
    add("--settle", action="store_true", help=argparse.SUPPRESS)  # vedette-settle.service
    return parser
