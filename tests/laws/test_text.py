"""What must not stand in any file: blanket silencing, notes to self, places of one machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.laws.sources import name_of, text_files

FORBIDDEN = {
    r"#\s*type:\s*ignore(?!\[)": "say which error is ignored: type: ignore[code]",
    r"#\s*noqa(?!:)": "say which rule is silenced: noqa: CODE",
    r"\b(TODO|FIXME|XXX)\b": "do it, or open an issue",
    r"(?<![\w.$}~])/(root|home/[a-z]+|Users/[a-z]+)/": "a path of one machine",
    r"pypi\.org|pythonhosted|(deb|security)\.debian\.org|npmjs|ghcr\.io|docker\.io|"
    r"proxy\.golang|crates\.io|huggingface\.co/.*/resolve": "the host of a registry",
    r"(index-url|find-links|trusted-host)\s*=": "registries are configured on the machine",
}


def complaints(name: str, text: str) -> list[str]:
    return [
        f"{name}:{number}: {found[0].strip()}: {why}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, why in FORBIDDEN.items()
        if (found := re.search(pattern, line))
    ]


# this file names what is forbidden
OTHERS = [path for path in text_files() if path != Path(__file__).resolve()]


@pytest.mark.parametrize("path", OTHERS, ids=name_of)
def test_holds_nothing_forbidden(path: Path) -> None:
    assert complaints(name_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = f()  # type: ignore",
        "x = f()  # noqa",
        "# TODO: later",
        'open("/home/bob/x")',
        "cd /root/project",
        "/home/alice/model.tflite",
        "https://files.pythonhosted.org/packages/x.whl",
        "--extra-index-url=https://example.org",
    ],
)
def test_the_law_can_fail(line: str) -> None:
    assert complaints("x.py", line)


@pytest.mark.parametrize(
    "line",
    [
        "x = f()  # type: ignore[attr-defined]",
        "x = 1  # noqa: E501",
        "/var/lib/vedette",
        "a/root/b",
    ],
)
def test_the_law_lets_good_lines_pass(line: str) -> None:
    assert complaints("x.py", line) == []
