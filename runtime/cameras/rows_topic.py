"""A camera that gives rows of numbers which somebody publishes on an MQTT topic.

`rows+mqtt://USER@HOST:1883/TOPIC#password_file=PATH&columns=a,b`, `rows+mqtts://` with TLS (port
8883). One message is one row: a JSON object by the columns' names, a JSON array, or a line of CSV.
The newest is lent; with `queue=N` as many as N wait for their turn.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass
from urllib.parse import unquote

from runtime.cameras.network_uri import ENCRYPTED, FILES, Target, read
from runtime.cameras.row_buffers import RowBuffers
from runtime.cameras.rows import columns_of, taken
from runtime.frames import Aim, Frame, Layout, Losses
from runtime.rows import Floats, Picker, picker, read_message
from wire.config import Broker
from wire.link import Connected, Disconnected, LinkEvent, Received
from wire.mqtt.mqtt import MqttLink
from wire.troubles import Refused, Unavailable

KEYS = ("columns", "queue", "silence", "certificate_file", "key_file")
QUEUE, SILENCE_S = (1, 1000), (1, 86_400)
USUAL_SILENCE_S = 10.0
LARGEST = 512 * 1024  # bytes of a message
FIRST_ANSWER_S = 5.0  # the loop stands still meanwhile

log = logging.getLogger("vedette.cameras")


@dataclass(frozen=True)
class Message:
    """One that waits to be read. came_ns: on the monotonic clock."""

    seq: int
    payload: bytes
    came_ns: int


class TopicRows:
    """Lends the rows of a topic. seq: of the message. captured_ns: when it came; what it took to
    come here is not known. A message that is no row, or not one of the model's, counts as refused.

    The link's thread puts messages into a line, everything else happens on the reader's.
    """

    def __init__(self, target: Target, broker: Broker, topic: str) -> None:
        """Raises Refused."""
        address = target.address
        self.target = target
        self.layout: Layout = RowBuffers().layout
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self.is_waiting = False
        self._broker = broker
        self._topic = topic
        self._given = columns_of(address)
        self._most = int(address.number("queue", *QUEUE) or 1)
        self._silence_s = address.number("silence", *SILENCE_S) or USUAL_SILENCE_S
        self._buffers = RowBuffers()
        self._pickers: dict[tuple[tuple[str, ...], int], Picker] = {}
        self._picked_for: Aim | None = None
        self._link: MqttLink | None = None
        self._has_news = threading.Condition()  # guards the four below
        self._line: deque[Message] = deque()
        self._trouble: str | None = None  # why there is no connection
        self._heard_s: float | None = None  # when the newest message came, or the connection
        self._count = 0
        self._complaint = ""
        self._link_of(broker)  # raises what its options can never be

    def start(self) -> None:
        self.stop()
        self._trouble = self._heard_s = None
        self._shape_as_expected()
        link = self._link = self._link_of(self._broker)
        link.subscribe(self._topic)
        link.open()
        with self._has_news:
            self._has_news.wait_for(self._has_answer, FIRST_ANSWER_S)
            why = self._trouble
            is_there = self._heard_s is not None
        if not is_there:
            self.stop()
            told = why or f"no answer within {FIRST_ANSWER_S:g} s"
            raise Unavailable(f"{self.target.shown}: {told}")
        self.absent = None

    def read(self, timeout: float) -> Frame | None:
        if self._link is None:
            raise RuntimeError("the topic was not opened")
        end_s = time.monotonic() + timeout
        if not self._buffers.has_room and self._buffers.layout.width:
            time.sleep(timeout)  # perhaps another thread gives one back meanwhile
            return None
        while (message := self._next(end_s)) is not None:
            try:
                frame = self._frame(message)
            except Refused as trouble:
                self._refuse(str(trouble))
                continue
            self.absent, self.is_waiting = None, False
            return frame
        self._judge_silence()
        return None

    def stop(self) -> None:
        link, self._link = self._link, None
        self.is_waiting = False
        if link is not None:
            link.close()
        with self._has_news:
            self._line.clear()

    def _link_of(self, broker: Broker) -> MqttLink:
        return MqttLink(broker, f"rows-{secrets.token_hex(6)}", self._hear)

    def _hear(self, event: LinkEvent) -> None:
        """On the link's thread."""
        now_ns = time.monotonic_ns()
        with self._has_news:
            if isinstance(event, Received):
                if len(self._line) >= self._most:
                    self._line.popleft()
                    self.losses.skipped += 1
                self._line.append(Message(self._count, event.payload, now_ns))
                self._count += 1
                self._heard_s = now_ns / 1e9
            elif isinstance(event, Connected):
                self._trouble, self._heard_s = None, now_ns / 1e9
            elif isinstance(event, Disconnected):
                self._trouble, self._heard_s = event.why, None
            self._has_news.notify_all()

    def _has_answer(self) -> bool:
        return self._heard_s is not None or self._trouble is not None

    def _next(self, end_s: float) -> Message | None:
        with self._has_news:
            left_s = max(0.0, end_s - time.monotonic())
            self._has_news.wait_for(lambda: bool(self._line), left_s)
            return self._line.popleft() if self._line else None

    def _frame(self, message: Message) -> Frame:
        """Raises Refused for a message that is no row of the model's."""
        if len(message.payload) > LARGEST:
            raise Refused(f"a message of {len(message.payload)} bytes: {LARGEST} are the most")
        row = read_message(message.payload)
        names = tuple(row) if isinstance(row, dict) else self._given
        cells = list(row.values()) if isinstance(row, dict) else row
        assert isinstance(cells, list)
        fitting = self._fit(names, cells, isinstance(row, dict))
        self._buffers.shape(len(fitting.places), fitting.columns)
        self.layout = self._buffers.layout

        def fill(memory: Floats) -> None:
            fitting.into(cells, memory)

        return self._buffers.lend(message.seq, message.came_ns, fill)

    def _fit(self, names: tuple[str, ...], cells: list[object], is_named: bool) -> Picker:
        """How to read rows of this form. Raises Refused."""
        if self.aim is not self._picked_for:
            self._pickers.clear()
            self._picked_for = self.aim
        found = self._pickers.get((names, len(cells)))
        if found is None:
            wanted, count = taken(self.aim)
            if is_named and not wanted:
                wanted = self._given
            if is_named and not wanted and count is not None:
                raise Refused(
                    "an object by names, and nothing says which the model takes: name them in "
                    "[row] columns of its manifest, or as columns=A,B in the camera's URI"
                )
            found = picker(names, wanted, count, cells)
            self._pickers.clear()  # senders have one form, or few: no stranger fills memory
            self._pickers[names, len(cells)] = found
        return found

    def _shape_as_expected(self) -> None:
        """What the first row will look like, as far as that is known."""
        wanted, count = taken(self.aim)
        columns = wanted or self._given
        if count or columns:
            self._buffers.shape(count or len(columns), columns)
        self.layout = self._buffers.layout

    def _refuse(self, why: str) -> None:
        self.losses.refused += 1
        if why != self._complaint:
            log.warning("%s: a message is left out: %s", self.target.shown, why)
        self._complaint = why

    def _judge_silence(self) -> None:
        with self._has_news:
            trouble, heard_s = self._trouble, self._heard_s
        if heard_s is None:
            self.absent, self.is_waiting = trouble or "the connection is being made", False
        elif time.monotonic() - heard_s > self._silence_s:
            self.absent = (
                f"no row for {self._silence_s:g} s: is anybody publishing on {self._topic}?"
            )
            self.is_waiting = False
        else:
            self.is_waiting = self.absent is None


def make(uri: str) -> TopicRows:
    """The camera that a `rows+mqtt:` URI asks for. Raises Refused with what is allowed."""
    target = read(uri, KEYS)
    address = target.address
    topic = unquote(target.path[1:])
    if not topic or "\0" in topic:
        raise Refused(f"{target.shown}: names no topic: write rows+mqtt://HOST/TOPIC")
    if target.password is not None:
        raise Refused(
            f"{target.shown}: a password has no place in an address, which others are shown: "
            "write USER@HOST and #password_file=PATH at the end"
        )
    if "timeout" in address.given:
        raise address.refused("there is no option 'timeout': use silence, in seconds")
    if (target.user is None) != ("password_file" not in address.given):
        raise address.refused("a name needs its password: write USER@HOST and #password_file=PATH")
    scheme = "mqtts" if target.scheme in ENCRYPTED else "mqtt"
    files = {key: address.given.get(key) for key in (*FILES, "certificate_file", "key_file")}
    return TopicRows(
        target,
        Broker(
            url=f"{scheme}://{target.authority}",
            username=target.user,
            password_file=files["password_file"],
            ca_file=files["ca_file"],
            certificate_file=files["certificate_file"],
            key_file=files["key_file"],
        ),
        topic,
    )
