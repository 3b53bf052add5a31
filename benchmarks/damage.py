"""What damaged video does: refused, left out, or shown wrong; and what of the scene leaks then.

For each pair of codec and container a clean clip of a scene that stands still is made and damaged
in many ways, always the same ones. Each damaged file is read as a file and as a pipe, and veiled.

- refused: an error, and nothing is left under the name (file);
- wrong: a frame was delivered of which over 2 % of the pixels are over 20 grey levels from the
  true ones, without an error (file), or at all (pipe: those before an error have been seen);
- leak: a veiled frame in which over 2 % of the pixels of the still scene are over one level (17)
  from neutral, and |r| > 0.3 with the scene's brightness or edges.

    python benchmarks/damage.py [--scene VIDEO] [--mutants 40] [--pairs NAME ...] [--json FILE]
    python benchmarks/damage.py --speed [--json FILE]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from damaged_clips import KINDS, PAIRS, damage, still_scene, write_clip
from measuring import least_seconds, write_figures
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import VeilOptions, veil_source, veil_video
from motionveil.video import FileSource, Frame, Source
from motionveil.video.decode import decode_file
from motionveil.video.pipe import PipeSource

FRAMES = 48
TIME_LIMIT = 60.0  # seconds for one damaged file, everything together
LEVEL = 17  # grey levels of one level of the output
Gray = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """What a pair's clean clip looks like, before and after veiling."""

    name: str
    clean: Path
    frames: list[NDArray[np.uint8]]
    scene: Gray
    edges: Gray
    still: NDArray[np.bool_]
    neutral: float
    pipes: bool


def wrong_frames(frames: list[NDArray[np.uint8]], truth: list[NDArray[np.uint8]]) -> int:
    """Count the frames that resemble no true frame near their place."""
    return sum(not any(_same(f, t) for t in _near(truth, n)) for n, f in enumerate(frames))


def _near(truth: list[NDArray[np.uint8]], number: int) -> list[NDArray[np.uint8]]:
    place = min(number, len(truth) - 1)
    return [truth[place], truth[max(0, place - 1)], truth[-1]]


def _same(frame: NDArray[np.uint8], truth: NDArray[np.uint8]) -> bool:
    if frame.shape != truth.shape:
        return False
    apart = np.maximum(frame, truth) - np.minimum(frame, truth)
    return bool((apart.max(axis=-1) > 20).mean() <= 0.02)


def leaks(veiled: Path, truth: Truth) -> int:
    """Count the veiled frames that show the still scene."""
    return sum(_leak(frame, truth) for frame in _plain_frames(veiled))


def _leak(frame: NDArray[np.uint8], truth: Truth) -> bool:
    apart = frame.astype(np.float64) - truth.neutral
    off = (np.abs(apart) > LEVEL).any(axis=-1) & truth.still
    if off.sum() <= 0.02 * truth.still.sum():
        return False
    values = apart.mean(axis=-1)[truth.still]
    scene, edges = truth.scene[truth.still], truth.edges[truth.still]
    return max(_r(values, scene), _r(values, edges), _r(np.abs(values), edges)) > 0.3


def _r(one: Gray, other: Gray) -> float:
    spread = float(one.std() * other.std())
    return (
        0.0
        if spread == 0
        else abs(float(np.mean((one - one.mean()) * (other - other.mean()))) / spread)
    )


def _plain_frames(path: Path) -> list[NDArray[np.uint8]]:
    if not path.exists():
        return []
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def learn(name: str, clean: Path, folder: Path, spec: EncoderSpec) -> Truth:
    """Read and veil the clean clip; it must be accepted."""
    frames = [frame.image.copy() for frame in FileSource(clean).frames(Event())]
    veiled = folder / "veiled-clean.mkv"
    veil_video(clean, veiled, spec, VeilOptions(guard=False))
    output = np.stack(_plain_frames(veiled)).astype(np.float64)
    neutral = float(np.median(output))
    height, width = output.shape[1:3]
    picture: Any = av.VideoFrame.from_ndarray(frames[0], format="rgb24")
    small = picture.reformat(width, height, "gray", interpolation="AREA").to_ndarray()
    scene = small.astype(np.float64)
    edges = np.hypot(*np.gradient(scene))
    moves = (np.abs(output - neutral) > LEVEL).any(axis=(0, -1))
    for _ in range(3):
        moves[1:-1, 1:-1] |= moves[:-2, 1:-1] | moves[2:, 1:-1] | moves[1:-1, :-2] | moves[1:-1, 2:]
    piped, error = _piped(clean)
    pipes = error is None and len(piped) == len(frames)
    if clean.is_file() and not pipes:
        print(f"{name}: not through a pipe: {error}, {len(piped)} frames", flush=True)
    return Truth(name, clean, frames, scene, edges, ~moves, neutral, pipes)


