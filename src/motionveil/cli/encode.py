"""`motionveil encode`: veil a video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from motionveil.capture import veil_video
from motionveil.spec import EncoderSpec, load_spec
from motionveil.video.reader import FOLDER_RATE

EXAMPLES = """\
examples:
  motionveil encode in.mp4                        writes in.veiled.mp4
  motionveil encode in.mp4 out.mkv                lossless
  motionveil encode frames/ out.mp4 --rate 30000/1001
  motionveil encode in.mp4 --encoder runs/1 --hard

Sound and metadata are left out. Veiled video hides who is seen only as far as the encoder was
trained and audited to; an untrained encoder hides nothing.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("source", metavar="SOURCE", help="a video file or a folder of frames")
    parser.add_argument(
        "dest",
        metavar="DEST",
        nargs="?",
        help=".mp4 (H.264) or .mkv (lossless FFV1); without it SOURCE's name + .veiled.mp4",
    )
    parser.add_argument(
        "--encoder",
        default="bdq",
        help="a shipped encoder's name, an encoder.json or a run folder (default: %(default)s)",
    )
    parser.add_argument(
        "--hard", action="store_true", help="quantise in steps, 4 bits a value, not in sigmoids"
    )
    parser.add_argument(
        "--first",
        choices=["neutral", "drop"],
        default="neutral",
        help="the first frame has no difference: write a neutral one, or none (default: neutral)",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        default=FOLDER_RATE,
        help="frames a second of a folder of frames, such as 30000/1001 (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Veil the source, and say with what, where, and how many frames."""
    source = Path(arguments.source)
    dest = Path(arguments.dest) if arguments.dest else default_dest(source)
    spec = load_spec(arguments.encoder)
    print(f"encoder {arguments.encoder}: {describe(spec)}", flush=True)
    with _progress(str(source)) as progress:
        summary = veil_video(
            source,
            dest,
            spec,
            hard=arguments.hard,
            first=arguments.first,
            rate=arguments.rate,
            progress=progress,
        )
    rate = summary.info.rate
    print(f"wrote {summary.dest}")
    print(
        f"{summary.frames_in} frames in, {summary.frames_out} out,"
        f" {summary.info.width}x{summary.info.height},"
        f" {f'{float(rate):.6g} ({rate})' if rate else 'unknown'} frames/s,"
        f" {summary.seconds:.1f} s"
    )
    return 0


def default_dest(source: Path) -> Path:
    """Return where a veiled video goes when nothing is said: beside its source."""
    if source.name in ("", ".."):  # "." has no name of its own
        source = source.resolve()
    name = source.name if source.is_dir() else source.stem
    return source.with_name(f"{name}.veiled.mp4")


def describe(spec: EncoderSpec) -> str:
    """Return an encoder's method and provenance in one line."""
    facts = [f"{name} {value}" for name, value in spec.provenance.items() if _is_short(value)]
    return f"{spec.method}, {', '.join(facts) or 'of unknown provenance'}"


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float) and len(str(value)) <= 40


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate; write 25 or 30000/1001")
    return rate


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callback that draws a bar; silent unless a person looks at the terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
