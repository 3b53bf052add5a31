"""`motionveil serve`: many cameras from one file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from motionveil.errors import MotionveilError

EXAMPLES = """\
cameras.yaml:
  cameras:
    hall:
      source: rtsp://user:${HALL_PASSWORD}@192.0.2.7/stream1
      recogniser: runs/1
      destinations: [recordings/hall-%Y%m%d-%H%M%S.mkv]
    desk:
      source: camera:0

examples:
  motionveil serve cameras.yaml                 Ctrl-C and SIGTERM stop, SIGHUP reads the file again
  motionveil serve cameras.yaml --check         tries every camera, starts nothing
  motionveil serve --schema > schema.json       what the file may say, for editors
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "file", metavar="FILE.yaml", nargs="?", help="the cameras and their settings; see below"
    )
    parser.add_argument("--check", action="store_true", help="try every camera and exit")
    parser.add_argument("--schema", action="store_true", help="print the file's JSON schema")
    parser.add_argument(
        "--log", choices=["text", "json"], default="text", help="format of the log (default: text)"
    )
    parser.set_defaults(wrong_usage=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    from motionveil.service.config import schema

    if arguments.schema:
        print(json.dumps(schema(), indent=2))
        return 0
    if arguments.file is None:
        arguments.wrong_usage("the following arguments are required: FILE.yaml")
    file = Path(arguments.file)
    if arguments.check:
        return _check(file)
    from motionveil.service.log import Log
    from motionveil.service.run import Service

    log = Log(as_json=arguments.log == "json")
    try:
        service = Service(file, log)
    except MotionveilError as error:
        log(str(error), level="error")
        return 1
    service.run()
    return 0


def _check(file: Path) -> int:
    from motionveil.service.read_config import check, read_config

    return 0 if check(read_config(file), print) else 1
