"""Making a study: which clips, who is shown beside, the files, and the answers apart from them."""

from __future__ import annotations

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from motionveil._version import __version__
from motionveil.data.manifest import Clip, Manifest
from motionveil.data.progress import track
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec
from motionveil.study import portraits
from motionveil.study.balance import choose_clips, choose_others
from motionveil.study.clips import ClipMaker
from motionveil.study.design import (
    MEDIA,
    PICTURES,
    TITLE,
    Condition,
    Exclusions,
    Key,
    Kind,
    Person,
    Question,
    RightAnswer,
    Study,
    StudyDataset,
    write_study,
)
from motionveil.study.images import marked, write_jpeg
from motionveil.study.people import Cast, actions_without_both, cast_of, everybody
from motionveil.study.portraits import Portrait

if TYPE_CHECKING:  # needs packages that only face detection needs
    from motionveil.faces import Detect

ALL = "all"
OPTIONS = 7
"""Pictures of a question, as in the paper."""

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that are taken for another


@dataclass(frozen=True)
class Plan:
    """What a study is to be.

    Attributes:
        title: What participants see above; the data set's name says too much.
        spec: The encoder of the veiled clips.
        label: The privacy label.
        persons: How many people a clip shows, 1 or 2.
        who: Table of who is who; see `cast_of`.
        pattern: Regular expression that finds two names; see `cast_of`.
        split: Part of the data whose clips are asked about, or `"all"`; None for the first part
            held out.
        numbers: Number of questions of each condition.
        options: Pictures of a question; None for 7, or everybody where there are fewer.
        checks: Number of attention checks.
        break_every: Questions after which a break is offered.
        seed: Decides every draw.
        detector: YuNet's ONNX file.
        around: How many times an option picture is as large as the face's box.
        boxes: Table of people's boxes; see `from_boxes`.
        pictures: Folder of the user's pictures; see `from_pictures`.
        exclusions: Whose answers will not count.
        command: The command line, for the record.
    """

    spec: EncoderSpec
    label: str
    title: str = "Can you tell who it is?"
    persons: int = 1
    who: Path | None = None
    pattern: str | None = None
    split: str | None = None
    numbers: dict[Condition, int] = field(default_factory=lambda: {"veiled": 60, "raw": 6})
    options: int | None = None
    checks: int = 3
    break_every: int = 20
    seed: int = 0
    detector: Path | None = None
    around: float = 2.0
    boxes: Path | None = None
    pictures: Path | None = None
    exclusions: Exclusions = field(default_factory=Exclusions)
    command: str = ""


@dataclass(frozen=True)
class Asked:
    """A question before it has an id: a clip, what is done to it, and who is shown beside.

    Attributes:
        right: Names of the people who are right; of an attention check, of those who are marked.
        options: Names, sorted.
    """

    clip: Clip
    condition: Condition
    kind: Kind
    right: tuple[str, ...]
    options: tuple[str, ...]


def make_study(manifest: Manifest, plan: Plan, out: str | os.PathLike[str]) -> tuple[Study, Key]:
    """Make a study's folder, whole or not at all.

    It holds original video and pictures of people, and is readable by its owner only. What is
    drawn (clips, people beside them) follows from the seed; ids and the names of files do not, and
    tell nothing.

    Args:
        manifest: The data set.
        plan: What the study is to be.
        out: The folder; there must be none, or an empty one.

    Returns:
        The study and who is right, as they were written.

    Raises:
        MotionveilError: The plan does not fit the data, a picture of somebody cannot be had, or
            something cannot be read or written.
    """
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MotionveilError(f"{folder}: is there already; give another name")
    cast = cast_of(manifest, plan.label, plan.persons, table=plan.who, pattern=plan.pattern)
    plan = _with_options(plan, everybody(cast))
    detect = _detector(plan)
    maker = ClipMaker(manifest.root, plan.spec, detect, picture_rate=manifest.rate)
    left_out = actions_without_both(manifest, plan.persons)
    pool = [clip for clip in _part(manifest, plan.split) if clip.action not in left_out]
    _check_enough(pool, plan)  # looking for faces takes a while
    random = Random(f"study {plan.seed}")
    faces = _portraits(manifest, plan, cast, pool, random, detect, left_out)
    held = set().union(*(portrait.clips for portrait in faces.values()))
    pool = [clip for clip in pool if clip.key not in held]
    asked = draw_questions(pool, plan, cast, random)
    return _write(manifest, plan, asked, faces, maker, folder)


