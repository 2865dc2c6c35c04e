"""An enrolment in /etc/vedette: what is written, what stays, and whose it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.commands import enroll
from agent.enrolment import placing
from agent.enrolment.config_file import NEW, Wish
from agent.enrolment.placing import place
from tests.laws.sources import ROOT
from tests.unit.test_enrolment import GOOD, KEY, PEM
from tests.unit.test_enrolment import ROOT as ROOT_JSON
from wire import config
from wire.enrolment import Enrolment, to_file
from wire.troubles import Refused, Unavailable

EXAMPLE = (ROOT / "systemd" / "vedette.toml").read_text()
CAMERA = "v4l2:///dev/video0"
SECRET = "secret" * 3
PLAIN = Enrolment(fleet="yard", device="door", url="mqtt://b", username="door", password=SECRET)


def test_a_new_device(tmp_path: Path) -> None:
    placed = place(tmp_path / "etc", GOOD, Wish(CAMERA, "digits"))
    assert placed.changed and placed.before is None and placed.pipelines == ("camera",)
    meant = config.load(placed.config)
    assert (meant.fleet, meant.device, meant.groups) == ("yard", "door", ("a", "b"))
    assert (meant.broker.url, meant.telemetry.acknowledged_by) == (GOOD.url, "registry")
    assert meant.commands.keys == GOOD.command_keys and meant.commands.snapshot
    assert (meant.pipeline["camera"].camera, meant.pipeline["camera"].model) == (CAMERA, "digits")
    assert meant.broker.certificate_file == meant.broker.key_file
    named = {
        meant.broker.certificate_file: PEM + KEY, meant.broker.ca_file: PEM,
        meant.updates.root: ROOT_JSON,
    }  # fmt: skip
    for path, content in named.items():
        assert path is not None and Path(path).read_text() == content
    assert "# keepalive_s = 30\n" in placed.config.read_text()


def test_the_new_file_shows_every_key_of_the_example() -> None:
    def shown(text: str) -> set[str]:
        words = [line.lstrip("# ").partition(" =")[0] for line in text.splitlines() if " =" in line]
        return {word for word in words if word.replace("_", "").isalnum()}

    in_words = {"engine", "threads", "accelerators", "results", "results_per_s", "min_score"}
    in_words |= {"filter", "tracking"}
    assert all(word in NEW for word in in_words)
    assert shown(EXAMPLE) - shown(NEW) - in_words == {"p95_ms", "memory_mib"}


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    place(tmp_path, GOOD, Wish(CAMERA, "digits"))
    before = {path: os.stat(path).st_mtime_ns for path in tmp_path.rglob("*")}
    for wish in (Wish(CAMERA, "digits"), Wish(), Wish(CAMERA), Wish(model="digits")):
        placed = place(tmp_path, GOOD, wish)
        assert not placed.changed and placed.before is None
    assert before == {path: os.stat(path).st_mtime_ns for path in tmp_path.rglob("*")}


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    mine = EXAMPLE.replace("# keepalive_s = 30", "keepalive_s = 60   # mine")
    mine = mine.replace("# spool_mib = 64 ", "spool_mib = 7 ").replace('"home"', '"old"')
    (tmp_path / "vedette.toml").write_text(mine)
    placed = place(tmp_path, PLAIN, Wish())
    text = placed.config.read_text()
    assert placed.before is not None and placed.before.read_text() == mine
    kept = set(mine.splitlines()) - set(text.splitlines())
    keys = ("fleet", "# device", "url", "# username", "# password_file")
    assert {line.partition(" =")[0] for line in kept} == set(keys)
    meant = config.load(placed.config)
    assert (meant.broker.keepalive_s, meant.telemetry.spool_mib) == (60, 7)
    assert list(meant.pipeline) == ["door"] and not meant.commands.snapshot
    assert Path(meant.broker.password_file or "").read_text() == f"{SECRET}\n"


def test_from_one_enrolment_to_the_next(tmp_path: Path) -> None:
    """Nothing of the old fleet is obeyed; its secrets go once nothing names them."""
    first = place(tmp_path, GOOD, Wish(CAMERA, "digits"))
    second = place(tmp_path, PLAIN, Wish())
    meant = config.load(second.config)
    assert meant.broker == config.Broker(
        "mqtt://b", "door", str(second.folder / "password"), keepalive_s=30
    )
    assert meant.commands.keys == () and meant.updates.root is None and meant.groups == ()
    assert meant.telemetry.acknowledged_by == "broker" and not meant.commands.snapshot
    assert first.folder.is_dir(), "what is running still needs it"
    place(tmp_path, replace(PLAIN, password=SECRET * 2), Wish())
    assert not first.folder.exists() and second.folder.is_dir()


def test_a_camera_that_a_pipeline_has(tmp_path: Path) -> None:
    (tmp_path / "vedette.toml").write_text(EXAMPLE)
    placed = place(tmp_path, PLAIN, Wish(CAMERA, "digits-detect"))
    assert placed.pipelines == ("door",)
    assert config.load(placed.config).pipeline["door"].model == "digits-detect"
    placed = place(tmp_path, PLAIN, Wish("synthetic://160x120@30", "digits"))
    assert placed.pipelines == ("door", "camera")
    with pytest.raises(Refused, match="has 2 pipelines: say --camera"):
        place(tmp_path, PLAIN, Wish(model="digits"))


STYLES = [
    'fleet = "old"\nbroker = {url = "mqtt://old", keepalive_s = 60}\n',
    'fleet = "old"\nbroker.url = "mqtt://old"\nbroker.keepalive_s = 60\n',
    'broker.url = "mqtt://old"\nbroker."keepalive_s" = 60\npipeline.a.camera = "synthetic://"\n'
    'pipeline.a.model = "digits"\n',
    '[broker]\r\nurl = "mqtt://old"\r\nkeepalive_s = 60\r\n',
    '[updates]\n[broker]\nurl = """\\\nmqtt://old"""\nkeepalive_s = 60',
    "[pipeline.a]\ncamera = 'synthetic://'\nmodel='digits'\n[pipeline.a.limits]\np95_ms = 9\n"
    "[broker]\nkeepalive_s = 60\nurl = 'mqtt://old'\nusername = 'x'\npassword_file = '/x'\n",
]


