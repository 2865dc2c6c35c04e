"""What fleets, devices, pipelines, models and groups may be called."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

NAME_PATTERN = r"^[A-Za-z0-9_-]{1,64}\Z"

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
