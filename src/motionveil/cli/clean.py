"""`motionveil clean`: list, or delete, the temporary files that killed runs left behind."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from motionveil.atomic_write import find_parts
from motionveil.errors import MotionveilError, one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="folder to search, at any depth"
    )
    parser.add_argument("--delete", action="store_true", help="delete them")
    parser.epilog = (
        "Files are written as .NAME.xxxxxxxx.part.SUFFIX and renamed when complete. A killed run"
        "\nleaves them behind. Files of a live run are not listed; where files cannot be locked, no"
        "\nfiles are. An incomplete recording can be played."
        "\n\nexample:\n  motionveil clean recordings/\n  motionveil clean runs/ --delete"
    )


def run(arguments: argparse.Namespace) -> int:
    """List the files with size and age, or delete them."""
    folder: Path = arguments.folder
    if not folder.is_dir():
        raise MotionveilError(f"{folder}: no such folder")
    total = 0
    found = sorted(find_parts(folder))
    for part in found:
        files = [part, *part.rglob("*")]
        size = sum(file.lstat().st_size for file in files)
        hours = (time.time() - max(file.lstat().st_mtime for file in files)) / 3600
        total += size
        print(f"{one_line(str(part))}: {size} bytes, {hours:.1f} hours old")
        if arguments.delete:
            shutil.rmtree(part) if part.is_dir() else part.unlink()
    what = ", deleted" if arguments.delete else ""
    print(f"{len(found)} files and folders of killed runs, {total} bytes{what}")
    return 0
