"""Which database a fleet's registry and accounts are in."""

from __future__ import annotations

import argparse

from fleet.folder import FleetFolder

FILE = "registry.db"


def add_database_option(parser: argparse.ArgumentParser) -> None:
    """--database"""
    parser.add_argument(
        "--database", metavar="URL",
        help="sqlite:////PATH or postgresql://USER@HOST/NAME, its password in PGPASSWORD or "
        f"~/.pgpass (default: {FILE} in the fleet's folder)",
    )  # fmt: skip


def database_of(fleet: FleetFolder, given: str | None) -> str:
    """Its address. given: what --database says."""
    return f"sqlite:///{fleet.path / FILE}" if given is None else given