@pytest.mark.parametrize("text", STYLES)
def test_styles_of_writing(tmp_path: Path, text: str) -> None:
    (tmp_path / "vedette.toml").write_bytes(text.encode())
    try:
        placed = place(tmp_path, GOOD, Wish())
    except Refused as refused:
        assert "move it away" in str(refused)
        assert (tmp_path / "vedette.toml").read_bytes() == text.encode()
        raise AssertionError("this style should be one that can be changed") from None
    meant = config.load(placed.config)
    assert (meant.broker.url, meant.broker.keepalive_s) == (GOOD.url, 60)
    assert meant.broker.username is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fleet = 1\n", r"vedette\.toml:1: fleet"),
        ("[broker\n", "not valid TOML"),
        (EXAMPLE.replace("[updates]  ", '[updates]\nmirror = "https://x/"\n#'), "updates.mirror"),
    ],
)
def test_nothing_changes_where_the_outcome_would_be_wrong(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "vedette.toml").write_text(text)
    with pytest.raises(Refused, match=words):
        place(tmp_path, PLAIN, Wish())
    assert [path.name for path in tmp_path.iterdir()] == ["vedette.toml"]
    assert (tmp_path / "vedette.toml").read_text() == text


def test_wishes_that_cannot_be(tmp_path: Path) -> None:
    for wish, words in (
        (Wish("/dev/video0", "digits"), "write v4l2:///dev/video0"),
        (Wish(CAMERA), "model is missing"),
        (Wish(model="digits"), "has 0 pipelines"),
    ):
        with pytest.raises(Refused, match=words):
            place(tmp_path, PLAIN, wish)
    assert not list(tmp_path.iterdir())


def test_what_comes_next_starts_all_that_the_configuration_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, etc, unit = tmp_path / "door.vedette", tmp_path / "etc", tmp_path / "agent.service"
    file.write_bytes(to_file(PLAIN))
    monkeypatch.setattr(enroll, "UNITS", (unit,))

    def following(*words: str) -> str | None:
        assert enroll.main([str(file), "--etc", str(etc), *words, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["next"]
        assert told is None or isinstance(told, str)
        return told

    assert following() is None, "the services read another folder"
    monkeypatch.setattr(enroll, "CONFIG", etc / "vedette.toml")
    assert following() == f"sudo scripts/install --enroll {file}", "there are no services yet"
    unit.touch()
    (etc / "vedette.toml").unlink()
    services = "vedette-agent vedette-runtime@camera"
    camera = ("--camera", CAMERA, "--model", "digits")
    assert following(*camera) == f"sudo systemctl enable --now {services}"
    again = f"sudo systemctl enable {services} && sudo systemctl restart {services}"
    assert following() == again, "nothing changed now, but nobody may have heard of it yet"
    (etc / "vedette.toml").write_text(EXAMPLE)
    services = "vedette-agent vedette-runtime@door"
    assert enroll.main([str(file), "--etc", str(etc)]) == 0
    assert f"next: sudo systemctl enable {services} && sudo" in capsys.readouterr().out


@pytest.mark.parametrize("camera", ["rtsp://camera.example/live", "csi://0"])
def test_a_camera_that_needs_a_drop_in_is_for_the_installer(
    camera: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, etc, installer = tmp_path / "door.vedette", tmp_path / "etc", tmp_path / "install"
    file.write_bytes(to_file(PLAIN))
    unit = tmp_path / "agent.service"
    unit.touch()
    monkeypatch.setattr(enroll, "UNITS", (unit,))
    monkeypatch.setattr(enroll, "CONFIG", etc / "vedette.toml")
    monkeypatch.setattr(enroll, "INSTALLER", installer)
    words = [str(file), "--etc", str(etc), "--camera", camera, "--model", "digits"]
    assert enroll.main(words) == 0
    assert "camera: the service needs the drop-in" in capsys.readouterr().out
    installer.touch()
    assert enroll.main(words) == 0
    said = capsys.readouterr().out
    services = "vedette-agent vedette-runtime@camera"
    assert f"next: sudo {installer} --unchecked && sudo systemctl restart {services}\n" in said
    assert "drop-in" not in said


def test_nobody_else_may_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "GROUP", "no-such-group")
    placed = place(tmp_path, GOOD, Wish())
    for path in (placed.config, *placed.folder.iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600
    assert placed.folder.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:  # set up later: the same again gives it to the services
        monkeypatch.setattr(placing, "GROUP", "daemon")
        assert not place(tmp_path, GOOD, Wish()).changed
        for path in placed.folder.iterdir():
            assert path.stat().st_mode & 0o777 == 0o640 and path.group() == "daemon"
        assert placed.folder.stat().st_mode & 0o777 == 0o750


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="name another folder by --etc"):
        place(tmp_path / "file" / "etc", GOOD, Wish())
