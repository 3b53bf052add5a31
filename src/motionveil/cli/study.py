"""`motionveil study`: create, serve and analyse a user study on recognising people in video."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.console import print_table
from motionveil.cli.options import command_line, count_from
from motionveil.cli.study_serve import add_serve_arguments, run_serve

if TYPE_CHECKING:
    from motionveil.study.create import Plan
    from motionveil.study.design import Condition, Key, Study
    from motionveil.study.findings import StudyFindings

TITLE = "Can you tell who it is?"
CREATE_EPILOG = """\
Option images are cropped from original video that is not used in questions: the face with
--face-detector (YuNet, an ONNX file; docs/faces.md), otherwise the whole person. Alternatives:
--boxes, a CSV with the columns path,frame,person,x,y,width,height; --images, a folder with
NAME.jpg of everyone.

With two people per clip, --who maps the values of the label to people: a CSV with the columns
value,left,right. UT-Interaction has a built-in table.

STUDY contains images of people, and original video if a condition requires it: personal data.
See docs/study.md before you show them to anyone.

examples:
  motionveil study create actors/manifest.csv --questions 20 --out mystudy
  motionveil study create ut/manifest.csv --encoder bdq-ut --persons 2 \\
      --split fold1 --questions 10 --raw 4 --face-detector yunet.onnx --out ut-study
"""
ANALYSE_EPILOG = """\
Writes to STUDY/results: study-results.json, study.html, figures as PNG and SVG, tables as CSV.
They contain the names of the label, but no images of people.

examples:
  motionveil study analyse mystudy
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments, a parser for each of its tasks."""
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    usages = []
    for name, line, declare in (
        ("create", "create a study from a manifest", _add_create_arguments),
        ("serve", "serve a study to participants, in their browsers", add_serve_arguments),
        ("analyse", "compute accuracy, intervals and tests", _add_analyse_arguments),
    ):
        task = tasks.add_parser(
            name,
            help=line,
            description=line[0].upper() + line[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        declare(task)
        usages.append(task.format_usage())
    parser.epilog = (
        "\n".join(usages) + "\nexamples:\n"
        "  motionveil study create actors/manifest.csv --questions 20 --out mystudy\n"
        "  motionveil study serve mystudy --invite 26\n"
        "  motionveil study analyse mystudy"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a task."""
    tasks = {"create": _create, "serve": run_serve, "analyse": _analyse}
    return tasks[arguments.task](arguments)


def _add_create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = CREATE_EPILOG
    add = parser.add_argument
    add("manifest", metavar="MANIFEST", help="the data set's manifest.csv")
    text = "name of an included encoder, an encoder.json or a run folder (default: bdq)"
    add("--encoder", default="bdq", help=text)
    add("--title", default=TITLE, help="shown to participants (default: %(default)s)")
    for name, default, text in (
        ("questions", 60, "number of veiled clips"),
        ("raw", 6, "number of original clips, the positive control"),
        ("face-blurred", 0, "number of clips with blurred faces, for comparison"),
        ("checks", 3, "number of attention checks"),
        ("break-every", 20, "questions between breaks; 0: no breaks"),
        ("seed", 0, "random seed"),
    ):
        text += f" (default: {default})"
        add(f"--{name}", type=count_from(0), default=default, metavar="N", help=text)
    text = "images per question (default: 7, or everyone if there are fewer)"
    add("--options", type=count_from(2), metavar="N", help=text)
    add("--split", help="part of the data, or all (default: the first held-out part)")
    add("--label", help="privacy label (default: the first of the manifest)")
    add("--persons", type=int, choices=(1, 2), default=1, help="people per clip (default: 1)")
    text = "two people per clip: matches the label with one group per name, as '(.+)-(.+)'"
    add("--pattern", metavar="REGEX", help=text)
    text = "size of an option image relative to the face (default: 2)"
    add("--around", type=_number_from(0.5), default=2.0, metavar="TIMES", help=text)
    for name, metavar, text in (
        ("who", "CSV", "two people per clip: their names and sides"),
        ("face-detector", "FILE", "YuNet's ONNX file, for option images and face-blurred clips"),
        ("boxes", "CSV", "bounding boxes of people, for option images"),
        ("images", "DIR", "your own option images"),
    ):
        add(f"--{name}", type=Path, metavar=metavar, help=text)
    add("--pictures", dest="images", type=Path, help=argparse.SUPPRESS)  # the earlier name
    text = "output folder (default: study)"
    add("--out", type=Path, default=Path("study"), metavar="STUDY", help=text)
    group = parser.add_argument_group("exclusion criteria, fixed before data collection")
    group.add_argument(
        "--failed-checks",
        type=count_from(0),
        default=1,
        metavar="N",
        help="maximum number of failed attention checks (default: 1)",
    )
    group.add_argument(
        "--fastest",
        type=_number_from(0),
        default=1.0,
        metavar="SECONDS",
        help="minimum median response time; 0: any (default: 1)",
    )
    group.add_argument(
        "--keep-unfinished",
        action="store_true",
        help="include participants with unanswered questions",
    )


