"""`motionveil encode`: veil a video, a folder of videos, a camera or a stream."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from motionveil.bind_address import shown
from motionveil.cli.console import frame_bar
from motionveil.cli.options import add_live_arguments, count_from, frame_rate
from motionveil.cli.stream_options import (
    add_destination_arguments,
    add_preview_arguments,
    describe_encoder,
    describe_folder,
    describe_summary,
    destinations,
    notice,
    open_preview,
    read_preview_token,
)
from motionveil.errors import MotionveilError
from motionveil.process_hardening import stopping
from motionveil.secret import secret
from motionveil.spec import DEFAULT, EncoderSpec, at_geometry, load_spec
from motionveil.streaming import VeilOptions, prepare, veil_source
from motionveil.streaming.folder import DEFAULT_NAME, veil_folder
from motionveil.streaming.status import Status
from motionveil.streaming.stream_encoder import StreamEncoder
from motionveil.video import Destination, FileSource, Source, check_dest, open_source
from motionveil.video.reader import FOLDER_RATE
from motionveil.video.sinks import sinks

EXAMPLES = """\
sources:
  in.mp4                      a file
  frames/                     a folder of images
  camera, camera:1            a camera of this machine
  rtsp://host/live            a network stream, also http, https; reconnects
  -                           standard input: y4m, mpegts, Matroska
  test:640x480@30             a synthetic camera
  test:actors                 a synthetic camera that shows drawn people who act
destinations:
{destinations}

examples:
  motionveil encode in.mp4                        writes in.veiled.mp4
  motionveil encode in.mp4 out.mkv --enlarge 4    lossless, each pixel as 4 x 4
  motionveil encode frames/ out.mp4 --rate 30000/1001
  motionveil encode in.mp4 --encoder runs/1 --hard
  motionveil encode videos/ --out veiled/ --name '{stem}.veiled.mkv' --jobs 2
  motionveil encode camera:0 --preview 127.0.0.1:8080
  motionveil encode rtsp://127.0.0.1:8554/live live.mkv --codec h264
  motionveil encode 'rtsp://user:${PASSWORD}@host/live' live.mkv
  motionveil encode --source-file camera.txt live.mkv
  motionveil encode camera rtsp://127.0.0.1:8554/veiled hls/live.m3u8 \\
      'rec/%Y%m%d-%H%M%S.mkv' --codec h264 --segment 10m --keep 7d --keep-size 20G
  ffmpeg -i in.mp4 -f yuv4mpegpipe - | motionveil encode - - | ffplay -

The source is resampled to the size and frame rate at which the encoder was trained and audited;
the output has that size. Sound and metadata are removed. After lost frames a neutral frame is
written; with BDQ and the motion field also at a scene cut, an exposure jump and the like, which the
default encoder cannot show. Veiled video hides identity only as far as the encoder was audited for
it; an untrained BDQ hides nothing.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    kinds = "\n".join(f"  {kind.example:<28}{kind.help}" for kind in sinks())
    parser.epilog = EXAMPLES.replace("{destinations}", kinds)
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="video to veil; see below")
    parser.add_argument(
        "dest",
        metavar="DEST",
        nargs="*",
        help="destinations; see below (default, for a file: SOURCE's name + .veiled.mp4)",
    )
    parser.add_argument(
        "--source-file",
        metavar="FILE",
        help="read SOURCE from a file, such as a URL with a password",
    )
    parser.set_defaults(wrong_usage=parser.error)
    _add_encoder_arguments(parser)
    _add_video_arguments(parser)
    _add_folder_arguments(parser)
    add_preview_arguments(parser)
    add_live_arguments(parser)


def _add_encoder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoder",
        default=DEFAULT,
        help="a shipped encoder's name, an encoder.json, a run folder, hf:owner/name, or a method"
        " such as blur-4 or flow-untrained (default: %(default)s)",
    )
    parser.add_argument(
        "--hard",
        action="store_true",
        help="BDQ and the motion field: hard quantisation, 4 bits per value, instead of sigmoids",
    )
    parser.add_argument(
        "--no-guard",
        action="store_true",
        help="disable the guard: with BDQ, the output shows the scene at cuts and exposure jumps",
    )
    parser.add_argument(
        "--native",
        action="store_true",
        help="veil at the source's own size and rate, which have not been audited",
    )


def _add_video_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--first",
        choices=["neutral", "drop"],
        default="neutral",
        help="write a neutral frame for the first frame, or drop it (default: neutral)",
    )
    parser.add_argument(
        "--rate",
        type=frame_rate,
        default=FOLDER_RATE,
        help="frame rate of a folder of frames, such as 30000/1001 (default: %(default)s)",
    )
    parser.add_argument(
        "--enlarge",
        type=count_from(1),
        default=1,
        metavar="N",
        help="write each pixel as N x N pixels, for viewing (default: %(default)s)",
    )
    parser.add_argument(
        "--codec", choices=["h264", "ffv1", "vp9"], help="video codec; for a .mkv, h264 or ffv1"
    )
    add_destination_arguments(parser, "DEST", "--dest-file")
    parser.add_argument("--frames", type=count_from(1), metavar="N", help="stop after N frames")


