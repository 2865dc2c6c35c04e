"""`python -m runtime check PATH`: may this model be run here? Asked in a process of its own.

Contract, golden answers, memory and time. The one who asks survives whatever the model does.
"""

from __future__ import annotations

import argparse
import errno
from collections.abc import Sequence

import msgspec

from runtime.checking import check
from runtime.commands.flags import add_engine_options, engine_options
from runtime.limits import add_limit_options, limit_this_process
from wire import fault
from wire.troubles import Refused, Unavailable

# what a disk or a machine lacks says nothing of a model
OF_THE_MACHINE = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.EROFS)


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    limit_this_process(options.memory_mb, options.seconds)
    fault.arm()
    try:
        report = check(options.path, options.engine, engine_options(options))
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        why = f"{options.path}: cannot be read or tried now: {error.strerror}"
        raise Unavailable(why) from error
    except MemoryError:
        raise Refused(f"{options.path}: needs more memory than it may have") from None
    if options.json:
        print(msgspec.json.encode(report).decode())
    else:
        device = f", {report.device_mb:.0f} MB of the device" if report.device_mb else ""
        print(
            f"{report.name} {report.version} on {report.engine}: keeps its manifest, "
            f"{report.golden} golden samples right, loaded in {report.load_ms:.0f} ms, "
            f"{report.inference_us:.0f} us a run, {report.peak_rss_mb:.0f} MB at most{device}"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime check", description=__doc__)
    parser.add_argument("path", help="model folder, bundle or model file")
    add_engine_options(parser)
    add_limit_options(parser)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON line")
    return parser
