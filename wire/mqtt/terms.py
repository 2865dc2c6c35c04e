"""What stays the same on every connection of a link."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from wire.link import Post
from wire.mqtt.bell import Bell
from wire.mqtt.url import Address
from wire.pulse import Pulse
from wire.turns import Ringing

TURN_S = 1.0


@dataclass(frozen=True)
class Terms:
    """lock: over everything in a Life. bell: ends a wait of who drives it. turn_s: between two
    looks at a connection that is silent."""

    address: Address
    keepalive_s: int
    post: Post
    patterns: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    stopping: threading.Event = field(default_factory=threading.Event)
    bell: Ringing = field(default_factory=Bell)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    pulse: Pulse = field(default_factory=lambda: Pulse("mqtt", math.inf))
    turn_s: float = TURN_S
