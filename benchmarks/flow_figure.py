"""What BDQ and the motion field let through of the same frames, as an image.

    python benchmarks/flow_figure.py FILE.png VIDEO [--first N] [--step N]

The encoders are the shipped `bdq` and an untrained `flow` at its geometry; both run as behind a
camera. Needs `pip install '.[train]'`.
"""

from __future__ import annotations

import argparse
from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.geometry import repeat_pixels, working_frames
from motionveil.video import read_frames

COLUMNS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture")
    parser.add_argument("video")
    parser.add_argument("--first", type=int, default=4, help="first working frame shown")
    parser.add_argument("--step", type=int, default=2, help="working frames from one to the next")
    arguments = parser.parse_args()
    bdq = load_spec("bdq")
    flows = [EncoderSpec.untrained(f"flow:cell={cell}", geometry=bdq.geometry) for cell in (4, 8)]
    assert bdq.geometry is not None
    count = arguments.first + COLUMNS * arguments.step
    source = read_frames(arguments.video)
    frames = list(islice(working_frames(source, bdq.geometry, multiple=16), count))
    images = {"original": [frame.image for frame in frames]}
    for spec, name in [(bdq, "BDQ")] + [(f, f"flow, cells of {f.cell}") for f in flows]:
        stream = StreamEncoder(spec, native=True)
        shown = [stream(frame.image, time=frame.time) for frame in frames]
        shape = frames[0].image.shape[:2]
        images[name] = [repeat_pixels(image, spec.cell, shape) for image in shown]
    height, width = frames[0].image.shape[:2]
    figure = Figure(
        figsize=(COLUMNS * 1.4, len(images) * 1.4 * height / width), layout="constrained"
    )
    axes = figure.subplots(len(images), COLUMNS)
    for line, (name, row) in zip(axes, images.items(), strict=True):
        line[0].set_ylabel(name, fontsize=8)
        for place, image in zip(line, row[arguments.first :: arguments.step], strict=True):
            place.imshow(np.asarray(image), interpolation="nearest")
            place.set_xticks([])
            place.set_yticks([])
    figure.savefig(arguments.picture, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()
