"""The options of scripts/demo, of the standard library alone: judged before anything is fetched."""

from __future__ import annotations

import argparse

PORT, PICTURE_PORT = 8080, 8081


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Tells the main job on this machine, without a camera and without root: the "
        "keys of a fleet, its server with a dashboard, a device that waits for a model (and some "
        "simulated ones around it), and four versions: two good ones, one that is rejected, one "
        "that is tried and rolled back.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="no screen: each step is judged; one line of JSON at the end, exit code 0 if all was "
        "as it should be",
    )
    parser.add_argument(
        "--port", type=int, help=f"of the dashboard, on loopback ({PORT}, or any free one)"
    )
    parser.add_argument(
        "--picture-port",
        type=int,
        help=f"of the page with the live picture, on loopback ({PICTURE_PORT}, or any free one)",
    )
    return parser


if __name__ == "__main__":
    parser().parse_args()
