"""docs/configuration.md has every key of vedette.toml, with default and bounds, and no other."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

import msgspec
import pytest
from msgspec import inspect

from tests.laws.sources import ROOT
from wire import config

PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
TABLES: dict[str, type[msgspec.Struct]] = {
    "Above the first table": config.Config,
    "[broker]": config.Broker,
    "[telemetry]": config.TelemetryTable,
    "[commands]": config.Commands,
    "[home_assistant]": config.HomeAssistant,
    "[updates]": config.Updates,
    "[pipeline.NAME]": config.Pipeline,
    "[pipeline.NAME.limits]": config.PipelineLimits,
}
TAKEN_BY_A_TABLE = {
    "broker", "telemetry", "commands", "home_assistant", "updates", "pipeline", "limits", "filter",
    "tracking", "zone", "line",
}  # fmt: skip
IN_WORDS = {"device": "the machine's name"}


def rows(title: str) -> dict[str, tuple[str, str]]:
    """Of the section with this title: key -> default and what is possible."""
    section = re.split(r"\n##+ ", PAGE.split(f"\n## {title}\n", 1)[1], maxsplit=1)[0]
    found = re.findall(r"(?m)^\| `(\w+)` \| (.*?) \| (.*?) \| .+ \|$", section)
    return {key: (default, possible) for key, default, possible in found}


def fields(schema: type[msgspec.Struct]) -> list[inspect.Field]:
    kind = inspect.type_info(schema)
    assert isinstance(kind, inspect.StructType)
    return [field for field in kind.fields if field.name not in TAKEN_BY_A_TABLE]


def bounds(kind: Any) -> list[str]:
    """The numbers and words that the page must name."""
    if isinstance(kind, inspect.UnionType):
        return [word for each in kind.types for word in bounds(each)]
    if isinstance(kind, inspect.LiteralType):
        return [f"`{value}`" for value in kind.values]
    limits = [getattr(kind, name, None) for name in ("ge", "gt", "le", "lt")]
    return [f"{limit:.10g}" for limit in limits if limit is not None]


@pytest.mark.parametrize("title", TABLES)
def test_every_key_is_there_and_no_other(title: str) -> None:
    assert list(rows(title)) == [field.name for field in fields(TABLES[title])]


@pytest.mark.parametrize("title", TABLES)
def test_defaults_are_true(title: str) -> None:
    for field in fields(TABLES[title]):
        default = rows(title)[field.name][0]
        if field.required:
            assert default == "required", field.name
        elif field.name in IN_WORDS:
            assert default == IN_WORDS[field.name]
        elif field.default is None:
            assert not default.startswith("`"), field.name
        else:
            assert default == f"`{written(field.default)}`", field.name


def written(value: object) -> str:
    if isinstance(value, tuple):
        return "[]" if not value else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    return msgspec.json.encode(value).decode()


@pytest.mark.parametrize("title", TABLES)
def test_bounds_are_named(title: str) -> None:
    for field in fields(TABLES[title]):
        for word in bounds(field.type):
            assert word in rows(title)[field.name][1], f"{field.name}: {word}"


def test_every_table_of_the_file_is_here() -> None:
    hints = get_type_hints(config.Config)
    schemas = {kind for kind in hints.values() if isinstance(kind, type)}
    structs = {kind for kind in schemas if issubclass(kind, msgspec.Struct)}
    assert structs <= set(TABLES.values())


def test_every_drop_in_is_told_of() -> None:
    for path in (ROOT / "systemd" / "drop-ins").iterdir():
        assert f"| `{path.name}` |" in PAGE
