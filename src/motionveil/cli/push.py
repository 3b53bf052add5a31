"""`motionveil push`: an encoder and its recogniser to a repository on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """\
Written are encoder.json, weights (.safetensors), the recogniser (.json, .onnx, .safetensors),
curves.csv, and a model card with the figures of stored results and audits. Results and audits
themselves stay here: they name every clip and every person.

The token is read from the environment variable HF_TOKEN.

examples:
  motionveil push runs/office owner/office-flow --figures audits/office --dry-run
  motionveil push runs/office owner/office-flow --figures audits/office --private
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="run folder with encoder.json")
    parser.add_argument("repository", metavar="OWNER/NAME", help="made where there is none")
    parser.add_argument(
        "--figures",
        nargs="+",
        default=[],
        type=Path,
        metavar="PATH",
        help="results.json and audit.json of this encoder, or their folders, for the card"
        " (default: those in FOLDER)",
    )
    parser.add_argument(
        "--private",
        action="store_true",
        help="make a private repository; one that is there and public is refused",
    )
    parser.add_argument("--license", metavar="ID", help="as the hub names it, such as apache-2.0")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the files and the card, and write nothing"
    )
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Write the repository, or show what would be written; print the name to load it by."""
    from motionveil.share import CARD, push, shared_files

    given = (arguments.folder, arguments.repository)
    if arguments.dry_run:
        files = shared_files(*given, arguments.figures, arguments.license)
        for name, content in files.items():
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            print(f"{name}: {size:,} bytes")
        print(bytes(files[CARD]).decode(), end="")
        return 0
    name = push(
        *given, figures=arguments.figures, private=arguments.private, license_id=arguments.license
    )
    print(f"wrote {name}")
    return 0
