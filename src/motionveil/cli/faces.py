"""`motionveil faces`: blur the faces of a video or of a whole data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motionveil.cli.console import frame_bar
from motionveil.cli.options import count_from
from motionveil.datasets.console import warn
from motionveil.datasets.manifest import Manifest

if TYPE_CHECKING:
    from motionveil.experiments.face_blur import FaceBlur
    from motionveil.faces import FaceCounts

EXAMPLES = """\
The detector is YuNet, an ONNX file (face_detection_yunet_*.onnx of the OpenCV Zoo, Apache-2.0).
Needs: pip install 'motionveil[faces]'.

This is how common anonymisation tools work; it is a baseline, not a recommended protection. It
hides only the faces that were detected: see docs/faces.md.

examples:
  motionveil faces in.mp4 out.mkv --face-detector yunet.onnx
  motionveil faces in.mp4 out.mp4 --face-detector yunet.onnx --enlarge 3   small faces
  motionveil faces manifest.csv blurred/ --face-detector yunet.onnx        a data set; resumes
"""

FEW = 0.5
"""Share of frames with a face below which a warning is printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "source", metavar="MANIFEST_OR_VIDEO", help="a manifest.csv, a video or a folder of frames"
    )
    parser.add_argument(
        "dest",
        metavar="DEST",
        help="for a video: .mkv (lossless), .mp4, .webm or frames/; for a manifest: a folder",
    )
    parser.add_argument("--face-detector", metavar="FILE", required=True, help="YuNet's ONNX file")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="minimum score of a face, at most 1; lower values increase recall and false positives"
        " (default: 0.5)",
    )
    parser.add_argument(
        "--enlarge",
        type=float,
        metavar="TIMES",
        help="enlarge frames for the detector, for small faces (default: 2)",
    )
    parser.add_argument(
        "--hold",
        type=count_from(0),
        metavar="N",
        help="frames for which a lost face remains blurred (default: 5)",
    )
    parser.add_argument(
        "--workers",
        type=count_from(1),
        metavar="N",
        help="number of videos processed in parallel, for a manifest (default: one per core)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the copy, and say where it is and in how many frames a face was found."""
    from motionveil.experiments.face_blur import FaceBlur

    options = ("threshold", "enlarge", "hold")
    given = {name: getattr(arguments, name) for name in options}
    settings = FaceBlur(**{name: value for name, value in given.items() if value is not None})
    if Path(arguments.source).suffix.lower() == ".csv":
        counts = _blur_manifest(arguments, settings)
    else:
        counts = _blur_video(arguments, settings)
    share = counts.with_face / counts.frames
    print(
        f"{counts.frames} frames, {counts.with_face} with a face ({share:.1%}),"
        f" {counts.faces} faces; something blurred in {counts.blurred}"
        f" ({counts.blurred / counts.frames:.1%})"
    )
    if share < FEW:
        warn(f"{arguments.dest}: few faces were found, so most of it is raw video")
    return 0


def _blur_manifest(arguments: argparse.Namespace, settings: FaceBlur) -> FaceCounts:
    from motionveil.experiments.face_blur import LOG, FaceLog, blur_manifest

    copied = blur_manifest(
        Manifest.read(arguments.source),
        arguments.face_detector,
        arguments.dest,
        settings=settings,
        workers=arguments.workers,
    )
    log = FaceLog.read(arguments.dest)
    print(f"wrote {copied.file}, {len(log.videos)} videos and {LOG}")
    return log.total


def _blur_video(arguments: argparse.Namespace, settings: FaceBlur) -> FaceCounts:
    from motionveil.faces import blur_video

    detector = settings.detector(arguments.face_detector)
    with frame_bar(arguments.source) as progress:
        counts = blur_video(
            arguments.source, arguments.dest, detector, settings.blur, progress=progress
        )
    print(f"wrote {arguments.dest}")
    return counts
