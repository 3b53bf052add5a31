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
from typing import Any, TextIO

from motionveil.atomic_write import refuse_overwriting
from motionveil.bind_address import shown
from motionveil.cli.options import add_live_arguments, count_from, frame_rate
from motionveil.cli.recognise_options import (
    add_answer_arguments,
    add_window_arguments,
    check_remote,
    remote_receivers,
    stream_options,
)
from motionveil.cli.stream_options import (
    describe_destinations,
    destinations,
    notice,
    open_preview,
    read_preview_token,
)
from motionveil.errors import MotionveilError
from motionveil.process_hardening import stopping
from motionveil.recognition import (
    Answer,
    Receiver,
    Recogniser,
    RecognitionOptions,
    RecognitionSummary,
    load_recogniser,
    recognise_clip,
    recognise_source,
)
from motionveil.recognition.reports import (
    CsvReport,
    JsonReport,
    SubtitleReport,
    TextReport,
    Timeline,
    answer_fields,
    describe_answer,
)
from motionveil.secret import secret
from motionveil.streaming import VeilOptions, prepare
from motionveil.streaming.veil_video import describe_encoder
from motionveil.video import FileSource, Sink, Source, SyntheticSource, VideoInfo, open_source
from motionveil.video.reader import FOLDER_RATE

SHIPPED = "actors"
"""The recogniser that comes with the package."""

EXAMPLES = """\
examples:
  motionveil recognise test:actors --preview 127.0.0.1:8080
  motionveil recognise in.mp4 --model quickstart
  motionveil recognise camera:0 --model runs/1 --json
  motionveil recognise veiled.mkv --veiled --model runs/1 --vtt veiled.vtt
  motionveil recognise in.mp4 --model runs/1 --overlay named.mp4
  motionveil recognise camera:0 --model runs/1 --overlay rtsp://127.0.0.1:8554/named
  motionveil recognise clips/*.mp4 --model runs/1 --clips --json --top 3
  motionveil recognise camera:0 --model runs/1 --mqtt mqtt://192.0.2.7/home/kitchen

SOURCE is what `motionveil encode` takes: files, folders of frames, cameras, streams, a pipe (-), a
synthetic camera (test, test:actors). It is veiled by the recogniser's own encoder; the network sees
veiled frames only. A label is reported when it begins and again when it ends: an action, "none of
these" or "no motion".
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "sources", metavar="SOURCE", nargs="+", help="video to recognise; see below"
    )
    parser.add_argument(
        "--model",
        metavar="RUN",
        help="the folder of a quickstart, train or validate, a recogniser/ folder, hf:owner/name,"
        " or the name of a recogniser that comes with the package (default, for test:actors only:"
        f" {SHIPPED})",
    )
    parser.add_argument("--veiled", action="store_true", help="SOURCE is veiled already")
    parser.add_argument(
        "--clips",
        action="store_true",
        help="one answer per file, for its middle, as validation scores it; no smoothing",
    )
    add_window_arguments(parser)
    add_answer_arguments(parser)
    parser.add_argument(
        "--rate",
        type=frame_rate,
        default=FOLDER_RATE,
        help="frame rate of a folder of frames (default: %(default)s)",
    )
    parser.add_argument("--frames", type=count_from(1), metavar="N", help="stop after N frames")
    add_live_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Recognise the sources, and say what was done in them."""
    _check(arguments)
    sources = [_open(written, arguments) for written in arguments.sources]
    tables = [file for file in (arguments.csv, arguments.vtt, arguments.srt) if file is not None]
    written = [*tables, *(dest.to for dest in arguments.overlay)]
    refuse_overwriting(written, [source.name for source in sources])
    recogniser = _load(arguments.model, sources)
    if arguments.json and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    ends = all(isinstance(source, FileSource) for source in sources)
    stop = StopAll()
    prepare()
    with stopping(stop, at_once=ends and not arguments.overlay), ExitStack() as files:
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
    arguments.overlay = destinations(arguments, arguments.overlay)
    for name in ("vtt", "srt", "overlay", "preview"):
        if getattr(arguments, name) and (several or arguments.clips):
            raise MotionveilError(f"--{name}: is for one SOURCE, and not for --clips")
    if arguments.windows and not arguments.json:
        raise MotionveilError("--windows: goes with --json")
    check_remote(arguments)
    read_preview_token(arguments)


