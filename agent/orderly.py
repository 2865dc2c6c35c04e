"""Carries out what was commanded: at once where the agent can, by a runtime where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from agent.clock import Clock
from agent.commander import Accepted, Commander
from agent.runtimes import Errand, Runtimes
from agent.settings import Settings
from wire import orders
from wire.local import Answer, Leave, RunBench, TakeSnapshot
from wire.messages import LARGEST_SNAPSHOT, Reply, State
from wire.troubles import Trouble

SNAPSHOT_S, RESTART_S, BENCH_S = 8.0, 10.0, 180.0  # how long a runtime may take

Picture = Callable[[str, bytes], bool]  # id, JPEG -> whether it was sent


@dataclass(frozen=True)
class Deeds:
    """What an order may do to the agent."""

    state: Callable[[], State]
    watch: Callable[[float], None]  # seconds
    settings_changed: Callable[[], None]
    send_picture: Picture


class Orderly:
    """Takes the payloads of commands; gives replies, some at once, some later."""

    def __init__(
        self,
        commander: Commander,
        runtimes: Runtimes,
        settings: Settings,
        clock: Clock,
        deeds: Deeds,
    ) -> None:
        self._commander = commander
        self._runtimes = runtimes
        self._settings = settings
        self._clock = clock
        self._deeds = deeds

    def take(self, payload: bytes) -> Reply | None:
        """The reply to a command, or None: there is none, or it comes later."""
        taken = self._commander.take(payload, self._clock.wall_s())
        if not isinstance(taken, Accepted):
            return taken
        command = taken.command
        try:
            reply = self._carry_out(command.id, command.order)
        except Trouble as trouble:
            reply = Reply(command.id, False, str(trouble))
        return None if reply is None else self._commander.finish(command.id, reply)

    def interrupted(self) -> list[Reply]:
        """Replies to what an agent before us was cut off in. Each is given once."""
        replies, self._commander.interrupted = list(self._commander.interrupted), ()
        return replies

    def answered(self, answer: Answer) -> Reply | None:
        """The reply that a runtime's answer makes possible."""
        errand = self._runtimes.answered(answer)
        if errand is None:
            return None
        return self._commander.finish(errand.id, self._reply(answer))

    def overdue(self) -> list[Reply]:
        """Replies to what no runtime has answered in time."""
        return [
            self._commander.finish(
                errand.id,
                Reply(errand.id, False, f"pipeline {errand.pipeline} did not answer in time"),
            )
            for errand in self._runtimes.overdue(self._clock.uptime_s())
        ]

    def _carry_out(self, identity: str, order: orders.Order) -> Reply | None:
        if isinstance(order, orders.Status):
            content = msgspec.to_builtins(self._deeds.state())
            return Reply(identity, True, "the state", content)
        if isinstance(order, orders.Watch):
            self._deeds.watch(order.minutes * 60.0)
            plural = "" if order.minutes == 1 else "s"
            said = f"telemetry every 10 s for {order.minutes} minute{plural}"
            return Reply(identity, True, said)
        if isinstance(order, orders.Set):
            said = self._settings.apply(order)
            self._deeds.settings_changed()
            return Reply(identity, True, said)
        pipeline = orders.pipeline_of(order, self._runtimes.names)
        if isinstance(order, orders.Snapshot):
            return self._ask(pipeline, TakeSnapshot(identity, LARGEST_SNAPSHOT), SNAPSHOT_S)
        if isinstance(order, orders.Bench):
            return self._ask(pipeline, RunBench(identity, order.frames), BENCH_S)
        return self._ask(pipeline, Leave(identity), RESTART_S)

    def _ask(
        self, pipeline: str, wish: TakeSnapshot | RunBench | Leave, patience_s: float
    ) -> Reply | None:
        errand = Errand(wish.id, pipeline, self._clock.uptime_s() + patience_s)
        if self._runtimes.ask(errand, wish):
            return None
        return Reply(
            wish.id, False, f"the process of pipeline {pipeline} is not there or does not listen"
        )

    def _reply(self, answer: Answer) -> Reply:
        if not answer.ok or answer.content is None:
            return Reply(answer.id, answer.ok, answer.text)
        if answer.content[:1] != b"{":
            if self._deeds.send_picture(answer.id, answer.content):
                return Reply(answer.id, True, answer.text)
            return Reply(answer.id, False, "the picture could not be sent: ask again")
        try:
            return Reply(
                answer.id, True, answer.text, msgspec.json.decode(answer.content, type=dict)
            )
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return Reply(answer.id, False, "the runtime's figures cannot be read")
