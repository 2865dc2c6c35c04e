"""Which commands were taken and how they were answered: on disk before anything is carried out.

A command is forgotten only to make room, and never while it is valid. What was issued no later
than the newest forgotten one is refused from then on, whatever the clock says, so forgetting can
never let a command be carried out twice.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agent.kept_file import Damage, keep, read_kept
from wire.messages import Reply
from wire.troubles import Refused, Unavailable

MOST = 1000  # commands
MOST_REPLIES = 16  # that are kept in whole
LARGEST_REPLY = 64 * 1024  # bytes; of a larger one only the sentence is kept
SKEW_S = 300  # by which the clocks of device and operator may differ


class Seen(Struct, frozen=True, omit_defaults=True):
    """One command. done: it was carried out, or cut off. reply: None where it is no longer kept.
    digest: of what was signed, so that the same id over another text is noticed."""

    id: str
    issued: int
    expires: int
    digest: str
    done: bool = False
    reply: Reply | None = None


class _Kept(Struct, frozen=True):
    """The file. forgotten_s: what was issued then or before may have been forgotten. latest_s: the
    latest time that was believed."""

    forgotten_s: float
    latest_s: float
    seen: tuple[Seen, ...]


class SeenCommands:
    """At most 1,000 of them. damage: why older ones are unknown, or None. interrupted: answers for
    those that were being carried out when the agent was stopped. forgotten_s, latest_s: as in the
    file."""

    def __init__(self, path: Path, now_s: float) -> None:
        self._path = path
        self.damage: str | None = None
        self.forgotten_s = 0.0
        self.latest_s = 0.0
        self._seen: dict[str, Seen] = {}
        kept = read_kept(path, _Kept)
        if isinstance(kept, Damage):
            # everything in it was issued before it was written, as far as clocks agree
            self.forgotten_s = max(now_s, kept.written_s) + SKEW_S
            self.damage = kept.text
        elif kept is not None:
            self.forgotten_s, self.latest_s = kept.forgotten_s, kept.latest_s
            self._seen = {each.id: each for each in kept.seen}
        self.interrupted = self._end_interrupted()
        if self.interrupted or self.damage:
            with contextlib.suppress(Unavailable):  # it is in memory, and so in every later write
                self._keep()

    def get(self, identity: str) -> Seen | None:
        return self._seen.get(identity)

    def begin(self, command: Seen, believed_s: float, now_s: float) -> None:
        """Remember a command before it is carried out. believed_s: the time that its acceptance
        proves, below which no clock is believed again.

        Raises Refused if there is no room, Unavailable if it cannot be written down; then it is
        not remembered.
        """
        before, forgotten_s, latest_s = dict(self._seen), self.forgotten_s, self.latest_s
        if len(self._seen) >= MOST:
            self._forget_one(now_s)
        self._seen[command.id] = command
        self.latest_s = max(latest_s, believed_s)
        try:
            self._keep()
        except Unavailable:
            self._seen, self.forgotten_s, self.latest_s = before, forgotten_s, latest_s
            raise

    def begin_unwritten(self, command: Seen) -> None:
        """Remember, until the agent ends, a command that may be carried out twice."""
        if len(self._seen) < MOST:
            self._seen[command.id] = command

    def finish(self, identity: str, reply: Reply) -> Reply:
        """Keep the answer; the first one, if there are two."""
        seen = self._seen.get(identity)
        if seen is None or seen.done:
            return (seen.reply if seen else None) or reply
        self._seen[identity] = replace(seen, done=True, reply=_small(reply))
        answered = [each for each in self._seen.values() if each.reply is not None]
        for old in answered[:-MOST_REPLIES]:
            self._seen[old.id] = replace(old, reply=None)
        with contextlib.suppress(Unavailable):  # the command is known to have begun: that is enough
            self._keep()
        return reply

    def _forget_one(self, now_s: float) -> None:
        over = [each for each in self._seen.values() if each.done and each.expires < now_s]
        if not over:
            raise Refused(f"{MOST} commands are valid at this moment: wait until some expire")
        oldest = min(over, key=lambda each: each.issued)
        del self._seen[oldest.id]
        self.forgotten_s = max(self.forgotten_s, float(oldest.issued))

    def _end_interrupted(self) -> tuple[Reply, ...]:
        replies = tuple(
            Reply(
                each.id,
                False,
                "the agent was restarted while doing this: look at the state, then ask again with "
                "a new command",
            )
            for each in self._seen.values()
            if not each.done
        )
        for reply in replies:
            self._seen[reply.id] = replace(self._seen[reply.id], done=True, reply=reply)
        return replies

    def _keep(self) -> None:
        keep(self._path, _Kept(self.forgotten_s, self.latest_s, tuple(self._seen.values())))


def _small(reply: Reply) -> Reply:
    small = len(msgspec.json.encode(reply)) <= LARGEST_REPLY
    return reply if small else replace(reply, content=None)