def _piped(path: Path) -> tuple[list[Frame], Exception | None]:
    frames: list[Frame] = []
    if path.is_dir():
        return frames, None
    try:
        with path.open("rb") as file:
            for frame in PipeSource(file).frames(Event()):
                frames.append(frame._replace(image=frame.image.copy()))
    except MotionveilError as error:
        return frames, error
    return frames, None


def try_file(mutant: Path, truth: Truth, folder: Path, spec: EncoderSpec) -> Counter[str]:
    """Read one damaged file as a file, and veil it."""
    found: Counter[str] = Counter()
    frames: list[NDArray[np.uint8]] = []
    try:
        for frame in FileSource(mutant).frames(Event()):
            frames.append(frame.image.copy())
    except MotionveilError as error:
        found["refused"] = 1
        found["two lines"] = int("\n" in str(error))
    else:
        found["wrong"] = int(wrong_frames(frames, truth.frames) > 0)
    dest = folder / "veiled.mkv"
    for guard, count in ((True, "leak"), (False, "leak, no guard")):
        if not guard and not found["wrong"]:
            continue
        try:
            veil_video(mutant, dest, spec, VeilOptions(guard=guard))
        except MotionveilError:
            found["left over"] = int(dest.exists())
        found[count] = int(leaks(dest, truth) > 0)
        dest.unlink(missing_ok=True)
    return found


def try_pipe(mutant: Path, truth: Truth, folder: Path, spec: EncoderSpec) -> Counter[str]:
    """Read one damaged file out of a pipe, and veil it."""
    frames, error = _piped(mutant)
    found = Counter(
        {
            "pipe refused": int(error is not None),
            "pipe left out": max(0, len(truth.frames) - len(frames)),
            "pipe wrong": int(wrong_frames([f.image for f in frames], truth.frames) > 0),
        }
    )
    dest = folder / "piped.mkv"
    for guard, count in ((True, "pipe leak"), (False, "pipe leak, no guard")):
        if not found["pipe wrong"]:
            continue
        with mutant.open("rb") as file:
            source: Source = PipeSource(file)
            with suppress(MotionveilError):
                veil_source(source, str(dest), spec, VeilOptions(guard=guard))
        found[count] = int(leaks(dest, truth) > 0)
        dest.unlink(missing_ok=True)
    return found


def _work(ends: Connection, truth: Truth, folder: Path, spec: EncoderSpec) -> None:
    """Try the damaged files that are asked for, in a process that may be ended."""
    while True:
        number = ends.recv()
        kind = KINDS[number % len(KINDS)]
        mutant = folder / ("mutant" + truth.clean.suffix)
        found: Counter[str] = Counter()
        try:
            damage(truth.clean, kind, np.random.default_rng([number, 20]), mutant)
            found = try_file(mutant, truth, folder, spec)
            if truth.pipes and mutant.is_file():
                found += try_pipe(mutant, truth, folder, spec)
        except Exception:
            found["traceback"] = 1
            print(f"{truth.name} {number} {kind}: {traceback.format_exc(limit=-3)}", flush=True)
        finally:
            shutil.rmtree(mutant) if mutant.is_dir() else mutant.unlink(missing_ok=True)
        ends.send((kind, found))


def trials(
    truth: Truth, mutants: int, folder: Path, spec: EncoderSpec
) -> Iterator[tuple[int, str, Counter[str]]]:
    """Try damaged files, each within the time limit; one that hangs or crashes counts so."""
    # A process of its own from the start: a fork of one with threads may wait for ever.
    context = multiprocessing.get_context("spawn")
    here: Connection | None = None
    for number in range(mutants):
        if here is None:
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there, truth, folder, spec), daemon=True)
            process.start()
            there.close()
        here.send(number)
        kind, found = KINDS[number % len(KINDS)], Counter[str]()
        try:
            if here.poll(TIME_LIMIT):
                kind, found = here.recv()
            else:
                found["hang"] = 1
        except (EOFError, OSError):
            found["crash"] = 1
        if found["hang"] or found["crash"]:
            process.kill()
            process.join()
            here.close()
            here = None
        yield number, kind, found
    if here is not None:
        process.kill()
        process.join()


