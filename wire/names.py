"""What fleets, devices, pipelines, models, groups, versions and digests may be called."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

NAME_PATTERN = r"^[A-Za-z0-9_-]{1,64}\Z"
VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"
DIGEST_PATTERN = r"^[0-9a-f]{64}\Z"

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Version = Annotated[str, Meta(pattern=VERSION_PATTERN)]  # of a model
Digest = Annotated[str, Meta(pattern=DIGEST_PATTERN)]  # sha256, hex