def draw_questions(pool: Sequence[Clip], plan: Plan, cast: Cast, random: Random) -> list[Asked]:
    """Draw the questions, the worked example and the attention checks.

    The example has a clip of its own, original video. A check has a veiled clip that nothing else
    asks about, or where none is left, the clip of a question.

    Raises:
        MotionveilError: There are too few clips.
    """
    people, label = everybody(cast), plan.label
    number = plan.options or min(OPTIONS, len(people))
    _check_enough(pool, plan)
    chosen = choose_clips(pool, label, cast, plan.numbers, random)
    used = {clip.key for clips in chosen.values() for clip in clips}
    spare = [clip for clip in pool if clip.key not in used]
    had: Counter[str] = Counter()
    asked = []
    for condition, clips in chosen.items():
        for clip in clips:
            right = tuple(shown.name for shown in cast[clip.privacy[label]])
            options = choose_others(right, people, number, had, random)
            asked.append(Asked(clip, condition, "question", right, tuple(options)))
    example = spare.pop(random.randrange(len(spare)))
    right = tuple(shown.name for shown in cast[example.privacy[label]])
    options = choose_others(right, people, number, Counter(had), random)
    asked.append(Asked(example, "raw", "example", right, tuple(options)))
    again = [one.clip for one in asked if one.condition == "veiled"] or [one.clip for one in asked]
    for _ in range(plan.checks):
        source = spare if spare else again
        clip = source.pop(random.randrange(len(source))) if spare else random.choice(again)
        names = tuple(random.sample(people, number))
        asked.append(Asked(clip, "veiled", "attention", names[: plan.persons], names))
    return asked


def _check_enough(pool: Sequence[Clip], plan: Plan) -> None:
    questions = sum(plan.numbers.values())
    if len(pool) <= questions:
        raise MotionveilError(
            f"{questions} questions and a worked example are asked for, and there are {len(pool)}"
            " clips to ask about; ask fewer questions, or take clips of all parts (--split all)"
        )


def _with_options(plan: Plan, people: Sequence[str]) -> Plan:
    """Return a plan that says how many options there are, once its numbers are known to fit."""
    options = min(OPTIONS, len(people)) if plan.options is None else plan.options
    if not plan.persons < options <= len(people):
        raise MotionveilError(
            f"--options {options}: there are {len(people)} people, {plan.persons} of them in a"
            f" clip; show {plan.persons + 1} to {len(people)}"
        )
    if not 0 < len(plan.title.strip()) <= TITLE:
        raise MotionveilError(
            f"--title: has {len(plan.title.strip())} characters; give 1 to {TITLE}"
        )
    if plan.numbers.get("face-blurred") and plan.detector is None:
        raise MotionveilError("--face-blurred needs --face-detector, YuNet's ONNX file")
    if not sum(plan.numbers.values()):
        raise MotionveilError("no questions: ask at least one")
    return replace(plan, options=options)


def _detector(plan: Plan) -> Detect | None:
    if plan.detector is None:
        return None
    from motionveil.faces import FaceDetector

    return FaceDetector(plan.detector)


def _part(manifest: Manifest, split: str | None) -> list[Clip]:
    if split == ALL or (split is None and not manifest.splits()):
        return list(manifest.clips)
    return manifest.part(split or manifest.splits()[0], training=False)


def _portraits(
    manifest: Manifest,
    plan: Plan,
    cast: Cast,
    pool: Sequence[Clip],
    random: Random,
    detect: Detect | None,
    left_out: Sequence[str],
) -> dict[str, Portrait]:
    names = everybody(cast)
    if plan.pictures is not None:
        return portraits.from_pictures(plan.pictures, names)
    if plan.boxes is not None:
        return portraits.from_boxes(plan.boxes, manifest, names)
    return portraits.from_clips(
        manifest,
        plan.label,
        cast,
        pool,
        random,
        detect=detect,
        around=plan.around,
        left_out=left_out,
        track=lambda items: track(items, "Looking for faces", len(names)),
    )