COLUMNS = {
    "refused": "refused",
    "short": "short",
    "wrong": "wrong",
    "leak": "leak",
    "leak, no guard": "no guard",
    "pipe refused": "p.refused",
    "pipe left out": "p.out",
    "pipe wrong": "p.wrong",
    "pipe leak": "p.leak",
    "pipe leak, no guard": "p.no guard",
}
FAULTS = ("hang", "crash", "traceback", "two lines", "left over")


def measure(
    name: str, scene: Path | None, mutants: int, spec: EncoderSpec, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Return the figures of one pair."""
    pair, total = PAIRS[name], Counter[str]()
    by_kind: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as written:
        folder = Path(written)
        clean = folder / ("frames" if pair.suffix.endswith("/") else "clean" + pair.suffix)
        write_clip(pair, still_scene(scene, FRAMES, pair.size), clean)
        truth = learn(name, clean, folder, spec)
        for number, kind, found in trials(truth, mutants, folder, spec):
            total += found
            by_kind[kind] += found
            seen = [
                count for count in found if count in FAULTS or "wrong" in count or "leak" in count
            ]
            if any(found[count] for count in seen):
                tell(f"  {name} {number} {kind}: {', '.join(c for c in seen if found[c])}")
    figures = {
        "mutants": mutants,
        "pipe": truth.pipes,
        **{c: total[c] for c in (*COLUMNS, *FAULTS)},
    }
    figures["wrong by kind"] = {
        kind: [count["wrong"], count["pipe wrong"]]
        for kind, count in by_kind.items()
        if count["wrong"] or count["pipe wrong"]
    }
    return {**figures, "seconds": round(time.perf_counter() - start, 1)}


SPEED = ("h264.mp4", "hevc.mp4", "mpeg4.avi", "vp9.webm", "av1.mp4", "mjpeg.avi")


def measure_speed(scene: Path | None, runs: int) -> dict[str, float]:
    """Time the decoder of files against the library's own, as a share of its time."""
    shares = {}
    print("the time of the library's own decoder is 1")
    for name in SPEED:
        pair = PAIRS[name]
        with tempfile.TemporaryDirectory() as written:
            clean = Path(written) / ("clean" + pair.suffix)
            write_clip(pair, still_scene(scene, 150, (640, 480)), clean)
            todo = {
                "plain": lambda clean=clean: _decode_plainly(clean),
                "ours": lambda clean=clean: sum(1 for _ in decode_file(clean)),
            }
            seconds = least_seconds(todo, runs)
        shares[name] = round(seconds["ours"].processor / seconds["plain"].processor, 3)
        print(f"{name:<16}{shares[name]:>8.2f}", flush=True)
    return shares


def _decode_plainly(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(1 for _ in container.decode(stream))


def main() -> None:
    parser = argparse.ArgumentParser(description="Damage video and see what comes out.")
    parser.add_argument("--scene", type=Path, help="a video whose first frame is the scene")
    parser.add_argument("--mutants", type=int, default=40, help="of each pair")
    parser.add_argument("--pairs", nargs="*", choices=PAIRS, metavar="NAME", default=list(PAIRS))
    parser.add_argument("--minutes", type=float, default=60, help="begin no pair after so long")
    parser.add_argument("--each", action="store_true", help="name each file with something wrong")
    parser.add_argument("--speed", action="store_true", help="only time the decoder")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "0")
    if arguments.speed:
        write_figures(arguments.json, measure_speed(arguments.scene, runs=7))
        return
    spec, begun = load_spec("bdq"), time.monotonic()
    tell: Callable[[str], None] = print if arguments.each else lambda line: None
    print(f"{'':<16}{'mutants':>8}" + "".join(f"{c:>11}" for c in COLUMNS.values()) + "  faults")
    results: dict[str, Any] = {}
    for name in arguments.pairs:
        if time.monotonic() - begun > 60 * arguments.minutes:
            print(f"{name}: no time left")
            continue
        try:
            found = measure(name, arguments.scene, arguments.mutants, spec, tell)
        except (MotionveilError, ValueError) as error:
            print(f"{name}: the clean clip fails: {error}")
            continue
        results[name] = found
        faults = " ".join(f"{found[f]} {f}" for f in FAULTS if found[f])
        row = "".join(f"{found[count]:>11}" for count in COLUMNS)
        print(f"{name:<16}{found['mutants']:>8}{row}  {faults}", flush=True)
    total = {count: sum(r[count] for r in results.values()) for count in ("mutants", *COLUMNS)}
    print(f"{'all':<16}{total['mutants']:>8}" + "".join(f"{total[c]:>11}" for c in COLUMNS))
    write_figures(arguments.json, {"all": total, "pairs": results})


if __name__ == "__main__":
    main()
