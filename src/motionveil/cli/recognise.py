"""`motionveil recognise`: name what people do, in veiled video."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from threading import Event as Stop
from threading import Lock
from typing import Any

from motionveil.bind_address import shown
from motionveil.cli.options import count_from
from motionveil.cli.remote_options import add_remote_arguments, check_remote, remote_receivers
from motionveil.errors import MotionveilError
from motionveil.recognition import (
    Answer,
    Receiver,
    Recogniser,
    RecognitionOptions,
    RecognitionSummary,
    StreamOptions,
    load_recogniser,
    recognise_clip,
    recognise_source,
)
from motionveil.recognition.reports import (
    CsvReport,
    JsonReport,
    SubtitleReport,
    TextReport,
    answer_fields,
    describe_answer,
)
from motionveil.secret import secret
from motionveil.streaming import prepare
from motionveil.streaming.process import stopping
from motionveil.video import FileSource, Sink, Source, VideoInfo, open_source
from motionveil.video.reader import FOLDER_RATE

EXAMPLES = """\
examples:
  motionveil recognise in.mp4 --model quickstart
  motionveil recognise camera:0 --model runs/1 --json
  motionveil recognise veiled.mkv --veiled --model runs/1 --vtt veiled.vtt
  motionveil recognise in.mp4 --model runs/1 --overlay named.mp4
  motionveil recognise clips/*.mp4 --model runs/1 --clips --json --top 3
  motionveil recognise camera:0 --model runs/1 --mqtt mqtt://192.0.2.7/home/kitchen

SOURCE is what `motionveil encode` takes: files, folders of frames, cameras, streams, a pipe (-), a
made-up camera (test). It is veiled by the recogniser's own encoder; only veiled frames are looked
at. A label is told when it begins and again when it ends: an action, "none of these" or
"no motion".
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help="what to look at; see below")
    parser.add_argument(
        "--model",
        metavar="RUN",
        required=True,
        help="the folder of a quickstart, train or validate, or a recogniser/ folder",
    )
    parser.add_argument("--veiled", action="store_true", help="SOURCE is veiled already")
    parser.add_argument(
        "--clips",
        action="store_true",
        help="one answer per file, of its middle, as validation scores it; nothing is smoothed",
    )
    _add_window_arguments(parser)
    _add_answer_arguments(parser)
    parser.add_argument(
        "--rate",
        type=Fraction,
        default=FOLDER_RATE,
        help="frames a second of a folder of frames (default: %(default)s)",
    )
    parser.add_argument("--frames", type=count_from(1), metavar="N", help="stop after N frames")
    parser.add_argument(
        "--give-up",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="end when a camera or stream has sent nothing for so long (default: %(default)g)",
    )


def _add_window_arguments(parser: argparse.ArgumentParser) -> None:
    usual = StreamOptions()
    for option, field, text in (
        ("--stride", "stride", "time between two windows"),
        ("--half-life", "half_life", "half-life of a window's weight in the moving average"),
        ("--shortest", "shortest", "time for which a label must hold before it is told"),
    ):
        value = getattr(usual, field)
        parser.add_argument(
            option,
            type=float,
            default=value,
            metavar="SECONDS",
            help=f"{text} (default: {value:g})",
        )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability below which it is none of these (default: the recogniser's)",
    )


def _add_answer_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--top", type=count_from(1), default=1, metavar="K", help="list the K most probable actions"
    )
    parser.add_argument("--json", action="store_true", help="write lines of JSON to stdout")
    parser.add_argument(
        "--windows", action="store_true", help="with --json, a line for every window too"
    )
    parser.add_argument("--csv", metavar="FILE", help="write a table of the labels that ended")
    parser.add_argument("--vtt", metavar="FILE", help="write the actions as WebVTT subtitles")
    parser.add_argument("--srt", metavar="FILE", help="write the actions as SRT subtitles")
    parser.add_argument(
        "--overlay",
        metavar="OUT",
        help="write the veiled video with labels drawn into it: .mp4, .mkv, .webm",
    )
    parser.add_argument(
        "--enlarge",
        type=count_from(1),
        default=4,
        metavar="N",
        help="in the overlay, each veiled pixel as N x N (default: %(default)s)",
    )
    parser.add_argument("--font", metavar="FILE", help="TrueType font of the overlay's labels")
    add_remote_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Recognise the sources, and say what was done in them."""
    _check(arguments)
    recogniser = load_recogniser(arguments.model)
    if arguments.json and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    sources = [_open(written, arguments) for written in arguments.sources]
    ends = all(isinstance(source, FileSource) for source in sources)
    stop = StopAll()
    prepare()
    with stopping(stop, at_once=ends and arguments.overlay is None), ExitStack() as files:
        if arguments.clips:
            return _run_clips(arguments, recogniser, sources, files)
        return _run_streams(arguments, recogniser, sources, stop, files, one_by_one=ends)


class StopAll(Stop):
    """Ends every source when it is set; a source that has ended sets its own only."""

    def __init__(self) -> None:
        super().__init__()
        self._others: list[Stop] = []

    def another(self) -> Stop:
        """Return what ends one source."""
        other = Stop()
        self._others.append(other)
        if self.is_set():
            other.set()
        return other

    def set(self) -> None:
        """End them all."""
        super().set()
        for other in self._others:
            other.set()


def _check(arguments: argparse.Namespace) -> None:
    several = len(arguments.sources) > 1
    for name in ("vtt", "srt", "overlay"):
        if getattr(arguments, name) is not None and (several or arguments.clips):
            raise MotionveilError(f"--{name}: is for one SOURCE, and not for --clips")
    if arguments.windows and not arguments.json:
        raise MotionveilError("--windows: goes with --json")
    check_remote(arguments)


def _open(written: str, arguments: argparse.Namespace) -> Source:
    expanded = secret(written, None, "SOURCE") or written
    return open_source(
        expanded,
        rate=arguments.rate,
        give_up=arguments.give_up,
        notice=_notice,
        name=None if expanded == written else shown(written),
    )


def _notice(line: str) -> None:
    print(f"motionveil: {line}", file=sys.stderr, flush=True)


def _printer() -> Callable[[str], None]:
    """Return what prints whole lines, from several threads."""
    lock = Lock()

    def say(line: str) -> None:
        with lock:
            print(line, flush=True)

    return say


def _run_clips(
    arguments: argparse.Namespace, recogniser: Recogniser, sources: list[Source], files: ExitStack
) -> int:
    """Answer each clip; one that cannot be read costs only its own answer."""
    say, failed = _printer(), 0
    table = None if arguments.csv is None else CsvReport(files, arguments.csv, live=False)
    for source in sources:
        try:
            answer = recognise_clip(source, recogniser, veiled=arguments.veiled, top=arguments.top)
        except MotionveilError as error:
            failed += 1
            _notice(f"error: {error}")
            continue
        if table is not None:
            table.row(source.name, answer)
        say(_clip_line(source, answer, as_json=arguments.json, top=arguments.top))
    return 1 if failed else 0


def _clip_line(source: Source, answer: Answer, *, as_json: bool, top: int) -> str:
    if as_json:
        fields = {"source": source.name, **answer_fields(answer, top)}
        return json.dumps(fields, ensure_ascii=False)
    return f"{source.name}: {describe_answer(answer)}"


def _run_streams(
    arguments: argparse.Namespace,
    recogniser: Recogniser,
    sources: list[Source],
    stop: StopAll,
    files: ExitStack,
    *,
    one_by_one: bool,
) -> int:
    """Recognise streams: files one by one, cameras at once."""
    say, live = _printer(), not one_by_one
    table = None if arguments.csv is None else CsvReport(files, arguments.csv, live=live)
    options = RecognitionOptions(
        stream=StreamOptions(
            stride=arguments.stride,
            half_life=arguments.half_life,
            shortest=arguments.shortest,
            threshold=arguments.threshold,
            top=arguments.top,
        ),
        veiled=arguments.veiled,
        limit=arguments.frames,
    )

    def work(place: int, source: Source) -> RecognitionSummary:
        several = len(sources) > 1
        name, number = (source.name, place) if several else (None, None)
        receivers: list[Receiver] = [_spoken(arguments, say, source.name, name)]
        if table is not None:
            receivers.append(table.receiver(source.name))
        for kind in ("vtt", "srt"):
            file = getattr(arguments, kind)
            if file is not None:
                receivers.append(SubtitleReport(files, file, kind=kind, live=live))
        with (
            remote_receivers(arguments, source.name, number, _notice) as remote,
            _overlay(arguments, recogniser, source) as outputs,
        ):
            own, told = stop.another(), [*receivers, *remote]
            return recognise_source(source, recogniser, told, options, stop=own, **outputs)

    # A process has one pair of hands for Ctrl-C: files are read in the thread that it interrupts.
    works = [partial(work, place, source) for place, source in enumerate(sources, 1)]
    if one_by_one or len(sources) == 1:
        return _all_done(sources, works)
    with ThreadPoolExecutor(len(sources)) as pool:
        return _all_done(sources, [pool.submit(each).result for each in works])


def _all_done(sources: list[Source], works: Sequence[Callable[[], RecognitionSummary]]) -> int:
    """Say what became of each source; one that fails costs only its own answers."""
    failed = 0
    for source, work in zip(sources, works, strict=True):
        try:
            _notice(describe_summary(work()))
        except MotionveilError as error:
            if len(sources) == 1:
                raise
            failed += 1
            _notice(f"error: {source.name}: {error}")
    return 1 if failed else 0


def _spoken(
    arguments: argparse.Namespace, say: Callable[[str], None], source: str, name: str | None
) -> Receiver:
    if arguments.json:
        return JsonReport(say, source, top=arguments.top, windows=arguments.windows)
    return TextReport(say, name)


@contextmanager
def _overlay(
    arguments: argparse.Namespace, recogniser: Recogniser, source: Source
) -> Iterator[dict[str, Any]]:
    """Yield what `recognise_source` needs to write the overlay, if it is wanted."""
    if arguments.overlay is None:
        yield {}
        return
    from motionveil.recognition.overlay import Overlay

    overlay = Overlay(
        arguments.overlay,
        enlarge=arguments.enlarge,
        cell=recogniser.spec.input.cell,
        font=arguments.font,
        live=not isinstance(source, FileSource),
    )

    def open_output(info: VideoInfo, time_base: Fraction) -> Sink:
        rate = recogniser.spec.geometry.frame_rate(info.rate)
        return overlay.open(rate=rate, time_base=time_base)

    yield {"open_output": open_output, "show": overlay.show}


def describe_summary(summary: RecognitionSummary) -> str:
    """Say in a line what was recognised."""
    events = ", ".join(f"{label} {number}" for label, number in summary.events.items()) or "none"
    dropped = f", {summary.dropped} dropped" if summary.dropped else ""
    return (
        f"{summary.source}: {summary.frames_in} frames in{dropped}, {summary.frames} veiled frames,"
        f" {summary.windows} windows, {summary.breaks} breaks; events: {events}"
    )
