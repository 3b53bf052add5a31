"""What recognising one camera costs: processor time, cameras per core, memory over a long time.

Frames of 640 x 480 at 30 frames per second, a textured room in which a bright square moves under
sensor noise, go through the recogniser's own encoder with its guard (`StreamEncoder`), its window
and its network (`StreamRecogniser`), all on one thread. The frames are decoded already: what
decoding takes depends on the camera. `busy`: something moves all the time, so every window is asked
about; `empty`: the room, in which the veil itself tells that nothing moves.

Printed and written: processor time as a share of the stream's duration, in all and by part; how
many such cameras one core carries; milliseconds per window; the resident memory after a tenth of
the frames and at the end.

    python benchmarks/recognise.py --model quickstart [--frames 200000] [--json FILE]

Needs `pip install '.[recognise]'`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measuring import write_figures
from motionveil.recognition import Recogniser, StreamRecogniser, load_recogniser
from motionveil.streaming import Guard, StreamEncoder, prepare

HEIGHT, WIDTH, RATE = 480, 640, 30
DRAWN = 120  # frames that are drawn; then they are shown again, backwards and forwards

Frames = NDArray[np.uint8]


def make_frames(*, busy: bool) -> Frames:
    """Return (120, 480, 640, 3): a room under sensor noise, with or without a moving square."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 150, (HEIGHT // 16, WIDTH // 16, 3), np.uint8)
    room = coarse.repeat(16, 0).repeat(16, 1).astype(np.int16)
    frames = np.empty((DRAWN, HEIGHT, WIDTH, 3), np.uint8)
    for number in range(DRAWN):
        picture = room + rng.integers(-2, 3, room.shape, np.int16)
        if busy:
            left = 40 + 4 * number
            picture[160:320, left : left + 80] = (220, 210, 190)
        frames[number] = picture.clip(0, 255)
    return frames


def resident() -> int:
    """Return the resident memory of this process in bytes; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(recogniser: Recogniser, frames: Frames, count: int) -> dict[str, Any]:
    """Recognise so many frames, and return what it took."""
    encoder = StreamEncoder(recogniser.spec.stream_spec(), guard=Guard())
    stream = StreamRecogniser(recogniser)
    order = [*range(DRAWN), *range(DRAWN - 2, 0, -1)]
    veiling = recognising = 0.0
    early = 0
    for number in range(count):
        now = number / RATE
        began = time.process_time()
        veiled = encoder(frames[order[number % len(order)]], time=now)
        middle = time.process_time()
        veiling += middle - began
        if veiled is not None:
            stream(veiled, now, guarded=encoder.guarded)
            recognising += time.process_time() - middle
        if number == count // 10:
            early = resident()
    duration = count / RATE
    return {
        "frames": count,
        "windows": stream.windows,
        "breaks": stream.breaks,
        "share": (veiling + recognising) / duration,
        "share_veiling": veiling / duration,
        "share_recognising": recognising / duration,
        "cameras_per_core": duration / (veiling + recognising),
        "ms_per_window": 1e3 * recognising / max(1, stream.windows),
        "resident_early_mib": early / 2**20,
        "resident_end_mib": resident() / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="a run folder or a recogniser/")
    parser.add_argument("--frames", type=int, default=9000, help="a case (default: 9000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures")
    arguments = parser.parse_args()
    recogniser = load_recogniser(arguments.model)
    prepare()
    figures: dict[str, Any] = {
        "network": recogniser.spec.network.architecture,
        "encoder": recogniser.spec.encoder.name,
        "geometry": str(recogniser.spec.geometry),
        "window_frames": recogniser.spec.frames,
    }
    for name in ("busy", "empty"):
        found = measure(recogniser, make_frames(busy=name == "busy"), arguments.frames)
        figures[name] = found
        print(
            f"{name}: {100 * found['share']:.2f} % of a core"
            f" ({100 * found['share_veiling']:.2f} veil,"
            f" {100 * found['share_recognising']:.2f} recognise),"
            f" {found['cameras_per_core']:.0f} cameras a core,"
            f" {found['ms_per_window']:.2f} ms a window, {found['windows']} windows,"
            f" memory {found['resident_early_mib']:.0f} to {found['resident_end_mib']:.0f} MiB"
        )
    if arguments.json:
        write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
