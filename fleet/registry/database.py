"""The database under the registry: who reads sees one moment, who writes is alone."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from fleet.registry.engine import changing, damaged, looking, open_engine
from fleet.registry.schema import BUILD
from fleet.registry.tables import SCHEMA, TURN
from fleet.registry.versions import bring_up
from wire.names import NAME_PATTERN


class Turn(Struct, frozen=True):
    """The row that a writer holds: see the table."""

    batch: int
    fine_id: int
    event_id: int
    rolled: int
    hour_slot: int
    vital_slot: int
    tens_whole: int
    hour_whole: int


NAME = re.compile(NAME_PATTERN)
Kind = Literal["sqlite", "postgresql"]


class Database:
    """Any thread. One writer at a time, in all processes. identity: of the database, for ever."""

    def __init__(self, url: str) -> None:
        """Raises Refused: that is no address, or the tables are of a newer version. Unavailable."""
        self.engine = open_engine(url)
        self.kind: Kind = "sqlite" if self.engine.dialect.name == "sqlite" else "postgresql"
        self._writing = threading.Lock()  # in this process there is no need to ask again and again
        try:
            bring_up(self.engine, BUILD)
            self.identity = self._identity()
        except BaseException:
            self.engine.dispose()
            raise

    def _identity(self) -> str:
        with self.reading() as connection:
            identity: str | None = connection.execute(select(SCHEMA.c.identity)).scalar_one()
        if identity is None or NAME.fullmatch(identity) is None:
            raise damaged("it has no identity")
        return identity

    def reading(self) -> AbstractContextManager[Connection]:
        """One moment of the database. Raises Unavailable."""
        return looking(self.engine)

    @contextmanager
    def writing(self) -> Iterator[tuple[Connection, Turn]]:
        """A transaction while nobody else writes, and the row of TURN. Raises Unavailable: nothing
        of it is stored."""
        try:
            with self._writing, changing(self.engine) as connection:
                turn = connection.execute(select(TURN).with_for_update()).one()
                yield connection, Turn(*turn[1:])
        except IntegrityError as error:  # each has its turn: what is written was not there
            raise damaged(str(error.orig).split("\n", 1)[0]) from None

    def close(self) -> None:
        self.engine.dispose()
