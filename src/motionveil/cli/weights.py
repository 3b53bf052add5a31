"""`motionveil weights`: where networks' weights are published, and files of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from motionveil.errors import MotionveilError

EPILOG = """\
Without arguments: lists every network and where its weights are published. `pretrained` in a
recipe downloads those on huggingface.co. Download any other file from its address (in a browser,
if that is a page) and convert it; then give DIR to --weights of train, validate, tradeoff, ablate
or audit.

Published checkpoints are pickles. --convert compares the SHA-256 with the published digits, where
there are any, and then reads the tensors only, with torch's reader that runs no code.

examples:
  motionveil weights
  motionveil weights networks/ --convert resnet50_3d=resnet-50-kinetics.pth s3d=s3d-d76dad2f.pth
  motionveil weights networks/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="folder of NAME.safetensors, all of which are checked",
    )
    parser.add_argument(
        "--convert",
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="write the checkpoint FILE as DIR/NAME.safetensors",
    )
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """List, convert or check; return 1 if a file does not fit."""
    folder: Path | None = arguments.folder
    if folder is None:
        if arguments.convert:
            raise MotionveilError("--convert needs DIR, the folder for what is converted")
        _list()
        return 0
    for text in arguments.convert:
        _convert(text, folder)
    return 0 if arguments.convert else _check(folder)


def _list() -> None:
    from motionveil.networks import action_networks, privacy_networks, published_weights

    for kind, names in (("action", action_networks()), ("privacy", privacy_networks())):
        for name in names:
            for weights in published_weights(name):
                # Lines and no table: every one is to be copied, and none may be cut.
                print(f"{name} ({kind} network): {weights.data}")
                print(f"  {weights.address}")
                if weights.sha256:
                    print(f"  SHA-256 {weights.sha256}")
                how = "pretrained, or " if weights.hub else ""
                print(f"  {how}--convert {name}={weights.name}")


def _convert(text: str, folder: Path) -> None:
    from motionveil.networks.weights import convert_weights

    name, equals, file = text.partition("=")
    if not equals:
        raise MotionveilError(f"--convert {text}: wanted NAME=FILE")
    target, digest = convert_weights(name, Path(file), folder)
    print(f"wrote {target}, from a file with SHA-256 {digest}")


def _check(folder: Path) -> int:
    from motionveil.networks.weights import misfit_of, weights_by_network

    if not folder.is_dir():
        raise MotionveilError(f"DIR {folder}: no such folder")
    files = {name: Path(file) for name, file in weights_by_network([str(folder)], "DIR").items()}
    faults = {name: misfit_of(name, file) for name, file in files.items()}
    for name, file in files.items():
        print(f"{name}: {file.name}: {faults[name] or 'fits'}")
    return 1 if any(faults.values()) else 0
