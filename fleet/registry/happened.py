"""Events and the lives of updates: written with a batch."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, insert, select, update

from fleet.registry.naming import short
from fleet.registry.rows import Values, add
from fleet.registry.tables import EVENT, LIFE
from fleet.registry.words import Heard, PhaseStep
from wire.messages import Event, Update

MOST_STEPS = 32

steps_to_bytes = msgspec.msgpack.Encoder().encode
steps_from_bytes = msgspec.msgpack.Decoder(list[PhaseStep]).decode


def plain(text: str) -> str:
    """As it may be kept: PostgreSQL takes no NUL."""
    return text.replace("\0", "")


class Happenings:
    """Of one transaction. newest: the last id that was given."""

    def __init__(self, connection: Connection, newest: int) -> None:
        self._connection = connection
        self.newest = newest
        self._rows: list[Values] = []

    def add(self, device: int, event: Event, at_s: float, heard: Heard) -> None:
        self.newest += 1
        self._rows.append(
            {
                "id": self.newest, "device": device, "at_s": at_s, "heard_s": heard.at_s,
                "kind": event.kind, "subject": event.subject,
                "pipeline": None if event.pipeline is None else short(event.pipeline),
                "text": plain(event.text), "payload": heard.payload,
            }
        )  # fmt: skip
        if event.update is not None:
            self._live(device, short(event.pipeline or ""), event.update, at_s)

    def store(self) -> None:
        add(self._connection, EVENT, self._rows)

    def _live(self, device: int, pipeline: str, told: Update, at_s: float) -> None:
        """An update came into another phase; or that is told late."""
        of: Values = {
            "device": device, "pipeline": pipeline, "model": short(told.model),
            "version": short(told.version), "deployment": told.deployment,
        }  # fmt: skip
        conditions = [LIFE.c[name] == value for name, value in of.items()]
        known = self._connection.execute(select(LIFE.c.id, LIFE.c.steps).where(*conditions)).first()
        steps = [] if known is None else steps_from_bytes(known.steps)
        reason = None if told.reason is None else plain(told.reason)
        steps.append(PhaseStep(told.phase, at_s, told.percent, reason))
        steps = sorted(steps, key=lambda step: step.at_s)[-MOST_STEPS:]
        values: Values = {
            "phase": steps[-1].phase, "began_s": steps[0].at_s, "changed_s": steps[-1].at_s,
            "steps": steps_to_bytes(steps),
        }  # fmt: skip
        if told.digest is not None:
            values["digest"] = short(told.digest)
        if known is None:
            self._connection.execute(insert(LIFE).values(**of, **values))
        else:
            self._connection.execute(update(LIFE).where(LIFE.c.id == known.id).values(**values))