def _write(
    manifest: Manifest,
    plan: Plan,
    asked: Sequence[Asked],
    faces: dict[str, Portrait],
    maker: ClipMaker,
    folder: Path,
) -> tuple[Study, Key]:
    part = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.part"
    try:
        (part / MEDIA).mkdir(parents=True, mode=0o700)
        (part / PICTURES).mkdir(mode=0o700)
        part.chmod(0o700)
        people = _write_people(faces, asked, part / PICTURES)
        stems = _write_clips(asked, maker, part / MEDIA)
        study, key = _describe(manifest, plan, asked, people, stems, faces, maker)
        write_study(part, study, key)
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise MotionveilError(f"{folder}: cannot write here: {error.strerror}") from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return study, key


def _write_people(
    faces: dict[str, Portrait], asked: Sequence[Asked], folder: Path
) -> dict[tuple[str, bool], Person]:
    """Write all pictures, the marked ones that are needed too; return people by name and mark."""
    needed = {(name, False) for name in faces}
    needed |= {(name, True) for one in asked if one.kind == "attention" for name in one.right}
    people, ids, files = {}, _Ids(), _Ids()
    for name, mark in sorted(needed):
        person = Person(id=ids.new(), picture=f"{files.new()}.jpg", marked=mark)
        image = faces[name].image
        write_jpeg(marked(image) if mark else image, folder / person.picture)
        people[name, mark] = person
    return people


def _write_clips(
    asked: Sequence[Asked], maker: ClipMaker, folder: Path
) -> dict[tuple[str, Condition], str]:
    """Write every clip once in every condition that is asked; return the stems of the files."""
    stems: dict[tuple[str, Condition], str] = {}
    ids = _Ids()
    for one in track(asked, "Making clips", len(asked)):
        if (one.clip.key, one.condition) not in stems:
            stem = stems[one.clip.key, one.condition] = ids.new()
            maker.write(one.clip, one.condition, folder / stem)
    return stems


def _describe(
    manifest: Manifest,
    plan: Plan,
    asked: Sequence[Asked],
    people: dict[tuple[str, bool], Person],
    stems: dict[tuple[str, Condition], str],
    faces: dict[str, Portrait],
    maker: ClipMaker,
) -> tuple[Study, Key]:
    ids = _Ids()
    questions, right = [], {}
    for one in asked:
        check = one.kind == "attention"
        shown = [people[name, check and name in one.right].id for name in one.options]
        question = Question(
            id=ids.new(),
            condition=one.condition,
            clip=stems[one.clip.key, one.condition],
            options=sorted(shown),
            kind=one.kind,
        )
        questions.append(question)
        right[question.id] = RightAnswer(
            persons=sorted(people[name, check].id for name in one.right),
            action=one.clip.action,
            source=one.clip.key,
        )
    found = maker.faces
    study = Study(
        title=plan.title,
        created=date.today().isoformat(),
        motionveil=__version__,
        command=plan.command,
        seed=plan.seed,
        dataset=StudyDataset(name=manifest.name, hash=manifest.hash),
        label=plan.label,
        people=sorted(people.values(), key=lambda person: person.id),
        persons_per_question=plan.persons,
        options=len(questions[0].options),
        conditions=[condition for condition, number in plan.numbers.items() if number],
        questions=sorted(questions, key=lambda question: question.id),
        break_every=plan.break_every,
        encoder=plan.spec.model_dump(mode="json", exclude_none=True),
        faces_found=None if found is None else found.with_face / found.frames,
        exclusions=plan.exclusions,
    )
    names = {person.id: name for (name, _), person in people.items()}
    sources = {name: portrait.source for name, portrait in sorted(faces.items())}
    return study, Key(questions=right, names=names, portraits=sources)


class _Ids:
    """Makes random ids, none twice."""

    def __init__(self) -> None:
        self._made: set[str] = set()

    def new(self) -> str:
        """Return another id."""
        while True:
            made = "".join(secrets.choice(_LETTERS) for _ in range(8))
            if made not in self._made:
                self._made.add(made)
                return made
