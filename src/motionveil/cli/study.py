"""`motionveil study`: can people tell who a veiled video shows? Made, served and analysed."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.options import command_line, count_from
from motionveil.cli.study_serve import add_serve_arguments, run_serve
from motionveil.cli.table import print_table

if TYPE_CHECKING:
    from motionveil.study.design import Condition, Key, Study
    from motionveil.study.findings import StudyFindings
    from motionveil.study.making import Plan

CREATE_EPILOG = """\
Option pictures are cut from original video that nobody is asked about: the face where a detector
is given (YuNet, an ONNX file; docs/faces.md), else the whole person; or give --boxes, a CSV with
the columns path,frame,person,x,y,width,height, or --pictures, a folder with NAME.jpg of everybody.

With two people a clip, --who says which value of the label is whom: a CSV with the columns
value,left,right. UT-Interaction has one built in.

STUDY then holds pictures of people, and original video where a condition asks for it: these are
personal data. Nobody may see them who did not get them lawfully; docs/study.md has more.

examples:
  motionveil study create actors/manifest.csv --questions 20 --out mystudy
  motionveil study create ut/manifest.csv --encoder bdq-ut --persons 2 \\
      --split fold1 --questions 10 --raw 4 --face-detector yunet.onnx --out ut-study
"""
ANALYSE_EPILOG = """\
Writes STUDY/results: study-results.json, study.html, the figures as PNG and SVG, tables as CSV.
They hold no pictures of people; the names of the label are in them.

