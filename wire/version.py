"""Which Vedette this is: said on the wire, by --version and by the package."""

VERSION = "0.1.0"
