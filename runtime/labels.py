"""What the lines of a label file mean: the classes in their order, or each by its number."""

from __future__ import annotations

import re

NUMBERED = re.compile(r"\s*([0-9]{1,6})[\s:]+(\S.*)")


def labels_in(text: str) -> tuple[str, ...]:
    """One label a line; blank lines at the end do not count.

    Where every line begins with a number, from 0 up and never down, that is its class, as in the
    files of Coral and of Teachable Machine (`0  person`). Coral's leave numbers out, which are
    labels then: line by line, all that come after would be named wrongly.
    """
    lines = text.rstrip().splitlines()
    numbered = [NUMBERED.fullmatch(line) for line in lines]
    known = {int(each[1]): each[2].strip() for each in numbered if each is not None}
    numbers = list(known)
    if len(known) != len(lines) or numbers[:1] != [0] or numbers != sorted(numbers):
        return tuple(lines)
    return tuple(known.get(number, str(number)) for number in range(numbers[-1] + 1))