examples:
  motionveil study analyse mystudy
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments, a parser for each of its tasks."""
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    usages = []
    for name, line, declare in (
        ("create", "make a study's folder out of a manifest", _add_create_arguments),
        ("serve", "let people take part, in their browsers", add_serve_arguments),
        ("analyse", "turn the answers into figures, with intervals and tests", _add_analyse),
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
    """Do one task of a study."""
    if arguments.task == "create":
        return _create(arguments)
    if arguments.task == "serve":
        return run_serve(arguments)
    return _analyse(arguments)


def _add_create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = CREATE_EPILOG
    parser.add_argument("manifest", metavar="MANIFEST", help="the data set's manifest.csv")
    parser.add_argument(
        "--out", type=Path, default=Path("study"), metavar="STUDY", help="folder (default: study)"
    )
    parser.add_argument(
        "--encoder",
        default="bdq",
        help="a shipped encoder's name, an encoder.json or a run folder (default: %(default)s)",
    )
    parser.add_argument(
        "--title",
        default="Can you tell who it is?",
        help="what participants see above (default: %(default)s)",
    )
    _add_questions(parser)
    _add_people(parser)
    _add_exclusions(parser)


def _add_questions(parser: argparse.ArgumentParser) -> None:
    number = count_from(0)
    parser.add_argument(
        "--questions", type=number, default=60, metavar="N", help="veiled clips (default: 60)"
    )
    parser.add_argument(
        "--raw",
        type=number,
        default=6,
        metavar="N",
        help="original clips between them: can the task be done at all? (default: 6)",
    )
    parser.add_argument(
        "--face-blurred",
        type=number,
        default=0,
        metavar="N",
        help="clips with blurred faces, to compare with (default: 0)",
    )
    parser.add_argument(
        "--options",
        type=count_from(2),
        metavar="N",
        help="pictures of a question (default: 7, or everybody where there are fewer)",
    )
    parser.add_argument(
        "--checks", type=number, default=3, metavar="N", help="attention checks (default: 3)"
    )
    parser.add_argument(
        "--break-every",
        type=number,
        default=20,
        metavar="N",
        help="offer a break after so many questions; 0: never (default: 20)",
    )
    parser.add_argument(
        "--split", help="the part to ask about, or all (default: the first part held out)"
    )
    parser.add_argument("--seed", type=number, default=0, help="decides every draw (default: 0)")


def _add_people(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--label", help="the privacy label (default: the manifest's first)")
    parser.add_argument(
        "--persons", type=int, choices=(1, 2), default=1, help="people a clip (default: 1)"
    )
    parser.add_argument("--who", type=Path, metavar="CSV", help="two people a clip: who is who")
    parser.add_argument(
        "--pattern",
        metavar="REGEX",
        help="two people a clip: finds both names in the label, a group each, as in '(.+)-(.+)'",
    )
    parser.add_argument(
        "--face-detector", type=Path, metavar="FILE", help="YuNet's ONNX file, for the pictures"
    )
    parser.add_argument(
        "--around",
        type=_number_from(0.5),
        default=2.0,
        metavar="TIMES",
        help="how many times a picture is as large as the face (default: 2)",
    )
    parser.add_argument("--boxes", type=Path, metavar="CSV", help="where people are, for pictures")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="pictures of your own")


def _add_exclusions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("whose answers will not count, said before anybody answers")
    group.add_argument(
        "--failed-checks",
        type=count_from(0),
        default=1,
        metavar="N",
        help="who fails more attention checks than this (default: 1)",
    )
    group.add_argument(
        "--fastest",
        type=_number_from(0),
        default=1.0,
        metavar="SECONDS",
        help="who answers half of the questions faster; 0: nobody (default: 1)",
    )
    group.add_argument(
        "--keep-unfinished",
        action="store_true",
        help="let those count too who have not answered everything",
    )


def _number_from(least: float) -> Callable[[str], float]:
    """Return a reader of numbers from `least` on, for argparse."""

    def read(text: str) -> float:
        value = float(text)
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is no number of {least:g} or more")
        return value

    return read


def _add_analyse(parser: argparse.ArgumentParser) -> None:
    parser.epilog = ANALYSE_EPILOG
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder from `study create`")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the results go (default: STUDY/results)"
    )
    parser.add_argument(
        "--against", default="paper", metavar="NAME", help="published figures (default: paper)"
    )
    parser.add_argument(
        "--draws",
        type=count_from(100),
        default=2000,
        metavar="N",
        help="of the bootstrap and of each test (default: 2000)",
    )


def _create(arguments: argparse.Namespace) -> int:
    from motionveil.data.manifest import Manifest
    from motionveil.study.making import make_study

    manifest = Manifest.read(arguments.manifest)
    study, key = make_study(manifest, _plan(arguments, manifest.privacy_labels), arguments.out)
    _print_study(study, key, arguments.out)
    return 0


def _plan(arguments: argparse.Namespace, labels: tuple[str, ...]) -> Plan:
    from motionveil.cli.options import choose
    from motionveil.data.warnings import warn
    from motionveil.spec import load_spec
    from motionveil.study.design import Exclusions
    from motionveil.study.making import Plan

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
        label=choose(arguments.label, labels, "--label", arguments.manifest),
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
        pictures=arguments.pictures,
        exclusions=Exclusions(
            failed_checks_allowed=arguments.failed_checks,
            unfinished=not arguments.keep_unfinished,
            seconds=arguments.fastest,
        ),
        command=command_line(),
    )


def _print_study(study: Study, key: Key, folder: Path) -> None:
    """Say what was made, how even it came out, and what is personal in it."""
    asked: Counter[tuple[str, str]] = Counter()
    for question in study.of_kind("question"):
        for person in key.questions[question.id].persons:
            asked[key.names[person], question.condition] += 1
    rows = [
        [
            key.names[person.id],
            *(str(asked[key.names[person.id], condition]) for condition in study.conditions),
            person.picture,
            key.portraits[key.names[person.id]],
        ]
        for person in sorted(study.people, key=lambda person: key.names[person.id])
        if not person.marked
    ]
    print_table((study.label, *study.conditions, "picture", "cut from"), rows)
    counts = Counter(question.condition for question in study.of_kind("question"))
    print(
        f"{sum(counts.values())} questions"
        f" ({', '.join(f'{counts[name]} {name}' for name in study.conditions)}),"
        f" {len(study.of_kind('attention'))} attention checks, 1 worked example;"
        f" {study.persons_per_question} of {study.options} pictures to choose"
    )
    if study.faces_found is not None:
        print(f"a face was found in {study.faces_found:.1%} of the frames of face-blurred clips")
    print(
        f"{folder / 'pictures'} and {folder / 'media'} hold pictures and original video of people:"
        " personal data.\nThey go to whoever takes part, and to nobody else; look at every picture"
        " before you serve them."
    )
    print(f"wrote {folder}")


def _analyse(arguments: argparse.Namespace) -> int:
    from motionveil.published.figures import load_publication
    from motionveil.study.analysis import analyse
    from motionveil.study.design import read_key, read_study
    from motionveil.study.page import write_results
    from motionveil.study.store import export

    published = load_publication(arguments.against)
    study = read_study(arguments.study)
    key = read_key(arguments.study, study)
    found = analyse(study, key, export(arguments.study), draws=arguments.draws)
    _print_findings(found)
    out = arguments.out or arguments.study / "results"
    for file in write_results(found, out, published):
        print(f"wrote {file}")
    return 0


def _print_findings(found: StudyFindings) -> None:
    from motionveil.statistics import p_value
    from motionveil.study.words import headline, in_brackets, percent, with_interval

    if found.kind == "simulated":
        print("SIMULATED participants: this says nothing about people")
    print(headline(found))
    rows = []
    for condition in found.conditions:
        apart = {difference.measure: difference for difference in condition.control}
        for score in condition.scores:
            against = apart.get(score.measure)
            rows.append(
                [
                    condition.condition,
                    score.measure,
                    str(score.share.n),
                    with_interval(score.share),
                    percent(score.chance),
                    percent(score.informed),
                    p_value(score.p),
                    f"{percent(against.value)}{in_brackets(against.interval)}" if against else "",
                    p_value(against.p) if against else "",
                ]
            )
    headings = (
        "clips",
        "right",
        "answers",
        "share",
        "guessing %",
        "informed %",
        "p",
        "less raw",
        "p",
    )
    print_table(headings, rows)
    for excluded in found.excluded:
        print(f"{excluded.participant} does not count: {'; '.join(excluded.reasons)}")
