"""What a check of a model found out: it goes from the child that checks to who asked for it."""

from __future__ import annotations

import msgspec


class Report(msgspec.Struct, frozen=True):
    """What a check found out. inference_us is the median of five runs on noise. base_rss_mb: what
    of the peak was taken before the model and its engine. device_mb: of an accelerator's memory,
    which is the machine's own on a Jetson and counts in no peak; 0 where nobody tells."""

    ok: bool
    name: str
    version: str
    digest: str
    engine: str
    golden: int
    load_ms: float
    inference_us: float
    peak_rss_mb: float
    base_rss_mb: float = 0.0
    device_mb: float = 0.0