def _open(written: str, arguments: argparse.Namespace) -> Source:
    expanded = secret(written, None, "SOURCE") or written
    return open_source(
        expanded,
        rate=arguments.rate,
        give_up=arguments.give_up,
        notice=notice,
        name=None if expanded == written else shown(written),
        decode=arguments.decode,
    )


def _load(model: str | None, sources: list[Source]) -> Recogniser:
    """Load the recogniser; nobody gets real people's actions named by one that knows none unwarned.

    Raises:
        MotionveilError: None is given, and the one that comes with the package does not fit; or
            see `load_recogniser`.
    """
    drawn = all(isinstance(source, SyntheticSource) and source.acts for source in sources)
    if model is None and not drawn:
        raise MotionveilError(
            "--model: give the folder of a `motionveil quickstart`, `train` or `validate`; the"
            f" recogniser that comes with the package, {SHIPPED}, has seen drawn people only and is"
            " for test:actors. For real people, train one on videos of your own"
        )
    recogniser = load_recogniser(SHIPPED if model is None else model)
    if recogniser.spec.knows_drawn_people_only and not drawn:
        notice(
            f"warning: {model}: trained on drawn people only; what it says of real people means"
            " nothing. Train one on videos of your own"
        )
    return recogniser


def _describe(model: str | None, recogniser: Recogniser) -> str:
    drawn = ", trained on drawn people only" if recogniser.spec.knows_drawn_people_only else ""
    name = recogniser.origin or (SHIPPED if model is None else model)
    return f"{name}{drawn}"


def _printer(output: TextIO) -> Callable[[str], None]:
    """Return what prints whole lines, from several threads."""
    lock = Lock()

    def say(line: str) -> None:
        with lock:
            print(line, file=output, flush=True)

    return say


def _run_clips(
    arguments: argparse.Namespace, recogniser: Recogniser, sources: list[Source], files: ExitStack
) -> int:
    """Answer each clip; one that cannot be read costs only its own answer."""
    say, failed = _printer(sys.stdout), 0
    table = None if arguments.csv is None else CsvReport(files, arguments.csv, live=False)
    for source in sources:
        try:
            answer = recognise_clip(source, recogniser, veiled=arguments.veiled, top=arguments.top)
        except MotionveilError as error:
            failed += 1
            notice(f"error: {error}")
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
    """Recognise streams: files one by one, cameras in parallel."""
    piped = any(dest.to == "-" for dest in arguments.overlay)
    say, live = _printer(sys.stderr if piped else sys.stdout), not one_by_one
    table = None if arguments.csv is None else CsvReport(files, arguments.csv, live=live)
    options = RecognitionOptions(
        stream=stream_options(arguments),
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
        timeline = Timeline()
        names = {
            "source": source.name,
            "encoder": f"{recogniser.spec.encoder.name}, {recogniser.spec.geometry}",
            "recogniser": _describe(arguments.model, recogniser),
        }
        with (
            remote_receivers(arguments, source.name, number, notice) as remote,
            _overlay(arguments, recogniser, source) as outputs,
            open_preview(arguments, names, notice, timeline.snapshot) as watch,
        ):
            own, told = stop.another(), [*receivers, *remote, timeline]
            return recognise_source(
                source, recogniser, told, options, stop=own, watch=watch, **outputs
            )

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
            summary = work()
            for line in [describe_summary(summary), *describe_destinations(summary.destinations)]:
                notice(line)
            failed += any(state.trouble for state in summary.destinations)
        except MotionveilError as error:
            if len(sources) == 1:
                raise
            failed += 1
            notice(f"error: {source.name}: {error}")
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
    if not arguments.overlay:
        yield {}
        return
    from motionveil.recognition.overlay import Overlay

    said = f"{describe_encoder(recogniser.spec.stream_spec(), VeilOptions())}, with labels"
    overlay = Overlay(
        *arguments.overlay,
        enlarge=arguments.enlarge,
        cell=recogniser.spec.input.cell,
        font=arguments.font,
        live=not isinstance(source, FileSource),
        pace=not source.live,
        comment=None if arguments.veiled else said,
        notice=notice,
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
