"""How simulated devices obey: whom they believe, what they answer, and what their pictures show."""

from __future__ import annotations

import time
from typing import get_args

import cv2
import msgspec
import numpy as np
import pytest

from fleet.simulate.door import MOST_KEPT, Door
from fleet.simulate.obeying import NOTHING_RUNS, Obedient
from fleet.simulate.picture import DIGITS, EDGE, INK, SQUARE, TALL, WIDE, picture
from fleet.simulate.running import made_up
from fleet.simulate.telling import WATCH_S, Teller
from wire import orders
from wire.messages import LARGEST_SNAPSHOT, Reply, State
from wire.orders import Bench, Command, Order, Restart, Set, Snapshot, Status, Watch
from wire.results import Figures
from wire.signing import SigningKey, make_key

FLEET, NAME, PIPELINE, NOW_S = "yard", "simulated-1", "lane", 1_795_000_000


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[SigningKey, SigningKey]:
    folder = tmp_path_factory.mktemp("keys")
    return make_key(folder / "ours.pem"), make_key(folder / "strangers.pem")


@pytest.fixture
def key(keys: tuple[SigningKey, SigningKey]) -> SigningKey:
    return keys[0]


@pytest.fixture
def stranger(keys: tuple[SigningKey, SigningKey]) -> SigningKey:
    return keys[1]


class Device:
    """A device without a link. now_s: its monotonic clock."""

    def __init__(self, key: SigningKey, allows_snapshots: bool = True) -> None:
        self.key = key
        self.now_s = 0.0
        self.replies: list[Reply] = []
        self.pictures: dict[str, bytes] = {}
        self.states = 0
        self.takes_pictures = True
        self.teller = Teller(NAME, PIPELINE, 60.0, allows_snapshots)
        self.teller.runs = made_up(self.teller.character)
        self.door = Door(FLEET, NAME, allows_snapshots)
        self.door.keys = (key.public,)
        self.obedient = Obedient(self.door, PIPELINE, self.teller, self, "registry")
        self._commands = 0

    def say_state(self) -> None:
        self.states += 1

    def answer(self, reply: Reply) -> None:
        self.replies.append(reply)

    def show(self, identity: str, jpeg: bytes) -> bool:
        self.pictures[identity] = jpeg
        return self.takes_pictures

    def ask(self, order: Order) -> Reply | None:
        """The answer, if it came at once."""
        self._commands += 1
        before = len(self.replies)
        self.send(order, f"id-{self._commands}")
        return self.replies[-1] if len(self.replies) > before else None

    def send(self, order: Order, identity: str) -> None:
        now = int(time.time())
        command = Command(FLEET, NAME, identity, now, now + 60, order)
        self.obedient.take(orders.signed(command, self.key), self.now_s)

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.obedient.tick(self.now_s)


@pytest.fixture
def device(key: SigningKey) -> Device:
    return Device(key)


def signed(key: SigningKey, identity: str = "a", device: str = NAME, age_s: int = 0) -> bytes:
    issued = NOW_S - age_s
    return orders.signed(Command(FLEET, device, identity, issued, issued + 60, Status()), key)


def test_it_believes_its_operators_only(key: SigningKey, stranger: SigningKey) -> None:
    door = Door(FLEET, NAME, allows_snapshots=False)
    for keys, words in (((), "--fetch"), ((stranger.public,), "nobody")):
        door.keys = keys
        said = door.judge(signed(key), NOW_S)
        assert isinstance(said, Reply)
        assert not said.ok
        assert words in said.text
    door.keys = (key.public,)
    assert isinstance(door.judge(signed(key), NOW_S), Command)
    assert door.judge(signed(stranger), NOW_S) is None, "a copy of the id of a true command"
    assert door.judge(b"{}", NOW_S) is None
    for payload, words in (
        (signed(key, "b", device="gate"), "for gate"),
        (signed(key, "c", age_s=61), "expired"),
        (signed(key, "d", age_s=-301), "future"),
    ):
        said = door.judge(payload, NOW_S)
        assert isinstance(said, Reply)
        assert not said.ok
        assert words in said.text


def test_a_command_is_carried_out_once_and_answered_again(key: SigningKey) -> None:
    door = Door(FLEET, NAME, allows_snapshots=False)
    door.keys = (key.public,)
    assert isinstance(door.judge(signed(key), NOW_S), Command)
    assert door.judge(signed(key), NOW_S) is None, "it is under way"
    reply = door.finish(Reply("a", True, "done"))
    assert door.judge(signed(key), NOW_S) == reply
    another = door.judge(signed(key, age_s=1), NOW_S)
    assert isinstance(another, Reply)
    assert "another command had this id" in another.text
    for number in range(MOST_KEPT):
        door.judge(signed(key, f"n{number}"), NOW_S)
    assert door.answered == 1


