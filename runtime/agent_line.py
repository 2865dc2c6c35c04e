"""The runtime's end of the local socket: never waits, and comes back when its folder does."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from runtime.panel import printable
from wire.local import (
    Answer,
    FromAgent,
    FromRuntime,
    Mailbox,
    agent_socket,
    pipeline_mailbox,
    pipeline_socket,
)
from wire.troubles import Trouble

MOST_AT_ONCE = 16  # messages that are looked at between two frames
ANSWER_S = 3.0  # how long an answer that finds no room is kept
MOST_ANSWERS = 32
LONGEST_TEXT = 1000


class AgentLine:
    """What one pipeline says to the agent and hears from it.

    unsent: datagrams for which the agent had no room. Where no agent is, nothing is counted.
    """

    def __init__(self, run_folder: Path, pipeline: str, said: Callable[[str], None]) -> None:
        """said: told in one line when the folder cannot be used, and when it can again.

        Raises Unavailable if another process speaks for this pipeline, Refused if the folder's path
        is too long for a socket.
        """
        self.unsent = 0
        self._folder = run_folder
        self._pipeline = pipeline
        self._said = said
        self._agent = agent_socket(run_folder)
        self._answers: deque[tuple[float, Answer]] = deque()
        self._mailbox: Mailbox[FromAgent] | None = None
        self._is_closed = False
        self._trouble = _unusable(run_folder)
        if self._trouble is None:
            self._mailbox = pipeline_mailbox(run_folder, pipeline)
        else:
            said(f"nothing is reported to an agent: {self._trouble}")

    def send(self, message: FromRuntime) -> bool:
        """Whether the agent took it."""
        if self._mailbox is None:
            return False
        fate = self._mailbox.offer(self._agent, message)
        self.unsent += fate == "no_room"
        return fate == "taken"

    def answer(self, id: str, content: bytes | None, text: str, until_s: float) -> None:
        """A wish was granted. Sent at once, or until `until_s` as soon as there is room."""
        self._queue(
            Answer(self._pipeline, id, True, printable(text, LONGEST_TEXT), content), until_s
        )

    def decline(self, id: str, text: str, until_s: float) -> None:
        """A wish was not granted; text: why."""
        self._queue(Answer(self._pipeline, id, False, printable(text, LONGEST_TEXT)), until_s)

    def postpone(self, id: str, text: str, until_s: float) -> None:
        """A wish cannot be granted now, whatever it is about; text: why. It may be wished again."""
        words = printable(text, LONGEST_TEXT)
        self._queue(Answer(self._pipeline, id, False, words, later=True), until_s)

    def _queue(self, answer: Answer, until_s: float) -> None:
        if len(self._answers) < MOST_ANSWERS:
            self._answers.append((until_s, answer))

    def messages(self) -> Iterator[FromAgent]:
        """What the agent wishes: at most MOST_AT_ONCE datagrams, garbage included."""
        mailbox = self._mailbox
        for _ in range(MOST_AT_ONCE):
            if mailbox is None:
                return
            strays = mailbox.strays
            message = mailbox.receive()
            if message is not None:
                yield message
            elif mailbox.strays == strays:
                return

    def push(self, now_s: float) -> None:
        """Send the answers that wait for room."""
        while self._answers and self._mailbox is not None:
            until_s, answer = self._answers[0]
            fate = self._mailbox.offer(self._agent, answer)
            if fate == "no_room" and now_s < until_s:
                return
            self.unsent += fate == "no_room"
            self._answers.popleft()

    def keep_open(self) -> None:
        """Take the address again if somebody removed it or its folder. Call now and then."""
        if self._is_closed or self._is_there():
            return
        if self._mailbox is not None:
            self._mailbox.close()
            self._mailbox = None
        why = _unusable(self._folder)
        if why is None:
            try:
                self._mailbox = pipeline_mailbox(self._folder, self._pipeline)
            except Trouble as trouble:
                why = str(trouble)
        if why is not None and self._trouble is None:
            self._said(f"nothing is reported to an agent any more: {why}")
        elif why is None and self._trouble is not None:
            self._said(f"{self._folder} is there: reporting to the agent")
        self._trouble = why

    def close(self) -> None:
        """Give up the address. May be called twice."""
        self._is_closed = True
        if self._mailbox is not None:
            self._mailbox.close()
            self._mailbox = None

    def _is_there(self) -> bool:
        if self._mailbox is None:
            return False
        try:
            status = os.stat(pipeline_socket(self._folder, self._pipeline))
        except OSError:  # gone, or in a folder that was closed to us
            return False
        return stat.S_ISSOCK(status.st_mode)


def _unusable(folder: Path) -> str | None:
    """Why no socket can be in this folder, which is made if it can be; None if one can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{folder}: cannot be made: {error.strerror}: make it, or name another (--run)"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder}: this user may not write to it: allow it, or name another (--run)"
    return None
