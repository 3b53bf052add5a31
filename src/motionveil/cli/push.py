"""`motionveil push`: an encoder and its recogniser to a repository on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """\
Uploads encoder.json, weights (.safetensors), the recogniser (.json, .onnx, .safetensors),
curves.csv, and a model card with the figures of stored results and audits. The results and audits
themselves are not uploaded: they name every clip and every person.

The token is read from the environment variable HF_TOKEN.

examples:
  motionveil push runs/office owner/office-flow --figures audits/office --dry-run
  motionveil push runs/office owner/office-flow --figures audits/office --private
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="run folder with encoder.json")
    parser.add_argument("repository", metavar="OWNER/NAME", help="created if it does not exist")
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
        help="create a private repository; an existing public one is refused",
    )
    parser.add_argument(
        "--license", metavar="ID", help="the hub's name of a licence, such as apache-2.0"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the files and the card; upload nothing"
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
