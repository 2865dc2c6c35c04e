"""Numbers and strangers' texts as an operator reads them: short, and safe for a terminal."""

from __future__ import annotations

import time
import unicodedata

from wire.histogram import Counts

MOST_YEARS = 1000.0


def printable(text: str, most: int = 64) -> str:
    """One line of at most `most` characters that can neither crash nor command what shows it."""
    kept = (c if unicodedata.category(c)[0] != "C" else " " for c in text[: 4 * most])
    line = " ".join("".join(kept).split())
    return line if len(line) <= most else line[: most - 3] + "..."


def model_words(model: str, version: str | None) -> str:
    """A model and which of its versions, `-` where no process has said that yet."""
    return f"{model} {version or '-'}"


def stretch(seconds: float) -> str:
    """A length of time: `12 s`, `5 min`, `7 h`, `3 days`, `2.1 years`."""
    seconds = abs(seconds)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    days = seconds / 86400
    if days < 365:
        return f"{days:.0f} days"
    years = days / 365.25
    return f"{years:.1f} years" if years < MOST_YEARS else f"over {MOST_YEARS:,.0f} years"


def clock_words(off_s: float) -> str:
    """What is wrong with a device's clock that was `off_s` ahead."""
    return f"clock is off by {stretch(off_s)} ({'ahead' if off_s > 0 else 'behind'})"


def duration(us: float | None) -> str:
    """Microseconds with three digits: `812 us`, `6.40 ms`, `1.25 s`; `-` if not known."""
    if us is None:
        return "-"
    if us < 999.5:
        return f"{us:.0f} us"
    value, unit = (us / 1e3, "ms") if us < 999_500 else (us / 1e6, "s")
    if value >= 99_999:
        return f"{value:.0e} {unit}"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def spread(counts: Counts) -> str:
    """p50, p95 and p99 in milliseconds: `6.4 10.2 14.1`; `-` if nothing was counted."""
    values = [counts.percentile(share) for share in (0.50, 0.95, 0.99)]
    return " ".join(milliseconds(us) for us in values) if values[0] is not None else "-"


def milliseconds(us: float | None) -> str:
    if us is None:
        return "-"
    value = us / 1e3
    if value >= 99_999:
        return f"{value:.0e}"
    return f"{value:.2f}" if value < 0.995 else f"{value:.{1 if value < 99.95 else 0}f}"


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """A measured value with its unit; `-` if it cannot be read."""
    if value is None:
        return "-"
    text = f"{value:.{digits}f}" if abs(value) < 1e7 else f"{value:.1e}"
    return f"{text} {unit}".rstrip()


def count(value: int) -> str:
    return f"{value:,}" if abs(value) < 10**12 else f"{value:.1e}"


def size(value: int | None) -> str:
    """Bytes: `812 B`, `48 KiB`, `1.9 GiB`; `-` if not known."""
    if value is None:
        return "-"
    if abs(value) < 1024:
        return f"{value} B"
    for power, unit in ((1, "KiB"), (2, "MiB"), (3, "GiB"), (4, "TiB")):
        part = value / 1024**power
        if abs(part) < 1023.5 or unit == "TiB":
            break
    return number(part, unit, 1 if part < 9.95 else 0)


def share(part: int, whole: int) -> float | None:
    """Percent, or None of nothing."""
    return 100.0 * part / whole if whole > 0 else None


def clock_time(at_s: float) -> str:
    """A moment in the watcher's time zone: the hour today, else the day too."""
    here, today = time.localtime(at_s), time.localtime()
    is_today = here[:3] == today[:3]
    return time.strftime("%H:%M:%S" if is_today else "%b %d %H:%M", here)


def plural(value: int, word: str) -> str:
    """`1 record`, `2 records`."""
    return f"{count(value)} {word}{'' if value == 1 else 's'}"
