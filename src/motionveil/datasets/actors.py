"""The built-in data set: synthetic people who move, rendered from a random seed.

Ten people, each dressed, built and moving in a way of their own, perform eight actions in several
sessions with other rooms, light, places and distances. The actions are four pairs that differ only
in the direction of time, so no single frame tells the two of a pair apart. Whole sessions are held
out for validation, so a room cannot give a person away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np

from motionveil.actors import ACTIONS
from motionveil.actors.people import Person, make_people
from motionveil.actors.render import FRAME_RATE, Session, film
from motionveil.datasets.manifest import VALIDATION, Clip, Manifest
from motionveil.datasets.progress import track
from motionveil.video import VideoSink

__all__ = ["ACTIONS", "make_actors"]

PEOPLE = 10
"""How many people there are, if not asked for otherwise."""

CLIP_FRAMES = 20
"""Frames of one performance; a network of 16 frames can start at five places."""

FRAME_SIZE = 96
"""Width and height in pixels."""


def make_actors(
    root: str | os.PathLike[str],
    *,
    seed: int = 0,
    people: int = PEOPLE,
    train_sessions: int = 10,
    validation_sessions: int = 3,
    workers: int | None = None,
) -> Manifest:
    """Render the built-in data set and write its manifest.

    Every session is one lossless video with a clip of each action. A video that is there already
    is kept, so an interrupted run resumes; the same arguments give the same frames.

    Args:
        root: Takes a folder with the videos, `manifest.csv` and `manifest.json`: `seed0`, for
            another number of people `seed0-people4`.
        seed: Draws people, rooms, performances and noise.
        people: Number of people (the privacy label `identity`), at least 2.
        train_sessions: Sessions of each person to train on, at least 1.
        validation_sessions: Sessions of each person to validate on, at least 1.
        workers: Videos rendered in parallel; by default one per processor.

    Returns:
        The manifest, with `people * (train_sessions + validation_sessions) * 8` clips.

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
    folder = Path(root) / f"seed{seed}{suffix}"
    persons = make_people(people, seed)
    visits = [
        (number, visit)
        for number in range(people)
        for visit in range(train_sessions + validation_sessions)
    ]

    def make(visit: tuple[int, int]) -> None:
        video = folder / _video_name(*visit)
        if not video.exists():
            _film_session(video, persons[visit[0]], seed, *visit)

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for _ in track(pool.map(make, visits), "Rendering", len(visits)):
            pass
    clips = tuple(
        clip
        for number, visit in visits
        for clip in _clips(number, visit, "train" if visit < train_sessions else VALIDATION)
    )
    rule = f"the last {validation_sessions} sessions of each person are held out"
    manifest = Manifest("actors", folder, clips, split_rule=rule)
    return Manifest.read(manifest.write(folder / "manifest.csv"))


def _video_name(number: int, visit: int) -> str:
    return f"person{number:02d}/session{visit:02d}.mkv"


def _clips(number: int, visit: int, split: str) -> Iterator[Clip]:
    for index, action in enumerate(ACTIONS):
        yield Clip(
            path=_video_name(number, visit),
            start=index * CLIP_FRAMES,
            end=(index + 1) * CLIP_FRAMES,
            action=action,
            privacy={"identity": f"person{number:02d}"},
            group=f"person{number:02d}-session{visit:02d}",
            split=split,
        )


def _film_session(video: Path, person: Person, seed: int, number: int, visit: int) -> None:
    session = Session.draw(FRAME_SIZE, FRAME_SIZE, np.random.default_rng([seed, 1, number, visit]))
    with VideoSink(video, rate=Fraction(FRAME_RATE)) as sink:
        for index, action in enumerate(ACTIONS):
            rng = np.random.default_rng([seed, 2, number, visit, index])
            for frame in film(person, action, session, CLIP_FRAMES, rng):
                sink.write(frame)
