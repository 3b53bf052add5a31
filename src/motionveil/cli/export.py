"""`motionveil export`: the encoder out of Python."""

from __future__ import annotations

import argparse
from pathlib import Path

from motionveil.atomic_write import refuse_overwriting
from motionveil.errors import MotionveilError
from motionveil.spec import FILE_NAME, EncoderSpec, at_geometry, load_spec

EXAMPLES = """\
examples:
  motionveil export moments -o veil.c           the default encoder of encode and serve
  motionveil export bdq --format c              writes bdq.c
  motionveil export bdq -o bdq.onnx             needs: pip install 'motionveil[export]'
  motionveil export runs/1 -o veil.c --hard

BDQ and other maps of blurred differences can be exported, and flow (the motion field) and moments,
whose output is the grid of cells.

Neither file detects scene cuts, reconnects or exposure jumps: the caller must restart the encoder
there, or the output is an image of the scene (of flow and moments: no valid velocity). Both resize
a camera's frames to the size at which the encoder was trained and audited, and state the frame rate
to use. See docs/export.md.
"""

FORMATS = ("onnx", "c")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "encoder",
        metavar="ENCODER",
        help="a shipped name, an encoder.json, a run folder, hf:owner/name or flow-untrained",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="ONNX model, or one C99 file with integer arithmetic (default: by the suffix of FILE)",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="output file (default: ENCODER's name + .onnx or .c, in the working directory)",
    )
    parser.add_argument(
        "--hard",
        action="store_true",
        help="hard quantisation, 4 bits per value, instead of sigmoids",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the file; print its path and how to start the encoder."""
    kind = arguments.format or _format_of(arguments.out)
    spec = at_geometry(load_spec(arguments.encoder))
    path = arguments.out or Path(f"{_name(Path(arguments.encoder))}.{kind}")
    refuse_overwriting([path], [arguments.encoder, Path(arguments.encoder) / FILE_NAME])
    if kind == "onnx":
        _write_onnx(spec, path, arguments.hard)
    else:
        _write_c(spec, path, arguments.hard)
    return 0


def _write_onnx(spec: EncoderSpec, path: Path, hard: bool) -> None:
    from motionveil.export.onnx import OPSET, write_onnx

    graph = write_onnx(spec, path, hard=hard).graph
    taken, given = (", ".join(v.name for v in values) for values in (graph.input, graph.output))
    also = ", running_next as running" if "running" in taken else ""
    print(f"wrote {path}")
    print(f"geometry: {spec.geometry}; the model averages, whoever runs it keeps to the rate")
    print(f"opset {OPSET}; {taken} -> {given}; feed blurred back as previous{also}")
    print("start, and after every cut start again, with previous filled with NaN, never with zeros")


def _write_c(spec: EncoderSpec, path: Path, hard: bool) -> None:
    from motionveil.export.c import state_sizes, write_c

    numbers = write_c(spec, path, hard=hard)
    print(f"wrote {path}")
    print(
        f"geometry: {spec.geometry}; every frame through motionveil_average, then motionveil_veil"
    )
    print(f"bytes of state: {', '.join(state_sizes(spec, numbers))}")
    print(f"bytes of constant table: {len(numbers.table):,}")
    print(numbers.accuracy)
    print("start, and after every cut start again, with motionveil_start(state)")


def _format_of(path: Path | None) -> str:
    suffix = path.suffix.lower().removeprefix(".") if path else ""
    if suffix not in FORMATS:
        where = path if path else "export"
        raise MotionveilError(f"{where}: in which format? Give --format, or -o FILE.onnx or FILE.c")
    return suffix


def _name(encoder: Path) -> str:
    """Return what the file is called when nothing is said: `bdq`, or as the file or folder is."""
    return encoder.resolve().name if encoder.is_dir() else encoder.stem
