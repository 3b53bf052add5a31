"""A small study in a folder: clips of a moving square, and portraits that are plain colours."""

from __future__ import annotations

import colorsys
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from motionveil.study.design import (
    IMAGES,
    MEDIA,
    Condition,
    Key,
    Person,
    Question,
    QuestionKind,
    RightAnswer,
    Study,
    StudyDataset,
    write_study,
)
from videos import moving_square

CONDITIONS: tuple[Condition, ...] = ("veiled", "raw")


def small_study(
    folder: Path,
    *,
    persons: int = 2,
    options: int = 4,
    questions: int = 4,
    checks: int = 1,
    examples: int = 1,
    break_every: int = 3,
    title: str = "Who is it?",
) -> tuple[Study, Key]:
    """Make a study's folder.

    Args:
        folder: Where; made if it is not there.
        persons: How many a clip shows.
        options: How many portraits a question has.
        questions: How many there are that count.
        checks: How many attention checks.
        examples: How many examples.
        break_every: Number of questions after which there is a break.
        title: What participants see above.
    """
    people = [
        Person(id=f"who{n}", picture=f"face{n}.jpg", marked=n < persons) for n in range(options + 1)
    ]
    kinds: list[QuestionKind] = ["example"] * examples
    kinds += ["question"] * questions + ["attention"] * checks
    asked, right = [], {}
    for number, kind in enumerate(kinds):
        first = 0 if kind == "attention" else number % 2
        shown = sorted(person.id for person in people[first : first + options])
        asked.append(
            Question(
                id=f"q{number:03}",
                condition=CONDITIONS[number % 2],
                clip=f"clip{number:03}",
                options=shown,
                kind=kind,
            )
        )
        right[asked[-1].id] = RightAnswer(
            persons=shown[:persons], action=f"act {number % 2}", source=f"{number}.avi"
        )
    study = Study(
        title=title,
        created="2026-01-01",
        motionveil="0",
        seed=7,
        dataset=StudyDataset(name="squares", hash="0"),
        label="pair",
        people=people,
        persons_per_question=persons,
        options=options,
        conditions=list(CONDITIONS),
        questions=asked,
        break_every=break_every,
    )
    key = Key(questions=right, names={person.id: person.id.upper() for person in people})
    _write_media(folder, study)
    write_study(folder, study, key)
    return study, key


def _write_media(folder: Path, study: Study) -> None:
    for name in (MEDIA, IMAGES):
        (folder / name).mkdir(parents=True)
    for question in study.questions:
        for suffix, codec in ((".mp4", "libx264"), (".webm", "libvpx-vp9")):
            (folder / MEDIA / f"{question.clip}{suffix}").write_bytes(_clip(suffix, codec))
    for number, person in enumerate(study.people):
        (folder / IMAGES / person.picture).write_bytes(_portrait(number / len(study.people)))


@cache
def _clip(suffix: str, codec: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{suffix}"
        frames = moving_square(20, 48, 64)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
        return path.read_bytes()


@cache
def _portrait(hue: float) -> bytes:
    """Return a face, more or less: a circle of one colour, as JPEG."""
    colour = np.array(colorsys.hsv_to_rgb(hue, 0.5, 0.8))
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    pixels = np.full((96, 96, 3), 225, np.uint8)
    pixels[(x**2 + (y + 0.1) ** 2) < 0.35] = (255 * colour).astype(np.uint8)
    pixels[(x**2 + (y - 1.1) ** 2) < 0.4] = (120 * colour).astype(np.uint8)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width = encoder.height = 96
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
