"""Which boxes of one frame are the same things as in the frames before: ByteTrack, in real time.

Zhang et al. 2022, ByteTrack: Multi-Object Tracking by Associating Every Detection Box
(arXiv:2110.06864): sure boxes are matched to tracks first, and then unsure ones to those tracks
that are left, because a thing that is half hidden is still found, with a low score. Other than
there, time is in seconds and not in frames, boxes grow with the time between two frames before they
are compared, and a track has its number from the second time that it is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from runtime.tracking import motion
from runtime.tracking.matching import Floats, assign, overlaps

LEAST_UNSURE = 0.1  # score; ByteTrack's
# Of a box and a track. ByteTrack has 0.2 and, for unsure boxes, 0.5: but who turns about is where a
# constant velocity does not expect it, most of all when the turn was missed or seen half hidden.
LEAST_OVERLAP = 0.1
LEAST_OVERLAP_NEW = 0.3  # of one that was seen once: ByteTrack's
PAD_PER_S = 1.0  # how fast a thing may go without being known to: its own size in a second
MOST_PAD = 0.5
MOST_BOXES = 100  # of a frame, the surest; as many as a result has room for
MOST_TRACKS = 400
# A pipeline that is slower than its patience still gets a second look at everything.
FRAMES_OF_PATIENCE = 2.5
SLOWEST_S = 5.0
LATELY = 0.2  # weight of the newest time between two frames


@dataclass(eq=False)
class Track:
    """One thing, for as long as it is seen. number: from the second sighting on, never given twice.

    label: as it was found most often, by score.
    """

    kind: int
    label: str
    began_s: float
    seen_s: float
    number: int | None = None
    is_lost: bool = False
    votes: dict[str, float] | None = None  # by label, where that may change


class Sighting(NamedTuple):  # made for every box of every frame: a dataclass takes thrice as long
    """A box to be tracked. Middle and size in any one unit. kind: number of the class."""

    kind: int
    label: str
    score: float
    box: tuple[float, float, float, float]  # middle x, middle y, width, height; finite, above 0


class Tracker:
    """Follows what is found from frame to frame. Bounded in memory and in time.

    numbers: where numbers of tracks come from. sure: the score from which a box may begin a track.
    patience_s: how long a track lives unseen. across_labels: may a track change its label?
    ended: tracks that the last step gave up, with a number only. now_s: of the last frame, never
    earlier than the one before, unless it comes from another clock.
    """

    def __init__(
        self, numbers: Iterator[int], sure: float, patience_s: float, across_labels: bool
    ) -> None:
        self.ended: list[Track] = []
        self._numbers = numbers
        self.configure(sure, patience_s, across_labels)
        self._tracks: list[Track] = []
        self._state = motion.begun(np.empty((0, 4)))
        self.now_s = 0.0
        self._lately_s: float | None = None  # between two frames

    def configure(self, sure: float, patience_s: float, across_labels: bool) -> None:
        """Go on with other settings."""
        self._sure = sure
        self._patience_s = patience_s
        self._across_labels = across_labels

    def step(self, sightings: Sequence[Sighting], now_s: float) -> list[Track | None]:
        """The track of each box of the next frame; None for one that is too unsure to begin one.

        now_s: when the frame was taken, monotonic.
        """
        self.ended = []
        passed_s = self._pass_to(now_s)
        chosen = self._chosen(sightings)
        boxes = np.array([sightings[i].box for i in chosen]).reshape(-1, 4)
        is_sure = [sightings[i].score >= self._sure for i in chosen]
        pad = min(MOST_PAD, PAD_PER_S * passed_s)
        owner = self._match(boxes, [sightings[i] for i in chosen], is_sure, pad)
        of_box: list[Track | None] = [None] * len(sightings)
        rows = [row for row in owner if row is not None]
        motion.correct(self._state, rows, boxes[[row is not None for row in owner]])
        for i, row in zip(chosen, owner, strict=True):
            if row is not None:
                of_box[i] = self._meet(self._tracks[row], sightings[i])
        self._give_up(set(rows))
        fresh = [k for k, row in enumerate(owner) if row is None and is_sure[k]]
        for k in fresh[: MOST_TRACKS - len(self._tracks)]:
            of_box[chosen[k]] = self._begin(sightings[chosen[k]])
        return of_box

    def end_all(self) -> list[Track]:
        """Give up everything; returns what had a number."""
        ended = [track for track in self._tracks if track.number is not None]
        self._keep([])
        return ended

    def _pass_to(self, now_s: float) -> float:
        """Predict all, and forget what was not seen for too long. The seconds that passed."""
        passed_s = now_s - self.now_s
        if passed_s < -self._patience_s:  # another clock: nothing is known of before
            self.ended = self.end_all()
            self.now_s, self._lately_s = now_s, None
            return 0.0
        passed_s = max(0.0, passed_s)
        self.now_s += passed_s
        if self._tracks:
            if self._lately_s is None:
                self._lately_s = min(passed_s, SLOWEST_S)
            self._give_up_before()
            motion.predict(self._state, passed_s)
        if self._lately_s is not None:
            self._lately_s += LATELY * (min(passed_s, SLOWEST_S) - self._lately_s)
        return passed_s

    def _give_up_before(self) -> None:
        """What was away for longer than the patience is another thing when it comes."""
        patience_s = max(self._patience_s, FRAMES_OF_PATIENCE * (self._lately_s or 0.0))
        late = {row for row, t in enumerate(self._tracks) if self.now_s - t.seen_s > patience_s}
        if late:
            self.ended += [t for r, t in enumerate(self._tracks) if r in late and t.number]
            self._keep([row for row in range(len(self._tracks)) if row not in late])

    def _chosen(self, sightings: Sequence[Sighting]) -> list[int]:
        """The places of the boxes that are looked at: the surest."""
        places = [i for i, each in enumerate(sightings) if each.score >= LEAST_UNSURE]
        if len(places) > MOST_BOXES:
            places = sorted(places, key=lambda i: -sightings[i].score)[:MOST_BOXES]
        return places

    def _match(
        self, boxes: Floats, sightings: list[Sighting], is_sure: list[bool], pad: float
    ) -> list[int | None]:
        """The row of the track of each box."""
        owner: list[int | None] = [None] * len(sightings)
        tracks = self._tracks
        if not tracks or not sightings:
            return owner
        share = overlaps(self._state[0], boxes, pad)
        if not self._across_labels:
            ours = np.array([track.kind for track in tracks])
            share[ours[:, None] != np.array([each.kind for each in sightings])] = 0.0
        known = [row for row, track in enumerate(tracks) if track.number is not None]
        self._pair(share, known, is_sure, owner, LEAST_OVERLAP)
        taken = set(owner)
        left = [row for row in known if row not in taken and not tracks[row].is_lost]
        self._pair(share, left, [not sure for sure in is_sure], owner, LEAST_OVERLAP)
        fresh = [row for row, track in enumerate(tracks) if track.number is None]
        self._pair(share, fresh, is_sure, owner, LEAST_OVERLAP_NEW)
        return owner

    def _pair(
        self, share: Floats, rows: list[int], may: list[bool], owner: list[int | None], least: float
    ) -> None:
        """Match these rows to the boxes that may be and have no owner yet; they get it."""
        columns = [c for c, row in enumerate(owner) if row is None and may[c]]
        if not rows or not columns:
            return
        part = share[rows] if len(columns) == len(owner) else share[np.ix_(rows, columns)]
        for row, column in assign(part - least):
            owner[columns[column]] = rows[row]

    def _meet(self, track: Track, seen: Sighting) -> Track:
        track.seen_s = self.now_s
        track.is_lost = False
        if track.number is None:
            track.number = next(self._numbers)
        if self._across_labels:
            votes = track.votes = track.votes or {track.label: seen.score}
            votes[seen.label] = votes.get(seen.label, 0.0) + seen.score
            track.label = max(votes, key=lambda label: votes[label])
        return track

    def _give_up(self, seen: set[int]) -> None:
        """What was not seen is lost; what had no number yet was nothing."""
        kept = []
        for row, track in enumerate(self._tracks):
            if row in seen:
                kept.append(row)
            elif track.number is not None:
                track.is_lost = True
                self._state[1, row, 2:] = 0.0  # or it would grow or shrink for as long
                kept.append(row)
        if len(kept) < len(self._tracks):
            self._keep(kept)

    def _begin(self, seen: Sighting) -> Track:
        track = Track(seen.kind, seen.label, self.now_s, self.now_s)
        self._tracks.append(track)
        self._state = np.concatenate((self._state, motion.begun(np.array([seen.box]))), axis=1)
        return track

    def _keep(self, rows: list[int]) -> None:
        self._tracks = [self._tracks[row] for row in rows]
        self._state = self._state[:, rows]