def _add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", help="veil all videos below the folder SOURCE into DIR; resumes"
    )
    parser.add_argument(
        "--name",
        default=DEFAULT_NAME,
        help="names of the outputs, with {stem}, {name}, {suffix} (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=count_from(1),
        default=1,
        metavar="N",
        help="number of videos in parallel (default: 1)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Veil the source, and say with what, where, and how many frames."""
    _read_secrets(arguments)
    named = load_spec(arguments.encoder)
    spec = at_geometry(named, arguments.native)
    if spec is not named:
        notice(f"{spec.name} has no size and rate of its own: {spec.geometry}, as {DEFAULT} has")
    # Refuses what cannot stream, before anything is opened.
    if StreamEncoder(spec, native=arguments.native).neutral is None:
        notice(f"warning: {spec.name} shows the scene: it is a baseline, no protection")
    if spec.is_untrained:
        notice(f"warning: {spec.name} is untrained: no figure says what it hides")
    if arguments.native:
        notice(
            "warning: --native: veiled at the source's own size and rate; no figure of this"
            " encoder holds there, and faces may be readable"
        )
    output = sys.stderr if "-" in arguments.dest else sys.stdout
    print(f"encoder {arguments.encoder}: {describe_encoder(spec)}", file=output, flush=True)
    options = VeilOptions(
        native=arguments.native,
        enlarge=arguments.enlarge,
        hard=arguments.hard,
        guard=not arguments.no_guard,
        first=arguments.first,
        codec=arguments.codec,
        limit=arguments.frames,
    )
    if arguments.out is not None:
        return _run_folder(arguments, spec, options)
    return _run_source(arguments, spec, options, output)


def _read_secrets(arguments: argparse.Namespace) -> None:
    """Put the real SOURCE and token in their places, and in `source_name` what messages say."""
    if arguments.source_file is not None:
        if arguments.source is not None:  # it is the first DEST
            arguments.dest = [arguments.source, *arguments.dest]
        arguments.source = None
    elif arguments.source is None:
        arguments.wrong_usage("the following arguments are required: SOURCE (or --source-file)")
    written = arguments.source
    if written is None or not Path(written).exists():  # a file's own name may hold ${...}
        arguments.source = secret(written, arguments.source_file, "--source")
    hidden = f"what {arguments.source_file} holds" if written is None else shown(written)
    arguments.source_name = None if arguments.source == written else hidden
    read_preview_token(arguments)


def _run_source(
    arguments: argparse.Namespace, spec: EncoderSpec, options: VeilOptions, output: TextIO
) -> int:
    dests = destinations(arguments, arguments.dest, codec=options.codec)
    check_dest(*dests)
    source = open_source(
        arguments.source,
        rate=arguments.rate,
        give_up=arguments.give_up,
        notice=notice,
        name=arguments.source_name,
        decode=arguments.decode,
    )
    is_file = isinstance(source, FileSource)
    if not dests and is_file:
        beside = str(default_dest(Path(arguments.source)))
        dests = [Destination(beside, options.codec, literal=True)]
    if not dests and arguments.preview is None:
        raise MotionveilError(f"{source.name}: give a DEST to write to, or --preview to look at it")
    stop = Event()
    with stopping(stop, at_once=is_file):
        print(f"ready in {prepare():.1f} s", file=output, flush=True)
        names = {"source": source.name, "encoder": arguments.encoder}
        say = partial(print, file=output, flush=True)
        with open_preview(arguments, names, say) as show, _progress(source) as progress:

            def watch(status: Status, image: NDArray[np.uint8]) -> None:
                show(status, image)
                progress(status)

            summary = veil_source(
                source, dests, spec, options, stop=stop, notice=notice, watch=watch
            )
    for line in describe_summary(summary):
        print(line, file=output)
    return 1 if any(state.trouble for state in summary.destinations) else 0


def _run_folder(arguments: argparse.Namespace, spec: EncoderSpec, options: VeilOptions) -> int:
    if arguments.dest or arguments.dest_file or arguments.preview is not None:
        raise MotionveilError("--out veils a folder of videos: it goes with no DEST or --preview")
    if arguments.source_name is not None and not Path(arguments.source).is_dir():
        raise MotionveilError(f"{arguments.source_name}: no such folder")
    print(f"ready in {prepare():.1f} s", flush=True)
    with stopping(Event(), at_once=True), frame_bar(shown(arguments.source)) as progress:
        summary = veil_folder(
            arguments.source,
            arguments.out,
            spec,
            options,
            name=arguments.name,
            jobs=arguments.jobs,
            progress=progress,
        )
    for line in describe_folder(summary):
        print(line)
    for reason in summary.failed.values():
        print(f"motionveil: error: {reason}", file=sys.stderr)
    return 1 if summary.failed else 0


def default_dest(source: Path) -> Path:
    """Return where a veiled video goes when nothing is said: beside its source."""
    if source.name in ("", ".."):  # "." has no name of its own
        source = source.resolve()
    name = source.name if source.is_dir() else source.stem
    return source.with_name(f"{name}.veiled.mp4")


@contextmanager
def _progress(source: Source) -> Iterator[Callable[[Status], None]]:
    """Yield a callback that draws a bar of frames; silent unless a person looks at it."""
    total = source.info.frames if source.info else None
    with frame_bar(source.name) as advance:
        yield lambda status: advance(status.frames_out, total)
