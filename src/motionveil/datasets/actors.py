"""The built-in data set: synthetic people who move, rendered from a random seed.

Ten people, each dressed, built and moving in a way of their own, perform eight actions in several
sessions with other rooms, light, places and distances. The actions are four pairs that differ only
in the direction of time, so no single frame tells the two of a pair apart. Whole sessions are held
out for validation, so a room cannot give a person away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionveil.actors import ACTIONS
from motionveil.actors.footage import (
    BACKGROUND,
    Script,
    acting,
    film_footage,
    footage_labels,
    stretches,
    strolling,
)
from motionveil.actors.people import Person, make_people
from motionveil.actors.render import FRAME_RATE, Session, film
from motionveil.datasets.console import in_threads
from motionveil.datasets.manifest import VALIDATION, Clip, Manifest
from motionveil.video import VideoSink

__all__ = ["ACTIONS", "make_actors"]

PEOPLE = 10
"""How many people there are, if not asked for otherwise."""

CLIP_FRAMES = 20
"""Frames of one performance; a network of 16 frames can start at five places."""

FRAME_SIZE = 96
"""Width and height in pixels."""

FOOTAGE: dict[str, Script] = {"acting": acting, "strolling": strolling}
"""What is filmed in a session with pauses besides the performances, a video each."""

_AROUND = 6
"""Frames around a stretch of footage that belong to its clip. So most frames of a window of 16 that
is cut out of the clip are in the stretch, and networks learn where actions begin and end."""

_LEAST = 10  # frames of a stretch that becomes a clip
_KEPT = 3  # of so many stretches of background one: there are more of them than of any action


def make_actors(
    root: str | os.PathLike[str],
    *,
    seed: int = 0,
    people: int = PEOPLE,
    train_sessions: int = 10,
    validation_sessions: int = 3,
    pauses: bool = False,
    attributes: bool = False,
    workers: int | None = None,
) -> Manifest:
    """Render the built-in data set and write its manifest.

    Every session is one lossless video with a clip of each action. A video that is there already
    is kept, so an interrupted run resumes; the same arguments give the same frames.

    Args:
        root: Takes a folder with the videos, `manifest.csv` and `manifest.json`: `seed0`, for
            another number of people `seed0-people4`, with pauses `seed0-pauses`.
        seed: Draws people, rooms, performances and noise.
        people: Number of people (the privacy label `identity`), at least 2.
        train_sessions: Sessions of each person to train on, at least 1.
        validation_sessions: Sessions of each person to validate on, at least 1.
        pauses: Besides the cut-out performances, film each session's `FOOTAGE`: its actions become
            clips too, and some of what is between them becomes clips of the background.
        attributes: Besides the identity, label the people's attributes: `tall`, `long_hair`,
            `long_sleeves`, `shorts`. The manifest is then `attributes.csv`.
        workers: Videos rendered in parallel; by default one per processor.

    Returns:
        The manifest, with `people * (train_sessions + validation_sessions) * 8` clips; more with
        pauses.

    Raises:
        ValueError: A count is too small.
        MotionveilError: The folder cannot be written.
    """
    if people < 2 or train_sessions < 1 or validation_sessions < 1:
        raise ValueError(
            f"{people} people in {train_sessions} + {validation_sessions} sessions:"
            " there must be at least 2 people and 1 session of each kind"
        )
    # People are drawn to differ from each other: another number gives other people.
    suffix = "" if people == PEOPLE else f"-people{people}"
    folder = Path(root) / f"seed{seed}{suffix}{'-pauses' if pauses else ''}"
    persons = make_people(people, seed)
    visits = [
        _Visit(persons[number], seed, number, visit)
        for number in range(people)
        for visit in range(train_sessions + validation_sessions)
    ]

    def make(visit: _Visit) -> None:
        _film_session(folder, visit)
        if pauses:
            _film_footage(folder, visit)

    for _ in in_threads(make, visits, "Rendering", workers):
        pass
    clips: list[Clip] = []
    for visit in visits:
        split = "train" if visit.number < train_sessions else VALIDATION
        clips += _clips(visit, split)
        if pauses:
            clips += _footage_clips(visit, split)
    if attributes:
        of = {visit.label: visit.person.attributes for visit in visits}
        clips = [replace(c, privacy={**c.privacy, **of[c.privacy["identity"]]}) for c in clips]
    rule = f"the last {validation_sessions} sessions of each person are held out"
    manifest = Manifest(
        "actors-with-pauses" if pauses else "actors",
        folder,
        tuple(clips),
        split_rule=rule,
        background=BACKGROUND if pauses else None,
    )
    name = "attributes.csv" if attributes else "manifest.csv"
    return Manifest.read(manifest.write(folder / name))


class _Visit(NamedTuple):
    """A session of a person."""

    person: Person
    seed: int
    who: int
    number: int

    def rng(self, *purpose: int) -> np.random.Generator:
        kind, *more = purpose
        return np.random.default_rng([self.seed, kind, self.who, self.number, *more])

    def session(self) -> Session:
        return Session.draw(FRAME_SIZE, FRAME_SIZE, self.rng(1))

    @property
    def label(self) -> str:
        return f"person{self.who:02d}"

    def video(self, scene: str = "") -> str:
        suffix = f"-{scene}" if scene else ""
        return f"{self.label}/session{self.number:02d}{suffix}.mkv"

    def clip(self, path: str, start: int, end: int, action: str, split: str) -> Clip:
        return Clip(
            path=path,
            start=start,
            end=end,
            action=action,
            privacy={"identity": self.label},
            group=f"{self.label}-session{self.number:02d}",
            split=split,
        )


def _clips(visit: _Visit, split: str) -> Iterator[Clip]:
    for index, action in enumerate(ACTIONS):
        start = index * CLIP_FRAMES
        yield visit.clip(visit.video(), start, start + CLIP_FRAMES, action, split)


def _film_session(folder: Path, visit: _Visit) -> None:
    session = visit.session()
    performances = (
        film(visit.person, action, session, CLIP_FRAMES, visit.rng(2, index))
        for index, action in enumerate(ACTIONS)
    )
    _write(folder / visit.video(), chain.from_iterable(performances))


def _film_footage(folder: Path, visit: _Visit) -> None:
    session = visit.session()
    for index, (name, script) in enumerate(FOOTAGE.items()):
        footage = film_footage(visit.person, script, session, visit.rng(3, index))
        _write(folder / visit.video(name), (instant.image for instant in footage))


def _write(video: Path, frames: Iterator[NDArray[np.uint8]]) -> None:
    if video.exists():
        return
    with VideoSink(video, rate=Fraction(FRAME_RATE)) as sink:
        for frame in frames:
            sink.write(frame)


def _footage_clips(visit: _Visit, split: str) -> Iterator[Clip]:
    for index, (name, script) in enumerate(FOOTAGE.items()):
        labels = footage_labels(visit.person, script, visit.rng(3, index))
        between = count(visit.number)
        for label, start, end in stretches(labels):
            if end - start < _LEAST or (label == BACKGROUND and next(between) % _KEPT):
                continue
            around = max(0, start - _AROUND), min(len(labels), end + _AROUND)
            yield visit.clip(visit.video(name), *around, label, split)
