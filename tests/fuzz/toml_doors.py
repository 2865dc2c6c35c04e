"""Doors of configurations: what an operator, or whoever may write the file, put there."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from agent.enrolment.config_file import Named, written
from agent.enrolment.config_file import Wish as DeviceWish
from fleet.alerts.terms import TERMS
from fleet.enrolment.book import Book, Entry
from fleet.enrolment.rules import rules
from fleet.folder import FleetToml, open_fleet
from tests.fuzz.door import Door, Opened
from tests.laws.sources import ROOT
from wire import accepted, config, enrolment
from wire.enrolment import Enrolment
from wire.folders import Folders
from wire.typed_toml import as_utf8

RICH = """\
fleet = "home"
device = "door"
groups = ["entrance"]

[broker]
url = "mqtts://broker.lan"
username = "door"
password_file = "/etc/vedette/password"
ca_file = "/etc/vedette/ca.pem"

[commands]
keys = ["b7a2d73c9a6bb93486765f2903beb981e1289d5dbe789a454a9a2aac887cd3f5"]
snapshot = true

[updates]
root = "/etc/vedette/root.json"
mirror = "https://mirror.example/fleet"

[pipeline.lane]
camera = "v4l2:///dev/video0?fps=30"
model = "digits"

[pipeline.yard.limits]
p95_ms = 40.0

[pipeline.yard]
camera = "synthetic://64x48@30"
engine = "onnxruntime"
accelerators = ["cpu"]
"""

TELLING = Enrolment(
    fleet="yard",
    device="gate",
    groups=("cows",),
    url="mqtt://broker.example",
    username="gate",
    password="p" * 32,
    root='{"signed": {"_type": "root"}}',
    command_keys=("ab" * 32,),
)


def open_vedette(folder: Path, last: ExitStack) -> Opened:
    def attempt(content: bytes) -> None:
        config.parse(as_utf8(content, "vedette.toml"), "vedette.toml")

    shipped = (ROOT / "systemd" / "vedette.toml").read_bytes()
    return Opened(attempt, (RICH.encode(), shipped))


def open_accepted(folder: Path, last: ExitStack) -> Opened:
    """The copy in the state folder, where the file itself is spoiled."""
    folders = Folders(folder / "vedette.toml", folder, folder)
    accepted.accept(folders, RICH)
    path = folder / accepted.FILE_NAME
    seed = path.read_bytes()
    folders.config.write_text("spoiled")

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        accepted.in_force(folders)

    return Opened(attempt, (seed,))


def open_fleet_toml(folder: Path, last: ExitStack) -> Opened:
    path = folder / "fleet.toml"

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        fleet = open_fleet(folder)
        assert fleet.name
        assert all(target.wanted for target in fleet.alerts)
        for kind in TERMS:
            assert fleet.alerting.terms(kind).hold_s >= 0

    assert FleetToml.__struct_fields__ == ("name", "broker", "alerts", "alerting", "mosquitto")
    least = b'name = "home"\n[broker]\nurl = "mqtt://127.0.0.1:1883"\n'
    kind = next(iter(TERMS)).encode()
    alerts = b'[[alerts]]\nurl = "ntfy://a"\nkinds = ["%b"]\ngroups = ["cows"]\n' % kind
    alerts += b"[alerting]\nrepeat_hours = 2\nhold_s = { %b = 9 }\n" % kind
    broker = b'[mosquitto]\nplace = "/p"\nhosts = ["a", "10.0.0.1"]\nbind = "::1"\n'
    return Opened(attempt, (least, least + alerts, least + broker))


def open_enrolment(folder: Path, last: ExitStack) -> Opened:
    def attempt(content: bytes) -> None:
        told = enrolment.parse(content, "door.vedette")
        assert enrolment.parse(enrolment.to_file(told), "again") == told

    return Opened(attempt, (enrolment.to_file(TELLING),))


def open_enrolled(folder: Path, last: ExitStack) -> Opened:
    """The vedette.toml that a device has when it is enrolled: it means what it shall, or stays."""

    def attempt(content: bytes) -> None:
        text = as_utf8(content, "vedette.toml")
        named = Named(Path("/r"), None, None, Path("/p"))
        after = written(text, TELLING, named, DeviceWish(), "vedette.toml")
        meant = config.parse(after, "vedette.toml")
        assert (meant.device, meant.broker.url) == (TELLING.device, TELLING.url)
        assert meant.pipeline == config.parse(text, "vedette.toml").pipeline

    shipped = (ROOT / "systemd" / "vedette.toml").read_bytes()
    return Opened(attempt, (RICH.encode(), shipped))


def open_book(folder: Path, last: ExitStack) -> Opened:
    book = Book(folder)
    book.begin("door", "device", "a" * 40)
    book.finish(Entry("door", "device", ("cows",), "b" * 40, enrolled_s=1))
    path = folder / "enrolled" / "door.toml"
    seed = path.read_bytes()

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        for entry in book.entries():
            assert rules("yard", [entry]) and entry.name == "door"

    return Opened(attempt, (seed,))


DOORS: tuple[Door, ...] = (
    Door("toml.vedette", "who may write to the device", open_vedette, form="toml"),
    Door("toml.accepted", "a disk", open_accepted),
    Door("toml.enrolment", "who gives a file to a device", open_enrolment, form="json"),
    Door("toml.enrolled", "who may write to the device", open_enrolled, form="toml"),
    Door("toml.book", "who may write to the operator's folder", open_book, form="toml"),
    Door("toml.fleet", "who may write to the operator's folder", open_fleet_toml, form="toml"),
)
