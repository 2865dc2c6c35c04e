"""Which commands are carried out, once, and what everybody else is told."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import seen
from agent.commander import Accepted, Commander
from tests.laws.sources import ROOT
from wire import config, orders
from wire.messages import Reply
from wire.orders import Bench, Command, Order, Set, Snapshot, Status, Watch
from wire.signing import SigningKey, make_key

NOW = 1_800_000_000.0
YEAR_S = 366 * 86400.0
numbers = itertools.count()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_key(tmp_path_factory.mktemp("keys") / "ops.pem")


def configured(*keys: str, snapshot: bool = False) -> config.Config:
    allowed = ", ".join(f'"{each}"' for each in keys)
    text = (
        f'fleet = "home"\ndevice = "door-cam"\n[broker]\nurl = "mqtt://localhost"\n'
        f"[commands]\nkeys = [{allowed}]\nsnapshot = {str(snapshot).lower()}\n"
    )
    return config.parse(text, "vedette.toml")


class Desk:
    """A device's commander and an operator who knows its key."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.folder = folder
        self.key = key
        self.config = configured(key.public)
        self.restart()

    def restart(self, now_s: float = NOW) -> None:
        self.commander = Commander(self.folder, self.config, now_s)

    def payload(
        self,
        order: Order,
        *,
        identity: str = "",
        issued: float = NOW,
        lifetime_s: int = 60,
        fleet: str = "home",
        device: str = "door-cam",
        key: SigningKey | None = None,
    ) -> bytes:
        begun = int(issued)
        identity = identity or f"id{next(numbers)}"
        command = Command(fleet, device, identity, begun, begun + lifetime_s, order)
        return orders.signed(command, key or self.key)

    def done(self, payload: bytes, now_s: float = NOW) -> Reply:
        """Take, carry out and answer."""
        accepted = self.commander.take(payload, now_s)
        assert isinstance(accepted, Accepted), accepted
        identity = accepted.command.id
        return self.commander.finish(identity, Reply(identity, True, "done", {"frames": 7}))

    def no(self, payload: bytes, now_s: float = NOW) -> str:
        """Take, and why it is refused."""
        answer = self.commander.take(payload, now_s)
        assert isinstance(answer, Reply) and not answer.ok, answer
        return answer.text


@pytest.fixture
def desk(tmp_path: Path, key: SigningKey) -> Desk:
    return Desk(tmp_path, key)


def test_a_good_command_is_accepted_as_it_was_signed(desk: Desk, key: SigningKey) -> None:
    accepted = desk.commander.take(desk.payload(Watch(7), identity="w1"), NOW)
    assert isinstance(accepted, Accepted)
    assert accepted.command.order == Watch(7)
    assert accepted.command.id == "w1"
    assert accepted.key == key.public


def test_the_same_id_again_is_not_carried_out_again(desk: Desk) -> None:
    payload = desk.payload(Watch())
    assert isinstance(desk.commander.take(payload, NOW), Accepted)
    assert desk.commander.take(payload, NOW + 1) is None, "it is being carried out"
    (identity,) = desk.commander._seen._seen
    reply = desk.commander.finish(identity, Reply(identity, True, "done", {"a": [1, None]}))
    assert desk.commander.take(payload, NOW + 2) == reply
    desk.restart()
    assert desk.commander.take(payload, NOW + 3) == reply
    assert desk.commander.take(payload, NOW + 3600) == reply, "whoever waits long gets the same"
    late = desk.commander.finish(identity, Reply(identity, False, "too slow"))
    assert late == reply, "the first answer stays"


def test_what_was_cut_off_is_answered_after_the_restart(desk: Desk) -> None:
    payload = desk.payload(Bench(), identity="b1")
    assert isinstance(desk.commander.take(payload, NOW), Accepted)
    desk.restart()
    (reply,) = desk.commander.interrupted
    assert reply.id == "b1" and not reply.ok and "restarted" in reply.text
    assert desk.commander.take(payload, NOW + 1) == reply
    desk.restart()
    assert desk.commander.interrupted == ()
    assert desk.commander.take(payload, NOW + 2) == reply


def test_others_are_told_why_not(desk: Desk, key: SigningKey, tmp_path: Path) -> None:
    thief = make_key(tmp_path / "thief.pem")
    unsigned = json.dumps({"body": json.loads(desk.payload(Status()))["body"]}).encode()
    forged = json.loads(desk.payload(Status(), key=thief)) | {"key": key.public[:16]}
    assert "not signed" in desk.no(unsigned, NOW)
    assert "does not know the key" in desk.no(desk.payload(Status(), key=thief), NOW + 10)
    assert "changed on its way" in desk.no(json.dumps(forged).encode(), NOW + 20)
    assert desk.commander.forged == 3
    desk.config = configured()
    desk.restart()
    assert "takes no commands" in desk.no(desk.payload(Status()))


