"""From the link to the screen: what arrives is told once, whatever happens to the connection."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from fleet import watching as watching_module
from fleet.commands.watch import main, parser, seconds
from fleet.devices import Fleet, News
from fleet.flags import where_of
from fleet.folder import VARIABLE
from fleet.screens import JsonLines, Lines, Standing, has_reader, open_screen
from fleet.watching import Watching
from tests.telling import FLEET, NOW_S, presence, record, result, said
from wire import topics
from wire.link import Received
from wire.memory_link import MemoryBroker, MemoryLink
from wire.messages import to_json
from wire.troubles import Refused, Unavailable, exit_code


class Kept:
    """A screen for a test."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.standings: list[Standing] = []
        self.wants_more = True

    def tell(self, news: News, now_s: float) -> None:
        self.news.append(news)

    def draw(self, fleet: Fleet, standing: Standing, now_s: float) -> bool:
        self.standings.append(standing)
        return self.wants_more

    def close(self) -> None: ...


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(watching_module, "DRAW_S", 0.0)
    return Kept()


def watched(screen: Kept, broker: MemoryBroker) -> tuple[Watching, MemoryLink]:
    watching = Watching(Fleet(FLEET), screen, "memory", lambda: NOW_S)
    link = broker.link("watch", watching.post)
    for kind in ("presence", "telemetry"):
        link.subscribe(topics.from_devices(FLEET, kind))
    return watching, link


def send(link: MemoryLink, message: Received) -> None:
    link.publish(message.topic, message.payload, retain=message.topic.endswith("presence"))


def test_what_arrives_is_told_once_over_broken_connections(screen: Kept) -> None:
    broker = MemoryBroker()
    device = broker.link("a", lambda event: None)
    device.open()
    send(device, said("a", presence(True)))
    watching, link = watched(screen, broker)
    assert not watching.was_connected
    for _ in range(3):
        link.open()
        send(device, said("a", record(1)))
        broker.cut("watch")
        assert watching.step(0.0)
    assert watching.was_connected
    assert [news.kind for news in screen.news] == ["presence", "telemetry"]
    assert screen.news[0].retained and not screen.news[1].retained


def test_the_screen_hears_how_the_connection_stands(screen: Kept) -> None:
    broker = MemoryBroker()
    watching, link = watched(screen, broker)
    watching.step(0.0)
    link.open()
    broker.stop()
    watching.step(0.0)
    whys = [standing.why for standing in screen.standings]
    assert whys[:3] == ["connecting", None, "the broker stopped"], "however soon they follow"


def test_the_end_is_the_screens_to_say(screen: Kept) -> None:
    watching, _ = watched(screen, MemoryBroker())
    screen.wants_more = False
    assert not watching.step(0.0)


def test_a_watcher_that_is_slow_makes_the_link_wait(
    screen: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "MOST_WAITING", 5)
    broker = MemoryBroker()
    watching, link = watched(screen, broker)
    link.open()

    def publish() -> None:
        for seq in range(50):
            send(link, said("a", record(seq)))

    thread = threading.Thread(target=publish)
    thread.start()
    while thread.is_alive() or len(screen.news) < 50:
        assert watching.step(0.05)
    thread.join()
    assert len(screen.news) == 50
    endless = threading.Thread(target=publish)
    endless.start()
    watching.close()
    endless.join(20)
    assert not endless.is_alive(), "and lets it go at the end"


def json_lines(*messages: Received) -> list[dict[str, Any]]:
    known, file = Fleet(FLEET), io.StringIO()
    for message in messages:
        news = known.hear(message, NOW_S)
        if news is not None:
            JsonLines(file).tell(news, NOW_S)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_json_says_the_message_and_who_and_when() -> None:
    (line,) = json_lines(said("a", record(3)))
    assert (line["device"], line["kind"], line["received"]) == ("a", "telemetry", NOW_S)
    assert line["message"] == json.loads(to_json(record(3)))
    assert json_lines(said("a", result()))[0]["message"]["found"][0]["label"] == "seven"


