"""Single keys of a TOML text change, and nothing else does."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.laws.sources import ROOT
from wire.toml_changes import Change, Value, changed
from wire.troubles import Refused

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLE = (ROOT / "systemd" / "vedette.toml").read_text()


def one(text: str, path: str, value: Value | None) -> str:
    return changed(text, [Change(tuple(path.split(".")), value)], "x.toml")


@pytest.mark.parametrize(
    ("text", "path", "value", "after"),
    [
        ("a = 1 # why\n", "a", 2, "a = 2 # why\n"),
        ("a = 1 # why\n", "a", None, ""),
        ("a = 1\n", "b", None, "a = 1\n"),
        ("a = 1\n", "t.b", None, "a = 1\n"),
        ("", "a", "x", 'a = "x"\n'),
        ("# hello\n", "a", "x", '# hello\na = "x"\n'),
        ("a = 1\n[t]\nb = 2\n", "c", True, "a = 1\nc = true\n[t]\nb = 2\n"),
        ("[t]\nb = 2 # two\n", "t.c", 3, "[t]\nb = 2 # two\nc = 3\n"),
        ("[t]\n# c = 7  # or 8\nb = 2\n", "t.c", 3, "[t]\nc = 3\nb = 2\n"),
        ("[u]\n# c = 7\n[t]\nb = 2\n", "t.c", 3, "[u]\n# c = 7\n[t]\nb = 2\nc = 3\n"),
        ("[t]\n", "t.c", ("a", 'b"\\'), '[t]\nc = ["a", "b\\"\\\\"]\n'),
        ("a = 1\n", "t.u.c", 3, "a = 1\n\n[t.u]\nc = 3\n"),
        ("[t]\nb = [\n  1,\n  2,\n]\n", "t.c", 3, "[t]\nc = 3\nb = [\n  1,\n  2,\n]\n"),
        ('[t]\nb = """\n[u]\n# c = 1\n"""\n', "u.c", 3, None),
        ("t.b = 1\n", "t.c", 3, None),
        ("t = {b = 1}\n", "t.c", 3, None),
        ("[t.u]\nb = 1\n", "t.c", 3, None),
        ("[[t]]\nb = 1\n", "u.c", 3, None),
    ],
)
def test_a_change(text: str, path: str, value: Value | None, after: str | None) -> None:
    """after None: only what it means matters."""
    told = one(text, path, value)
    if after is not None:
        assert told.removesuffix("\n") == after.removesuffix("\n")
    wanted: dict[str, Any] = tomllib.loads(text)
    here = wanted
    *tables, name = path.split(".")
    for table in tables if value is not None else ():
        here = here.setdefault(table, {})
    here.pop(name, None)
    if value is not None:
        here[name] = list(value) if isinstance(value, tuple) else value
    assert tomllib.loads(told) == wanted
    assert one(told, path, value) == told


def test_comments_of_the_example_stay() -> None:
    told = changed(
        EXAMPLE,
        [Change(("broker", "url"), "mqtts://x"), Change(("updates", "root"), "/r")],
        "vedette.toml",
    )
    before, after = EXAMPLE.splitlines(), told.splitlines()
    assert len(before) == len(after)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 2
    assert 'url = "mqtts://x"    # or mqtts://HOST' in told and '\nroot = "/r"\n' in told


@pytest.mark.parametrize("text", ["t = 1\n", "[[t]]\nb = 1\n", "t = [1]\n"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"x\.toml: t is no table"):
        one(text, "t.c", 3)
