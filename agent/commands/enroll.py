"""`vedette enroll`: makes this device part of a fleet, with the file that the fleet gave it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.enrolment.config_file import Wish
from agent.enrolment.placing import Placed, place
from wire import enrolment
from wire.command_line import Parser
from wire.enrolment import Enrolment
from wire.folders import CONFIG, named_path
from wire.troubles import Refused, one_line

UNITS = tuple(
    Path(folder) / "vedette-agent.service"
    for folder in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
)

INSTALLER = Path("/opt/vedette/installer/install")


class Outcome(Struct, frozen=True):
    """What --json prints. before: the configuration that was replaced, None where none was. next:
    the command that lets the services go by it, None where they read another folder."""

    device: str
    fleet: str
    broker: str
    config: str
    changed: bool
    before: str | None
    credentials: str
    pipelines: tuple[str, ...]
    next: str | None


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    told = enrolment.read(words.file)
    if told.role != "device":
        raise Refused(
            f"{words.file}: this is for {told.device}, {_person(told)}: a device needs one of its "
            "own, of vedette fleet enroll NAME"
        )
    placed = place(words.etc.absolute(), told, Wish(words.camera, words.model))
    following = _next(placed, words.file)
    if words.json:
        print(msgspec.json.encode(_outcome(told, placed, following)).decode())
    else:
        for line in _lines(told, placed, following, str(words.file)):
            print(one_line(line))
    return 0


def _person(told: Enrolment) -> str:
    return "an operator" if told.role == "operator" else f"the fleet's {told.role}"


def _next(placed: Placed, file: Path) -> str | None:
    """What starts agent and runtimes with it."""
    if placed.config != CONFIG:
        return None
    if not any(unit.exists() for unit in UNITS):  # which makes the services' user, too
        return f"sudo scripts/install --enroll {shlex.quote(str(file))}"
    runtimes = (f"vedette-runtime@{name}" for name in placed.pipelines)
    services = " ".join(("vedette-agent", *runtimes))
    if placed.with_drop_in and INSTALLER.exists():  # it knows which, and what for
        return f"sudo {INSTALLER} --unchecked && sudo systemctl restart {services}"
    if placed.changed and placed.before is None:
        return f"sudo systemctl enable --now {services}"
    return f"sudo systemctl enable {services} && sudo systemctl restart {services}"


def _outcome(told: Enrolment, placed: Placed, following: str | None) -> Outcome:
    before = None if placed.before is None else str(placed.before)
    return Outcome(
        told.device, told.fleet, told.url, str(placed.config), placed.changed, before,
        str(placed.folder), placed.pipelines, following,
    )  # fmt: skip


def _lines(told: Enrolment, placed: Placed, following: str | None, file: str) -> list[str]:
    how = "a certificate" if told.certificate_pem else "a password" if told.password else "nothing"
    lines = [f"{told.device} is part of the fleet {told.fleet}: {told.url}, with {how} to prove it"]
    if not placed.changed:
        lines.append(f"{placed.config} says so already: nothing was changed")
    elif placed.before is None:
        lines.append(f"{placed.config} is new")
    else:
        lines.append(f"{placed.config} is changed; as it was: {placed.before}")
    if not placed.pipelines:
        lines.append("no pipeline yet: see vedette cameras, then add --camera URI --model NAME")
    if placed.with_drop_in and following is not None and not INSTALLER.exists():
        names = ", ".join(placed.with_drop_in)
        lines.append(f"{names}: the service needs the drop-in for its camera, of systemd/drop-ins")
    if following is not None:
        lines.append(f"next: {following}")
    if told.key_pem or told.password:
        lines.append(f"then remove {file}: who has it can speak as {told.device}")
    return lines


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette enroll",
        description="Make this device part of a fleet with the file NAME.vedette, of `vedette "
        "fleet enroll NAME`: its credentials, the root of trust and vedette.toml are written, all "
        "or nothing. Of a vedette.toml that is there only what the file says is changed; as it "
        "was, it stays in vedette.toml.before. The same again changes nothing.",
    )
    parser.add_argument("file", type=named_path, metavar="FILE", help="NAME.vedette")
    parser.add_argument(
        "--etc", type=named_path, default=CONFIG.parent, metavar="FOLDER",
        help="where vedette.toml is (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--camera", metavar="URI", help="a pipeline for this camera: see vedette cameras"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="what it runs: of the zoo, or a path, from / on"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    return parser
