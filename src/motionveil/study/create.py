"""Creating a study: which clips, which options, the files, and the key apart from them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from motionveil._version import __version__
from motionveil.atomic_write import hold_part, part_path
from motionveil.datasets.console import track
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec
from motionveil.study import option_images
from motionveil.study.clips import ClipWriter, choose_clips, choose_options
from motionveil.study.design import (
    IMAGES,
    MEDIA,
    TITLE,
    Condition,
    Exclusions,
    Key,
    Person,
    Question,
    QuestionKind,
    RightAnswer,
    Study,
    StudyDataset,
    write_study,
)
from motionveil.study.option_images import OptionImage, marked, write_jpeg
from motionveil.study.subjects import (
    Subjects,
    read_subjects,
    single_subject_actions,
    subject_names,
)

if TYPE_CHECKING:  # requires packages that only face detection needs
    from motionveil.faces import Detect

OPTIONS = 7
"""Default number of options of a question, as in the paper."""


@dataclass(frozen=True)
class Plan:
    """The parameters of a study.

    Attributes:
        spec: The encoder of the veiled clips.
        label: The privacy label.
        title: Shown to participants; should not name the data set.
        persons: People in a clip, 1 or 2.
        who, pattern: Table or regular expression for two people; see `read_subjects`.
        split: Part of the data, or `"all"`; None for the first held-out part.
        numbers: Number of questions of each condition.
        options: Options of a question; None for 7, or everyone if there are fewer.
        checks: Number of attention checks.
        break_every: Number of questions between breaks; 0 for none.
        seed: Random seed.
        detector: YuNet's ONNX file.
        around: Side of an option image relative to the face's box.
        boxes: Table of people's boxes; see `from_boxes`.
        images: Folder of the user's images; see `from_images`.
        exclusions: Exclusion criteria.
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
    images: Path | None = None
    exclusions: Exclusions = field(default_factory=Exclusions)
    command: str = ""


@dataclass(frozen=True)
class Draft:
    """A question before it has ids.

    Attributes:
        clip, condition, kind: See `Question`.
        right: Names of the people in the clip; of an attention check, of those to be marked.
        options: Names, sorted.
    """

    clip: Clip
    condition: Condition
    kind: QuestionKind
    right: tuple[str, ...]
    options: tuple[str, ...]


def create_study(manifest: Manifest, plan: Plan, out: str | os.PathLike[str]) -> tuple[Study, Key]:
    """Create a study's folder, completely or not at all, readable by its owner only.

    The selection follows from the seed; ids and file names are random.

    The folder must not exist, or be empty.

    Raises:
        MotionveilError: The plan does not fit the data, an image of a person is not available, or
            a file cannot be read or written.
    """
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MotionveilError(f"{folder}: already exists; choose another name")
    subjects = read_subjects(
        manifest, plan.label, plan.persons, table=plan.who, pattern=plan.pattern
    )
    plan = _checked(plan, subject_names(subjects))
    detect = None
    if plan.detector is not None:
        from motionveil.faces import FaceDetector

        detect = FaceDetector(plan.detector)
    clip_writer = ClipWriter(manifest.root, plan.spec, detect, picture_rate=manifest.rate)
    left_out = single_subject_actions(manifest, plan.persons)
    pool = [clip for clip in _part(manifest, plan.split) if clip.action not in left_out]
    _check_enough(pool, plan)  # before the search for faces, which is slow
    random = Random(f"study {plan.seed}")
    images = _option_images(manifest, plan, subjects, pool, random, detect, left_out)
    taken = set().union(*(image.clips for image in images.values()))
    pool = [clip for clip in pool if clip.key not in taken]
    drafts = draw_questions(pool, plan, subjects, random)
    return _write(manifest, plan, drafts, images, clip_writer, folder)


def draw_questions(
    pool: Sequence[Clip], plan: Plan, subjects: Subjects, random: Random
) -> list[Draft]:
    """Draw the questions, the worked example and the attention checks.

    The example has an original clip of its own. An attention check has an unused veiled clip, or
    if none is left, the clip of a question.

    Raises:
        MotionveilError: There are too few clips.
    """
    people, label = subject_names(subjects), plan.label
    number = plan.options or min(OPTIONS, len(people))
    _check_enough(pool, plan)
    chosen = choose_clips(pool, label, subjects, plan.numbers, random)
    used = {clip.key for clips in chosen.values() for clip in clips}
    spare = [clip for clip in pool if clip.key not in used]
    shown: Counter[str] = Counter()

    def draft(clip: Clip, condition: Condition, kind: QuestionKind) -> Draft:
        right = tuple(subject.name for subject in subjects[clip.privacy[label]])
        options = choose_options(right, people, number, shown, random)
        return Draft(clip, condition, kind, right, tuple(options))

    drafts = [
        draft(clip, condition, "question") for condition, clips in chosen.items() for clip in clips
    ]
    drafts.append(draft(spare.pop(random.randrange(len(spare))), "raw", "example"))
    again = [one.clip for one in drafts if one.condition == "veiled"] or [d.clip for d in drafts]
    for _ in range(plan.checks):
        clip = spare.pop(random.randrange(len(spare))) if spare else random.choice(again)
        names = tuple(random.sample(people, number))
        drafts.append(Draft(clip, "veiled", "attention", names[: plan.persons], names))
    return drafts


