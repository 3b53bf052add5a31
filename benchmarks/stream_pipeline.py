"""What veiling costs around the encoder: the whole of `motionveil encode` beside plain transcoding.

All decode the same file and encode with the same codec and settings, in one process, in turn:

- `plain`: PyAV decodes and encodes; the pictures stay in YUV and are not touched;
- `encode`: `motionveil.streaming.veil_video`, guard and all, at the encoder's size and rate;
- `native`: the same at the source's own.

The file is 640 x 480 H.264, either made here (a still textured scene, sensor noise, two moving
shapes) or yours. Times are wall-clock and processor time, the median of interleaved runs. Then,
with the camera of `test:640x480@30` in real time: the latency from a frame's arrival to the end
of its writing.

    python benchmarks/stream_pipeline.py [--file VIDEO] [--runs 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import av

from motionveil.atomic_write import write_text_atomically
from motionveil.spec import load_spec
from motionveil.streaming import VeilOptions, prepare, veil_source, veil_video
from motionveil.video import SyntheticSource, VideoSink
from motionveil.video.codecs import encoding_for, muxing_for

FRAMES = 300


def make_file(path: Path) -> Path:
    """Write 300 frames of 640 x 480 at 30 frames per second, H.264."""
    source = SyntheticSource(640, 480, 30, frames=FRAMES, paced=False)
    with VideoSink(path, rate=30) as sink:
        for frame in source.frames(Event()):
            sink.write(frame.image)
    return path


def transcode(source: Path, dest: Path) -> None:
    """Decode and encode with the default settings of `encode`, and nothing in between."""
    with av.open(str(source)) as reader:
        stream = reader.streams.video[0]
        stream.thread_type = "AUTO"
        assert stream.time_base is not None
        encoding = encoding_for(dest, codec=None, live=False)
        muxing = muxing_for(dest, live=False, time_base=stream.time_base)
        with av.open(str(dest), "w", options=muxing.options) as writer:
            out: Any = writer.add_stream(
                encoding.library, rate=stream.average_rate, options=encoding.options
            )
            out.width, out.height, out.pix_fmt = stream.width, stream.height, "yuv420p"
            for frame in reader.decode(stream):
                frame.pict_type = 0  # the encoder chooses its own key frames
                writer.mux(out.encode(frame))
            writer.mux(out.encode(None))


def time_runs(todo: dict[str, Callable[[], object]], runs: int) -> dict[str, dict[str, float]]:
    """Return the median wall-clock and processor seconds of each, run in turn."""
    walls: dict[str, list[float]] = {name: [] for name in todo}
    processors: dict[str, list[float]] = {name: [] for name in todo}
    for number in range(runs + 1):
        for name, run in todo.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            if number > 0:  # the first one warms up
                walls[name].append(time.perf_counter() - wall)
                processors[name].append(time.process_time() - processor)
    return {
        name: {
            "wall": statistics.median(walls[name]),
            "processor": statistics.median(processors[name]),
        }
        for name in todo
    }


def live_latency(folder: Path, seconds: int) -> dict[str, float | int | None]:
    """Record the made-up camera and return the latency, in milliseconds, and what was dropped."""
    summary = veil_source(
        SyntheticSource(640, 480, 30),
        str(folder / "live.mp4"),
        load_spec("bdq"),
        VeilOptions(limit=30 * seconds),
    )
    assert summary.latency_p50 is not None
    assert summary.latency_p95 is not None
    return {
        "p50_ms": summary.latency_p50 * 1e3,
        "p95_ms": summary.latency_p95 * 1e3,
        "frames": summary.frames_in,
        "dropped": summary.dropped,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what veiling adds to transcoding.")
    parser.add_argument("--file", type=Path, help="a video of yours")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each")
    parser.add_argument("--seconds", type=int, default=20, help="of live recording")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    spec = load_spec("bdq")
    prepare()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = arguments.file or make_file(folder / "in.mp4")
        times = time_runs(
            {
                "plain": lambda: transcode(source, folder / "plain.mp4"),
                "encode": lambda: veil_video(source, folder / "veiled.mp4", spec),
                "native": lambda: veil_video(
                    source, folder / "native.mp4", spec, VeilOptions(native=True)
                ),
            },
            arguments.runs,
        )
        print(f"{'method':<10}{'wall s':>10}{'processor s':>14}{'of plain':>10}")
        for method, row in times.items():
            share = row["wall"] / times["plain"]["wall"]
            print(f"{method:<10}{row['wall']:>10.3f}{row['processor']:>14.3f}{share:>10.2f}")
        live = live_latency(folder, arguments.seconds)
        print(
            f"live, 640x480 at 30 frames/s: latency p50 {live['p50_ms']:.1f} ms,"
            f" p95 {live['p95_ms']:.1f} ms, {live['dropped']} of {live['frames']} dropped"
        )
    if arguments.json:
        record = {"file": str(source), "times": times, "live": live}
        write_text_atomically(arguments.json, json.dumps(record, indent=1) + "\n")
        print(f"wrote {arguments.json}")


if __name__ == "__main__":
    main()