def test_commands_for_others_are_refused(desk: Desk) -> None:
    assert "for roof-cam of fleet home" in desk.no(desk.payload(Status(), device="roof-cam"))
    assert "for door-cam of fleet work" in desk.no(desk.payload(Status(), fleet="work"))


def test_the_time_of_a_command_is_judged_and_told(desk: Desk) -> None:
    clock = "by this device's clock it is 2027-01-15 08:00:00 UTC"
    old = desk.no(desk.payload(Status(), issued=NOW - 60))
    assert "expired at 2027-01-15 08:00:00 UTC" in old and clock in old
    early = desk.no(desk.payload(Status(), issued=NOW + 301))
    assert "from the future, 2027-01-15 08:05:01 UTC" in early and clock in early
    assert "1 s to 1 h" in desk.no(desk.payload(Status(), lifetime_s=3601))
    assert "1 s to 1 h" in desk.no(desk.payload(Status(), lifetime_s=0))
    desk.done(desk.payload(Status(), issued=NOW - 59))
    desk.done(desk.payload(Status(), issued=NOW - 3599, lifetime_s=3600))
    desk.done(desk.payload(Status(), issued=NOW + 300))


def test_snapshots_only_where_they_are_allowed(desk: Desk, key: SigningKey) -> None:
    payload = desk.payload(Snapshot("door"))
    why = desk.no(payload)
    assert "snapshot = true under [commands]" in why
    desk.config = configured(key.public, snapshot=True)
    desk.restart()
    assert desk.done(payload).ok, "a refusal is not remembered"


def test_an_order_that_is_not_known_is_answered(desk: Desk, key: SigningKey) -> None:
    body = json.loads(json.loads(desk.payload(Status(), identity="n1"))["body"])
    body["order"] = {"verb": "fly", "height_m": 3}
    text = json.dumps(body)
    outer = json.loads(desk.payload(Status()))
    import base64

    outer["body"] = text
    outer["signature"] = base64.b64encode(key.sign(orders.DOMAIN + text.encode())).decode()
    answer = desk.commander.take(json.dumps(outer).encode(), NOW)
    assert isinstance(answer, Reply) and answer.id == "n1"
    assert "write status, snapshot" in answer.text


def test_garbage_is_counted_and_not_answered(desk: Desk) -> None:
    for payload in (b"", b"{}", b"\xff" * 100, b'{"body":"{}"}', b"x" * 100_000):
        assert desk.commander.take(payload, NOW) is None
    assert desk.commander.garbage == 5
    assert os.listdir(desk.folder) == []


def test_strangers_cannot_make_it_talk_much(desk: Desk, tmp_path: Path) -> None:
    thief = make_key(tmp_path / "thief.pem")
    answers = [
        desk.commander.take(desk.payload(Status(), key=thief), NOW + number / 100)
        for number in range(1000)
    ]
    assert 9 <= sum(answer is not None for answer in answers) <= 11, "ten seconds, one a second"
    assert desk.commander.forged == 1000
    assert desk.done(desk.payload(Status()), NOW + 10).ok, "and the operator gets through"


def test_old_commands_sent_again_and_again_are_not_answered_for_ever(desk: Desk) -> None:
    payload = desk.payload(Status())
    desk.done(payload)
    answers = [desk.commander.take(payload, NOW + number / 100) for number in range(1000)]
    assert 10 <= sum(answer is not None for answer in answers) <= 20
    for jump_s in (-YEAR_S, YEAR_S):
        assert desk.commander.take(payload, NOW + jump_s) is not None, "a jump does not block it"


def test_a_clock_that_falls_back_lets_nothing_in_again(desk: Desk) -> None:
    """Neither what was done, nor what was held back until it expired."""
    done = desk.payload(Watch(), issued=NOW)
    held = desk.payload(Set(log_level="debug"), issued=NOW - 30)
    first = desk.done(done)
    desk.done(desk.payload(Watch(), issued=NOW + 100), NOW + 100)
    for restart in (False, True):
        if restart:
            desk.restart(now_s=0.0)
        then_s = NOW - 10 * YEAR_S
        assert desk.commander.take(done, then_s) == first
        why = desk.no(held, then_s)
        assert "expired" in why and "by this device's clock it is 2017" in why
        assert "the newest command that it believed is of 2027-01-15 08:01:40" in why
    assert desk.done(desk.payload(Status(), issued=NOW + 110), NOW - 10 * YEAR_S).ok


def test_a_clock_that_jumped_ahead_for_a_while_does_not_lock_the_operator_out(desk: Desk) -> None:
    assert "expired" in desk.no(desk.payload(Status()), NOW + 50 * YEAR_S)
    assert "expired" in desk.no(desk.payload(Status()), 1e18), "a year that no calendar has"
    desk.restart(NOW + 50 * YEAR_S)
    assert desk.done(desk.payload(Status()), NOW).ok