def _check_enough(pool: Sequence[Clip], plan: Plan) -> None:
    questions = sum(plan.numbers.values())
    if len(pool) <= questions:
        raise MotionveilError(
            f"{questions} questions and a worked example requested, but only {len(pool)} clips are"
            " available; request fewer questions, or use all parts of the data (--split all)"
        )


def _checked(plan: Plan, people: Sequence[str]) -> Plan:
    """Return a plan with its number of options, after a check of its numbers."""
    options = min(OPTIONS, len(people)) if plan.options is None else plan.options
    if not plan.persons < options <= len(people):
        raise MotionveilError(
            f"--options {options}: there are {len(people)} people, {plan.persons} of them in a"
            f" clip; choose {plan.persons + 1} to {len(people)}"
        )
    if not 0 < len(plan.title.strip()) <= TITLE:
        raise MotionveilError(
            f"--title: has {len(plan.title.strip())} characters; give 1 to {TITLE}"
        )
    if plan.numbers.get("face-blurred") and plan.detector is None:
        raise MotionveilError("--face-blurred needs --face-detector, YuNet's ONNX file")
    if not sum(plan.numbers.values()):
        raise MotionveilError("no questions: request at least one")
    return replace(plan, options=options)


def _part(manifest: Manifest, split: str | None) -> list[Clip]:
    if split == "all" or (split is None and not manifest.splits()):
        return list(manifest.clips)
    return manifest.part(split or manifest.splits()[0], training=False)


def _option_images(
    manifest: Manifest,
    plan: Plan,
    subjects: Subjects,
    pool: Sequence[Clip],
    random: Random,
    detect: Detect | None,
    left_out: Sequence[str],
) -> dict[str, OptionImage]:
    names = subject_names(subjects)
    if plan.images is not None:
        return option_images.from_images(plan.images, names)
    if plan.boxes is not None:
        return option_images.from_boxes(plan.boxes, manifest, names)
    return option_images.from_clips(
        manifest,
        plan.label,
        subjects,
        pool,
        random,
        detect=detect,
        around=plan.around,
        left_out=left_out,
        track=lambda items: track(items, "Detecting faces", len(names)),
    )


def _write(
    manifest: Manifest,
    plan: Plan,
    drafts: Sequence[Draft],
    images: dict[str, OptionImage],
    clip_writer: ClipWriter,
    folder: Path,
) -> tuple[Study, Key]:
    part, held = part_path(folder), ExitStack()
    try:
        (part / MEDIA).mkdir(parents=True, mode=0o700)
        held = hold_part(part)
        (part / IMAGES).mkdir(mode=0o700)
        part.chmod(0o700)
        people = _write_images(images, drafts, part / IMAGES)
        stems = _write_clips(drafts, clip_writer, part / MEDIA)
        questions, right = _questions(drafts, people, stems)
        counts = clip_writer.faces
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
            questions=questions,
            break_every=plan.break_every,
            encoder=plan.spec.model_dump(mode="json", exclude_none=True),
            faces_found=None if counts is None else counts.with_face / counts.frames,
            exclusions=plan.exclusions,
        )
        names = {person.id: name for (name, _), person in people.items()}
        sources = {name: image.source for name, image in sorted(images.items())}
        key = Key(questions=right, names=names, portraits=sources)
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
    finally:
        held.close()
    return study, key


def _random_ids(count: int) -> list[str]:
    """Return distinct ids of eight hexadecimal digits."""
    return [f"{number:08x}" for number in SystemRandom().sample(range(16**8), count)]


def _write_images(
    images: dict[str, OptionImage], drafts: Sequence[Draft], folder: Path
) -> dict[tuple[str, bool], Person]:
    """Write all images, with marked ones where needed; return people by name and mark."""
    needed = {(name, False) for name in images}
    needed |= {(name, True) for one in drafts if one.kind == "attention" for name in one.right}
    ids, files = _random_ids(len(needed)), _random_ids(len(needed))
    people = {}
    for (name, mark), person_id, file in zip(sorted(needed), ids, files, strict=True):
        person = Person(id=person_id, picture=f"{file}.jpg", marked=mark)
        image = images[name].image
        write_jpeg(marked(image) if mark else image, folder / person.picture)
        people[name, mark] = person
    return people


def _write_clips(
    drafts: Sequence[Draft], clip_writer: ClipWriter, folder: Path
) -> dict[tuple[str, Condition], str]:
    """Write every clip once per condition; return the stems of the files."""
    wanted = {(one.clip.key, one.condition): one.clip for one in drafts}
    stems = dict(zip(wanted, _random_ids(len(wanted)), strict=True))
    for (key, condition), clip in track(wanted.items(), "Creating clips", len(wanted)):
        clip_writer.write(clip, condition, folder / stems[key, condition])
    return stems


def _questions(
    drafts: Sequence[Draft],
    people: dict[tuple[str, bool], Person],
    stems: dict[tuple[str, Condition], str],
) -> tuple[list[Question], dict[str, RightAnswer]]:
    questions, right = [], {}
    for draft, question_id in zip(drafts, _random_ids(len(drafts)), strict=True):
        check = draft.kind == "attention"
        options = [people[name, check and name in draft.right].id for name in draft.options]
        questions.append(
            Question(
                id=question_id,
                condition=draft.condition,
                clip=stems[draft.clip.key, draft.condition],
                options=sorted(options),
                kind=draft.kind,
            )
        )
        right[question_id] = RightAnswer(
            persons=sorted(people[name, check].id for name in draft.right),
            action=draft.clip.action,
            source=draft.clip.key,
        )
    return sorted(questions, key=lambda question: question.id), right
