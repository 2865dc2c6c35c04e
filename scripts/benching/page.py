"""docs/performance.md: sections, of which those that were measured anew are replaced."""

from __future__ import annotations

import platform
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docs" / "performance.md"


def with_section(page: str, section: str) -> str:
    """The page with this section instead of the one under the same heading, or after all others."""
    heading = section.lstrip("\n").split("\n", 1)[0]
    sections = re.split(r"(?m)^(?=##? )", page)
    headings = [one.split("\n", 1)[0] for one in sections]
    text = section.strip("\n") + "\n\n"
    if heading in headings:
        sections[headings.index(heading)] = text
    else:
        sections.append("\n" + text)
    return "".join(sections).rstrip("\n") + "\n"


def machine() -> str:
    """The processor's name and the number of cores."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    cores = len(names) or text.count("processor")
    kernel = platform.release().partition("-")[0]  # without its builder's name
    return f"{names[0] if names else platform.machine()}, {cores} cores, Linux {kernel}"
