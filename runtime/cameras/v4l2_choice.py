"""What a V4L2 device offers, what a URI asks for, and the choice between them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wire.troubles import Refused

# Cheapest first: YUYV is shrunk before it is converted, NV12 has its grey plane ready, RGB is
# three bytes to read for each pixel, MJPG costs a decoder, and GREY has lost the colours.
FORMATS = ("YUYV", "NV12", "RGB3", "BGR3", "MJPG", "GREY")
GOOD_SIZE = (640, 480)
GOOD_RATE = 30.0
SAME_RATE = 0.02  # 29.97 is 30 to whoever types it


@dataclass(frozen=True)
class Span:
    """The values from least to most, in steps (0: any). One value is a span from it to itself."""

    least: float
    most: float
    step: float = 0.0

    def nearest(self, value: float) -> float:
        value = min(max(value, self.least), self.most)
        if self.step:
            value = self.least + math.floor((value - self.least) / self.step) * self.step
        return value

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.least:.4g}"
        return f"{self.least:.4g} to {self.most:.4g}"


@dataclass(frozen=True)
class Offer:
    """One format in one size, or in a range of sizes.

    rates: frames per second; for a range, at the size nearest to GOOD_SIZE or to the size that was
    asked about. Empty where the device does not say.
    """

    format: str
    width: Span
    height: Span
    rates: tuple[Span, ...] = ()

    def nearest(self, size: tuple[int, int]) -> tuple[int, int]:
        return int(self.width.nearest(size[0])), int(self.height.nearest(size[1]))

    @property
    def size(self) -> str:
        least = f"{self.width.least:.0f}x{self.height.least:.0f}"
        most = f"{self.width.most:.0f}x{self.height.most:.0f}"
        return least if least == most else f"{least} to {most}"

    def rate(self, wish: float | None) -> float | None:
        """The rate to ask for: the wish, or the highest up to GOOD_RATE. None: none fits, or the
        device does not say which it has."""
        if wish is not None:
            near = [span.nearest(wish) for span in self.rates]
            return next((rate for rate in near if same_rate(rate, wish)), None)
        near = [span.nearest(GOOD_RATE) for span in self.rates]
        below = [rate for rate in near if rate <= GOOD_RATE * (1 + SAME_RATE)]
        return max(below) if below else min(near, default=None)


@dataclass(frozen=True)
class Wish:
    """What a URI asks for; None where it leaves the choice to us."""

    size: tuple[int, int] | None = None
    fps: float | None = None
    format: str | None = None


@dataclass(frozen=True)
class Choice:
    """What to set. fps: None leaves the device's own rate."""

    format: str
    width: int
    height: int
    fps: float | None

    def __str__(self) -> str:
        return f"{self.format} {self.width}x{self.height}"


def same_rate(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_RATE * other


def choose(device: str, offers: Sequence[Offer], wish: Wish) -> Choice:
    """The offer that serves the wish best: the size nearest to GOOD_SIZE, then the highest rate up
    to GOOD_RATE, then the cheapest format. Raises Refused, naming what the device does offer."""
    left = [offer for offer in offers if offer.format in FORMATS]
    if not left:
        raise Refused(f"{device} offers no format that can be used here: {unusable(offers)}")
    left = _with_format(device, left, wish)
    left = _with_size(device, left, wish)
    left = _with_rate(device, left, wish)
    target = wish.size or GOOD_SIZE

    def worth(offer: Offer) -> tuple[float, float, int]:
        width, height = offer.nearest(target)
        away = abs(math.log(width * height / (target[0] * target[1])))
        rate = min(offer.rate(wish.fps) or GOOD_RATE, GOOD_RATE)
        return away, -rate, FORMATS.index(offer.format)

    best = min(left, key=worth)
    return Choice(best.format, *best.nearest(target), best.rate(wish.fps) or wish.fps)


def check_rate(device: str, wish: Wish, choice: Choice) -> None:
    """Hold what a device made of a rate against the wish. Raises Refused if it did not obey."""
    if wish.fps is None:
        return
    if choice.fps is None:
        raise Refused(f"{device} has a rate of its own: leave fps out")
    if not same_rate(choice.fps, wish.fps):
        raise Refused(f"{device} gives {choice.fps:.4g} fps when asked for fps={wish.fps:g}")


def _with_format(device: str, offers: list[Offer], wish: Wish) -> list[Offer]:
    if wish.format is None:
        return offers
    left = [offer for offer in offers if offer.format == wish.format]
    if not left:
        raise Refused(f"{device} has no {wish.format}: it offers {formats(offers)}")
    return left


def _with_size(device: str, offers: list[Offer], wish: Wish) -> list[Offer]:
    if wish.size is None:
        return offers
    left = [offer for offer in offers if offer.nearest(wish.size) == wish.size]
    if not left:
        what = f" in {wish.format}" if wish.format else ""
        raise Refused(
            f"{device} has no {wish.size[0]}x{wish.size[1]}{what}: it offers {sizes(offers)}"
        )
    return left


def _with_rate(device: str, offers: list[Offer], wish: Wish) -> list[Offer]:
    if wish.fps is None:
        return offers
    left = [offer for offer in offers if not offer.rates or offer.rate(wish.fps)]
    if not left:
        alike: dict[str, list[Offer]] = {}
        for offer in offers:
            alike.setdefault(f"{offer.size} at {rates(offer)}", []).append(offer)
        lists = "; ".join(f"{formats(group)} {what}" for what, group in alike.items())
        raise Refused(f"{device} does not do fps={wish.fps:g}: it offers {lists}")
    return left


def formats(offers: Sequence[Offer]) -> str:
    """The formats in a list of offers, each once."""
    return ", ".join(dict.fromkeys(offer.format for offer in offers))


def sizes(offers: Sequence[Offer]) -> str:
    """The sizes in a list of offers, each once."""
    return ", ".join(dict.fromkeys(offer.size for offer in offers))


def rates(offer: Offer) -> str:
    """The rates of one offer, fastest first."""
    fast_first = sorted(offer.rates, key=lambda span: -span.most)
    return ", ".join(map(str, fast_first)) + " fps" if offer.rates else "a rate of its own"


def unusable(offers: Sequence[Offer]) -> str:
    """Why none of these formats serves, and what would."""
    names = formats(offers) or "it lists none"
    if any(
        offer.format[:2] in ("BA", "GB", "GR", "RG", "BG", "pB", "pG", "pR") for offer in offers
    ):
        return f"{names}; raw sensor pixels need the board's own camera software (libcamera)"
    return f"{names}; known here are {', '.join(FORMATS)}"
