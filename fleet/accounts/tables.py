"""The tables of accounts, and the database that they are in."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from fleet.registry import engine as database
from fleet.registry.versions import Build, bring_up

PATIENCE_S = 10.0  # for a writer that is before us: somebody waits for the page

METADATA = MetaData()
VERSIONS = Table("account_schema", METADATA, Column("version", Integer, primary_key=True))
ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),
    Column("made_s", Float(53), nullable=False),
    Column("signed_in_s", Float(53)),
)
# `secret` is the sha256 of what the holder has
SESSION = Table(
    "account_session",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("secret", String(64), nullable=False, unique=True),
    Column("account", ForeignKey(ACCOUNT.c.name, ondelete="CASCADE"), nullable=False, index=True),
    Column("made_s", Float(53), nullable=False),
    Column("seen_s", Float(53), nullable=False),
    Column("until_s", Float(53), nullable=False),
    Column("address", String(64), nullable=False),
)
TOKEN = Table(
    "account_token",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("secret", String(64), nullable=False, unique=True),
    Column("account", ForeignKey(ACCOUNT.c.name, ondelete="CASCADE"), nullable=False, index=True),
    Column("made_s", Float(53), nullable=False),
    Column("until_s", Float(53), nullable=False),
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("at_s", Float(53), nullable=False),
    Column("who", String(64), nullable=False),
    Column("what", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Index("audit_who", "who", "number"),
)


BUILD = Build("the accounts", VERSIONS, METADATA.create_all)


def open_engine(url: str) -> Engine:
    """The database at `sqlite:////PATH` or `postgresql://...`, with these tables in it. Raises
    Refused if the address is none or the tables are of a newer version, Unavailable."""
    engine = database.open_engine(url, PATIENCE_S)
    try:
        bring_up(engine, BUILD)
    except BaseException:
        engine.dispose()
        raise
    return engine