def test_it_says_how_it_is(device: Device) -> None:
    told = device.ask(Status())
    assert told is not None
    state = msgspec.convert(told.content, State)
    assert state.pipelines[PIPELINE].model == "simulated"
    assert state.snapshots


def test_a_bench_takes_its_time_and_has_the_figures_of_its_board(device: Device) -> None:
    kind = device.teller.character.kind
    assert device.ask(Bench(frames=100)) is None
    busy = device.ask(Bench())
    assert busy is not None
    assert "another bench" in busy.text
    device.passes(0.9 * 100 / kind.fps)
    assert len(device.replies) == 1
    device.passes(100 / kind.fps)
    figures = msgspec.convert(device.replies[-1].content, Figures)
    assert (figures.frames, figures.wanted, figures.model) == (100, 100, "simulated")
    stages = figures.stages_us
    assert stages.inference.p50 < stages.inference.p95 < stages.inference.p99
    assert 0.5 < stages.inference.p50 / (kind.inference_us * device.teller.character.slowness) < 2
    assert device.ask(Bench()) is None, "the next one may begin"
    device.teller.runs = None
    device.passes(1000)
    assert device.replies[-1].text == "the model changed meanwhile: ask again"


def test_without_a_model_there_is_nothing_to_see(device: Device) -> None:
    device.teller.runs = None
    for order in (Bench(), Snapshot()):
        said = device.ask(order)
        assert said is not None
        assert (said.ok, said.text) == (False, NOTHING_RUNS)


def test_a_picture_comes_before_its_reply_where_that_is_allowed(
    device: Device, key: SigningKey
) -> None:
    said = device.ask(Snapshot())
    assert said is not None
    assert said.ok
    assert len(device.pictures[said.id]) < LARGEST_SNAPSHOT
    device.takes_pictures = False
    failed = device.ask(Snapshot())
    assert failed is not None
    assert not failed.ok
    wary = Device(key, allows_snapshots=False)
    refused = wary.ask(Snapshot())
    assert refused is not None
    assert "not allowed" in refused.text
    assert wary.pictures == {}


def test_who_is_watched_says_so_until_it_is_over(device: Device) -> None:
    said = device.ask(Watch(minutes=1))
    assert said is not None
    assert said.text == "telemetry every 10 s for 1 minute"
    assert device.teller.state("broker").telemetry_s == WATCH_S
    device.passes(59)
    assert device.teller.is_watched
    device.passes(2)
    assert device.teller.state("broker").telemetry_s == 60.0
    assert device.states == 2


def test_a_process_that_ended_is_there_again(device: Device) -> None:
    said = device.ask(Restart(pipeline=PIPELINE))
    assert said is not None
    assert said.text == "it ends now"
    device.passes(5)
    assert device.teller.state("broker").pipelines[PIPELINE].restarts == 1
    assert device.teller.telemetry().pipelines[PIPELINE].restarts == 1
    wrong = device.ask(Restart(pipeline="gate"))
    assert wrong is not None
    assert "no pipeline gate" in wrong.text


def test_settings_are_reported(device: Device) -> None:
    said = device.ask(Set(results="every", min_score=0.4, log_level="debug"))
    assert said is not None
    assert said.text == (
        "results of lane is now every, min_score of lane is now 0.4, log_level is now debug"
    )
    state = device.teller.state("broker")
    settings = state.pipelines[PIPELINE].settings
    assert (settings.results, settings.min_score, state.log_level) == ("every", 0.4, "debug")
    back = device.ask(Set(reset=("min_score",)))
    assert back is not None
    assert back.text == "min_score of lane is now as the model has it (as configured)"
    for order in (Set(), Set(telemetry_period_s=30.0), Set(results="off", reset=("results",))):
        refused = device.ask(order)
        assert refused is not None
        assert not refused.ok


def test_every_order_has_an_answer(device: Device) -> None:
    for order in get_args(Order):
        device.ask(order())
    device.passes(1000)
    assert len(device.replies) == len(get_args(Order))


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_picture_is_a_jpeg_that_shows_the_digit(digit: int, place: float) -> None:
    jpeg = picture(digit, place)
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown is not None
    assert shown.shape == (TALL * SQUARE, WIDE * SQUARE)
    squares = shown.reshape(TALL, SQUARE, WIDE, SQUARE).mean(axis=(1, 3))
    dots = sum(bin(row).count("1") for row in DIGITS[digit])
    assert (abs(squares - INK) < 3).sum() == 9 * dots
    assert (abs(squares - EDGE) < 3).sum() == 2 * (19 + 25) - 4
