"""What a depot has done since its start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """Of the depot that signs. garbage: what could not be read."""

    releases: int = 0
    wishes: int = 0
    candidates: int = 0
    refused: int = 0
    garbage: int = 0
    requests: int = 0


@dataclass
class CopyCounts:
    """Of one that only serves. took_over: how often it began to answer because no other did."""

    requests: int = 0
    took_over: int = 0
