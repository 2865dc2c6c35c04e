"""`vedette fleet init` that dies, as by a power cut, before it changes the disk for the n-th time.

python -m tests.story.dying N FOLDER
"""

from __future__ import annotations

import sys

import vedette
from tests.cut_off import die_after

CALLS = ("fsync", "rename", "mkdir")  # of os: what they do is for good

if __name__ == "__main__":
    die_after(int(sys.argv[1]), CALLS)
    sys.exit(vedette.main(["fleet", "init", "--dir", sys.argv[2], "--json"]))