def _add_analyse_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = ANALYSE_EPILOG
    add = parser.add_argument
    add("study", type=Path, metavar="STUDY", help="folder from `study create`")
    add("--out", type=Path, metavar="DIR", help="output folder (default: STUDY/results)")
    add(
        "--against",
        default="paper",
        metavar="NAME",
        help="published figures for comparison (default: paper)",
    )
    add(
        "--draws",
        type=count_from(100),
        default=2000,
        metavar="N",
        help="bootstrap samples, and permutations per test (default: 2000)",
    )


def _number_from(least: float) -> Callable[[str], float]:
    """Return an argparse type for numbers of `least` or more."""

    def read(text: str) -> float:
        value = float(text)
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {least:g} or more")
        return value

    return read


def _create(arguments: argparse.Namespace) -> int:
    from motionveil.datasets.manifest import Manifest
    from motionveil.study.create import create_study

    manifest = Manifest.read(arguments.manifest)
    study, key = create_study(manifest, _plan(arguments, manifest.privacy_labels), arguments.out)
    _print_study(study, key, arguments.out)
    return 0


def _plan(arguments: argparse.Namespace, labels: tuple[str, ...]) -> Plan:
    from motionveil.datasets.console import warn
    from motionveil.datasets.manifest import choose_name
    from motionveil.spec import load_spec
    from motionveil.study.create import Plan
    from motionveil.study.design import Exclusions

    numbers: dict[Condition, int] = {
        "veiled": arguments.questions,
        "raw": arguments.raw,
        "face-blurred": arguments.face_blurred,
    }
    spec = load_spec(arguments.encoder)
    if not spec.provenance.get("alpha"):
        warn("the encoder was not trained against an adversary: it was not made to hide anybody")
    return Plan(
        title=arguments.title,
        spec=spec,
        label=choose_name(arguments.label, labels, "--label", arguments.manifest),
        persons=arguments.persons,
        who=arguments.who,
        pattern=arguments.pattern,
        split=arguments.split,
        numbers={condition: number for condition, number in numbers.items() if number},
        options=arguments.options,
        checks=arguments.checks,
        break_every=arguments.break_every,
        seed=arguments.seed,
        detector=arguments.face_detector,
        around=arguments.around,
        boxes=arguments.boxes,
        images=arguments.images,
        exclusions=Exclusions(
            failed_checks_allowed=arguments.failed_checks,
            unfinished=not arguments.keep_unfinished,
            seconds=arguments.fastest,
        ),
        command=command_line(),
    )


def _print_study(study: Study, key: Key, folder: Path) -> None:
    """Print questions per person and condition, the sources of the images, and a summary."""
    questions = study.of_kind("question")
    asked = Counter(
        (key.names[person], question.condition)
        for question in questions
        for person in key.questions[question.id].persons
    )
    people = {key.names[person.id]: person for person in study.people if not person.marked}
    rows = [
        [
            name,
            *(str(asked[name, condition]) for condition in study.conditions),
            person.picture,
            key.portraits[name],
        ]
        for name, person in sorted(people.items())
    ]
    print_table((study.label, *study.conditions, "image", "source"), rows)
    counts = Counter(question.condition for question in questions)
    print(
        f"questions: {len(questions)}"
        f" ({', '.join(f'{counts[name]} {name}' for name in study.conditions)});"
        f" attention checks: {len(study.of_kind('attention'))}; worked examples: 1;"
        f" selection: {study.persons_per_question} of {study.options}"
    )
    if study.faces_found is not None:
        print(f"face-blurred clips: face detected in {study.faces_found:.1%} of the frames")
    print(
        f"personal data: {folder / 'pictures'} and {folder / 'media'};"
        " check every image before serving"
    )
    print(f"wrote {folder}")


def _analyse(arguments: argparse.Namespace) -> int:
    from motionveil.published import load_publication
    from motionveil.study.analysis import analyse
    from motionveil.study.design import read_key, read_study
    from motionveil.study.store import export
    from motionveil.study.summary import write_results

    published = load_publication(arguments.against)
    study = read_study(arguments.study)
    key = read_key(arguments.study, study)
    found = analyse(study, key, export(arguments.study), draws=arguments.draws)
    _print_findings(found)
    for file in write_results(found, arguments.out or arguments.study / "results", published):
        print(f"wrote {file}")
    return 0


def _print_findings(found: StudyFindings) -> None:
    from motionveil.study.summary import COLUMNS, notes, summary_table

    if found.conditions:
        print_table(COLUMNS, summary_table(found.conditions), width=200)
    for note in notes(found):
        print(f"note: {note}")
    for excluded in found.excluded:
        print(f"excluded {excluded.participant}: {'; '.join(excluded.reasons)}")