def test_an_operator_whose_clock_is_ahead_does_not_shut_the_others_out(desk: Desk) -> None:
    assert desk.done(desk.payload(Status(), issued=NOW + 299)).ok
    assert desk.done(desk.payload(Status(), issued=NOW, lifetime_s=10)).ok


def test_the_same_id_over_another_text_is_another_command(desk: Desk) -> None:
    desk.done(desk.payload(Status(), identity="twice"))
    other = desk.payload(Set(log_level="debug"), identity="twice")
    for restart in (False, True):
        if restart:
            desk.restart()
        assert "another command had this id" in desk.no(other, NOW + 1)


def test_a_forged_copy_does_not_talk_the_operator_out_of_the_answer(desk: Desk) -> None:
    """Who sees a command pass can send its id again, unsigned, before it was answered."""
    payload = desk.payload(Bench(), identity="b1")
    forged = json.loads(payload) | {"signature": ""}
    assert isinstance(desk.commander.take(payload, NOW), Accepted)
    assert desk.commander.take(json.dumps(forged).encode(), NOW + 1) is None
    assert desk.commander.forged == 1
    desk.commander.finish("b1", Reply("b1", True, "done"))
    assert desk.commander.take(json.dumps(forged).encode(), NOW + 60) is None


def fill(desk: Desk, count: int, issued: float, lifetime_s: int) -> list[bytes]:
    payloads = [
        desk.payload(Watch(), issued=issued + number, lifetime_s=lifetime_s)
        for number in range(count)
    ]
    for number, payload in enumerate(payloads):
        assert desk.done(payload, issued + number).ok
    return payloads


def test_memory_is_bounded_and_forgetting_lets_nothing_in_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "MOST", 20)
    old = fill(desk, 20, NOW, 10)
    fill(desk, 15, NOW + 100, 10)
    assert len(json.loads((desk.folder / "commands.json").read_bytes())["seen"]) == 20
    for then_s in (NOW, NOW + 5, NOW - YEAR_S):
        desk.restart(then_s)
        for payload in old:
            answer = desk.commander.take(payload, then_s)
            assert not isinstance(answer, Accepted)


def test_no_valid_command_is_forgotten_to_make_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "MOST", 20)
    fill(desk, 20, NOW, 600)
    why = desk.no(desk.payload(Watch(), issued=NOW + 20), NOW + 20)
    assert "20 commands are valid" in why
    assert desk.done(desk.payload(Watch(), issued=NOW + 700), NOW + 700).ok


def test_the_file_stays_small(desk: Desk) -> None:
    content: dict[str, object] = {"state": "x" * 60_000}
    for _ in range(40):
        payload = desk.payload(Watch())
        accepted = desk.commander.take(payload, NOW)
        assert isinstance(accepted, Accepted)
        reply = Reply(accepted.command.id, True, "done", content)
        assert desk.commander.finish(accepted.command.id, reply) == reply
    assert (desk.folder / "commands.json").stat().st_size < 17 * 64 * 1024
    first = desk.payload(Watch(), identity="huge")
    desk.commander.take(first, NOW)
    huge = Reply("huge", True, "done", {"state": "x" * 100_000})
    assert desk.commander.finish("huge", huge) == huge
    assert desk.commander.take(first, NOW) == Reply("huge", True, "done")


def test_an_answer_that_is_no_longer_kept_is_not_made_up(desk: Desk) -> None:
    first = desk.payload(Watch())
    desk.done(first)
    for _ in range(16):
        desk.done(desk.payload(Watch()))
    assert "done before, and the answer is no longer kept" in desk.no(first)


def test_replies_can_be_read_by_their_readers(desk: Desk) -> None:
    payload = desk.payload(Watch(), identity="w1")
    desk.commander.take(payload, NOW)
    reply = desk.commander.finish("w1", Reply("w1", False, "two\nlines\x1b" + "x" * 2000))
    assert len(reply.text) == 1000 and reply.text.startswith("two\\nlines\\x1bx")
    assert desk.commander.take(payload, NOW) == reply


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"seen":[{"id":3}]}', b"\xff\xfe" * 99])
def test_a_damaged_file_is_moved_aside_and_what_may_have_been_in_it_is_refused(
    desk: Desk, content: bytes
) -> None:
    before = desk.payload(Watch(), lifetime_s=3600)
    desk.done(before)
    (desk.folder / "commands.json").write_bytes(content)
    os.utime(desk.folder / "commands.json", (NOW, NOW))
    desk.restart(now_s=NOW + 10)
    assert desk.commander.damage is not None and "commands.json" in desk.commander.damage
    assert (desk.folder / "commands.json.damaged").read_bytes() == content
    why = desk.no(before, NOW + 11)
    assert "remembers only commands issued after 2027-01-15 08:05:10 UTC" in why
    desk.restart(now_s=NOW + 20)
    assert desk.commander.damage is None
    desk.no(before, NOW + 21)
    assert desk.done(desk.payload(Watch(), issued=NOW + 320), NOW + 320).ok


