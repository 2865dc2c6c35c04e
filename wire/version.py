"""Which Vedette this is: said on the wire, by --version and by the package."""

VERSION = "0.1.0"
# Unix time before this version was made: no clock that is right can be behind it
RELEASED_S = 1_793_491_200  # 2026-11-01