def test_json_says_what_cannot_be_read_and_what_was_taken_away() -> None:
    topic = topics.presence(FLEET, "a")
    lines = json_lines(
        Received(topics.telemetry(FLEET, "a"), b'{"seq": "x"}', False),
        said("a", presence(True)),
        Received(topic, b"", False),
    )
    assert [line["kind"] for line in lines] == ["unreadable", "presence", "presence"]
    assert lines[0]["message"]["kind"] == "telemetry"
    assert "not a Telemetry" in lines[0]["message"]["why"]
    assert lines[2]["message"] is None


def test_lines_say_a_trouble_once(capsys: pytest.CaptureFixture[str]) -> None:
    screen, known = Lines(io.StringIO()), Fleet(FLEET)
    for why in ("no\x1b route", "no\x1b route", None, None):
        assert screen.draw(known, Standing("mqtt://there", why), NOW_S)
    known.beyond = 1
    for _ in range(2):
        screen.draw(known, Standing("mqtt://there", None), NOW_S)
    said_ = capsys.readouterr().err.splitlines()
    assert said_[:2] == ["vedette: no route", "vedette: connected to mqtt://there"]
    assert len(said_) == 3 and "left out" in said_[2]


def test_a_pipe_whose_reader_went_is_noticed_before_it_is_written_to() -> None:
    reads, writes = os.pipe()
    with open(writes, "w") as file:
        assert has_reader(file)
        os.close(reads)
        assert not has_reader(file)
    assert has_reader(io.StringIO())


def test_a_file_gets_lines_and_strange_encodings_do_no_harm(tmp_path: Path) -> None:
    with open(tmp_path / "out", "w", encoding="ascii") as file:
        screen = open_screen(file, None)
        assert isinstance(screen, Lines)
        known = Fleet(FLEET)
        news = known.hear(Received(topics.state(FLEET, "a"), '{"agent":"犬'.encode(), False), NOW_S)
        assert news is not None
        screen.tell(news, NOW_S)
        screen.write("犬")
    assert (tmp_path / "out").read_text().splitlines()[1] == "?"


@pytest.mark.parametrize(
    "words",
    [
        ["--fleet", "a/b"],
        ["--device", "+"],
        ["--broker", "http://localhost"],
        ["--broker", "mqtt://user:secret@localhost"],
        ["--password-file", "x"],
    ],
)
def test_bad_requests_are_said_before_anything_is_shown(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(main, [*words, "--seconds", "5"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("vedette: ") and "secret" not in told.err


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", ""])
def test_seconds_are_a_length_of_time(text: str) -> None:
    with pytest.raises(Exception, match="no length of time"):
        seconds(text)


def test_the_options_name_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--broker", "mqtts://x", "--username", "me", "--password-file", "secret"]
    broker = where_of(parser().parse_args(words)).broker
    assert (broker.url, broker.username) == ("mqtts://x", "me")
    assert broker.password_file == str(tmp_path / "secret")
    with pytest.raises(Refused, match="--username"):
        where_of(parser().parse_args(["--password-file", "x"]))


def test_the_fleet_whose_folder_is_here_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no option names another: broker, name and credentials."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    usual = where_of(parser().parse_args([]))
    assert (usual.fleet, usual.broker.url) == ("home", "mqtt://localhost:1883")
    (tmp_path / "fleet").mkdir()
    toml = 'name = "yard"\n[broker]\nurl = "mqtts://b.lan"\nca_file = "access/ca.pem"\n'
    (tmp_path / "fleet" / "fleet.toml").write_text(toml)
    here = where_of(parser().parse_args(["--username", "ann"]))
    assert (here.fleet, here.broker.url, here.broker.username) == ("yard", "mqtts://b.lan", "ann")
    assert here.broker.ca_file == str(tmp_path / "fleet" / "access" / "ca.pem")
    for words in (["--broker", "mqtt://x"], ["--fleet", "other"]):
        other = where_of(parser().parse_args(words))
        assert (other.fleet, other.broker.ca_file) != ("yard", here.broker.ca_file)
        assert other.fleet in ("home", "other") and other.broker.ca_file is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(Unavailable, match="no fleet's folder"):
        where_of(parser().parse_args([]))
    (tmp_path / "fleet").rename(tmp_path / "none")
    assert where_of(parser().parse_args([])).fleet == "yard"
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    assert "fleet.toml" in (told := capsys.readouterr().out) and VARIABLE in told