def test_damage_found_by_a_clock_that_is_years_behind(desk: Desk) -> None:
    """A board without a clock of its own starts in 1970: the file's own time counts."""
    before = desk.payload(Watch(), lifetime_s=3600)
    desk.done(before)
    (desk.folder / "commands.json").write_bytes(b"...")
    os.utime(desk.folder / "commands.json", (NOW + 5, NOW + 5))
    desk.restart(now_s=100.0)
    assert "remembers only" in desk.no(before, NOW + 60), "the clock is right again"


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def test_damage_on_a_full_disk_is_found_by_the_next_start_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = desk.payload(Watch(), lifetime_s=3600)
    desk.done(before)
    (desk.folder / "commands.json").write_bytes(b"...")
    with monkeypatch.context() as patched:
        full_disk(patched)
        desk.restart()
    desk.restart(NOW + 1)
    assert desk.commander.damage is not None
    assert "remembers only" in desk.no(before, NOW + 2)


def test_on_a_full_disk_nothing_is_done_but_the_state_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = desk.payload(Watch())
    status = desk.payload(Status())
    with monkeypatch.context() as patched:
        full_disk(patched)
        why = desk.no(refused)
        assert "nothing was done" in why and "No space left" in why
        first = desk.done(status)
        assert desk.commander.take(status, NOW) == first
    assert desk.done(refused).ok, "there is room again, and it was not done before"


def test_a_state_folder_that_is_not_there_is_said(tmp_path: Path, key: SigningKey) -> None:
    desk = Desk(tmp_path / "gone", key)
    assert "nothing was done" in desk.no(desk.payload(Watch()))


CHILD = """
import os, sys
from pathlib import Path
from agent.commander import Accepted, Commander
from tests.unit.test_commander import configured
commander = Commander(Path(sys.argv[1]), configured(sys.argv[2]), float(sys.argv[3]))
for line in sys.stdin:
    taken = commander.take(line.strip().encode(), float(sys.argv[3]))
    print(taken.command.id if isinstance(taken, Accepted) else "no", flush=True)
"""


def test_kill_9_right_after_accepting_does_not_let_it_in_again(desk: Desk) -> None:
    """The process says that it begins, and dies: whoever comes next knows."""
    payload = desk.payload(Watch(), identity="k1")
    words = [sys.executable, "-c", CHILD, str(desk.folder), desk.key.public, str(NOW)]
    child = subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin and child.stdout
    with child.stdin, child.stdout:
        child.stdin.write(payload.decode() + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "k1\n"
        child.send_signal(signal.SIGKILL)
        child.wait(30)
    desk.restart()
    assert [reply.id for reply in desk.commander.interrupted] == ["k1"]
    assert "restarted while doing this" in desk.no(payload)


def test_it_is_on_disk_before_it_is_accepted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves is decided by the order: the file, its name, then the deed."""
    steps: list[str] = []
    fsync: Callable[[int], None] = os.fsync

    def noted(descriptor: int) -> None:
        steps.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    assert isinstance(desk.commander.take(desk.payload(Watch(), identity="o1"), NOW), Accepted)
    assert steps == [".commands.json.new", desk.folder.name]
    kept = json.loads((desk.folder / "commands.json").read_bytes())
    assert [each["id"] for each in kept["seen"]] == ["o1"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-400, 400), st.booleans()), max_size=30))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_ever_done_twice(
    tmp_path_factory: pytest.TempPathFactory,
    key: SigningKey,
    steps: list[tuple[int, int, bool]],
) -> None:
    """Six commands, sent in any order, at any time, forwards and back, with any restarts."""
    desk = Desk(tmp_path_factory.mktemp("device"), key)
    payloads = [desk.payload(Watch(), issued=NOW + 50 * number) for number in range(6)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(seen, "MOST", 3)
        done: list[str] = []
        for number, offset_s, restart in steps:
            now_s = NOW + offset_s
            taken = desk.commander.take(payloads[number], now_s)
            if isinstance(taken, Accepted):
                done.append(taken.command.id)
                if not restart:
                    desk.commander.finish(taken.command.id, Reply(taken.command.id, True, "done"))
            if restart:
                desk.restart(now_s)
    assert len(done) == len(set(done))


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_harm_it(desk: Desk, payload: bytes) -> None:
    assert desk.commander.take(payload, NOW) is None
