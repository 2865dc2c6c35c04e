"""The installer is a package of its own, beside scripts/install: tests import it from there."""

from __future__ import annotations

import sys

from tests.laws.sources import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
