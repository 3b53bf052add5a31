"""Inputs that nobody would make: texts of the right form with wrong values, and changed bytes.

`tests/cli/test_boundary.py` runs some hundreds of them, `benchmarks/fuzz.py` as many as wanted.
"""

from __future__ import annotations

import io
import json
import os
import random
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from importlib import resources
from pathlib import Path
from threading import Event, Thread
from typing import Any

import av
import numpy as np
import yaml
from hypothesis import strategies as st

from benchmark_code import import_benchmark
from motionveil.audit_results import Audit
from motionveil.cli import COMMANDS
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.experiments.sweep.grid import read_grid
from motionveil.job_store import Job
from motionveil.recognition.artefact import RecogniserSpec
from motionveil.recognition.score_files import read_events
from motionveil.results import Result
from motionveil.service.read_config import read_config
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming.stream_encoder import StreamEncoder
from motionveil.study.server.context import read_texts
from motionveil.training.checkpoint import read_facts
from motionveil.training.recipe import load_recipe
from motionveil.video import read_frames
from motionveil.video.pipe import PipeSource

kept_priority = import_benchmark("priority").kept_priority

ODD = ["", "\0", "é" * 300, "\x1b[2J", "[red]", "../..", "a\nb", "-1", "NaN", "\ud800", "{0.a}"]
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.just(10**400),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(ODD),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def changed(draw: Callable[[Any], Any], value: Any) -> Any:
    """A value of JSON with something in it replaced, added or taken away."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: item for name, item in value.items() if name != key}
        what = draw(st.integers(0, 9))
        if what == 0:
            return rest
        if what == 1:
            return value | {draw(st.text(max_size=5)): draw(values)}
        return rest | {key: changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], changed(draw, value[place]), *value[place + 1 :]]
    return draw(values)


def mutated(random: random.Random, data: bytes) -> bytes:
    """Bytes with some changed, cut out, repeated or cut off."""
    made = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5, 30))):
        at = random.randrange(len(made)) if made else 0
        length = random.choice((1, 4, 64, 1024))
        what = random.randrange(5)
        if what == 0:
            made[at : at + 1] = bytes([random.randrange(256)])
        elif what == 1:
            del made[at : at + length]
        elif what == 2:
            made[at:at] = made[at : at + length]
        elif what == 3:
            made[at : at + length] = random.randbytes(length)
        else:
            made[at + length * 8 :] = b""
    return bytes(made)


PAIRS = {
    "h264.mp4": ("libx264", "yuv420p"),
    "h264.mkv": ("libx264", "yuv420p"),
    "h264.ts": ("libx264", "yuv420p"),
    "h264.flv": ("libx264", "yuv420p"),
    "hevc.mp4": ("libx265", "yuv420p"),
    "vp8.webm": ("libvpx", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "av1.mkv": ("libsvtav1", "yuv420p"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "mjpeg.mov": ("mjpeg", "yuvj420p"),
    "ffv1.mkv": ("ffv1", "bgr0"),
    "huffyuv.avi": ("huffyuv", "yuv422p"),
    "png.mov": ("png", "rgb24"),
    "raw.y4m": ("wrapped_avframe", "yuv420p"),
    "still.png": ("png", "rgb24"),
    "still.jpg": ("mjpeg", "yuvj420p"),
    "still.tiff": ("tiff", "rgb24"),
    "still.webp": ("libwebp", "yuv420p"),
    "still.gif": ("gif", "rgb8"),
}


def small_video(name: str) -> bytes:
    """A video of three frames of 64 x 64, or an image."""
    codec, pixels = PAIRS[name]
    still = name.startswith("still") and not name.endswith("gif")
    kinds = {"ts": "mpegts", "mpg": "mpeg", "mkv": "matroska", "y4m": "yuv4mpegpipe"}
    suffix = name.partition(".")[2]
    kind = "image2pipe" if still else kinds.get(suffix, suffix)
    file = io.BytesIO()
    options = {"preset": "12"} if codec == "libsvtav1" else {}
    log = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with kept_priority(), av.open(file, "w", format=kind) as output:
        stream = output.add_stream(codec, rate=25, options=options | log)
        stream.width = stream.height = 64
        stream.pix_fmt = pixels
        for number in range(1 if still else 3):
            image = np.full((64, 64, 3), 60 * number, np.uint8)
            image[10 : 30 + number, 20:40] = 200
            frame = av.VideoFrame.from_ndarray(image).reformat(format=pixels)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def read_video(folder: Path, name: str, data: bytes) -> None:
    """Read a video to its end, or a folder with an image; an error of ours is none."""
    path = folder / (f"1{Path(name).suffix}" if name.startswith("still") else name)
    path.write_bytes(data)
    try:
        for frame in read_frames(folder if name.startswith("still") else path):
            assert frame.image.shape[2] == 3
    except MotionveilError:
        pass
    finally:
        path.unlink()


def read_pipe(data: bytes) -> None:
    """Read a video that another program writes into a pipe; an error of ours is none."""
    end, begin = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), open(begin, "wb") as pipe:
            pipe.write(data)

    writer = Thread(target=write)
    writer.start()
    try:
        with open(end, "rb") as pipe:
            for frame in PipeSource(pipe).frames(Event()):
                assert frame.image.shape[2] == 3
    except MotionveilError:
        pass
    finally:
        writer.join()


def read_encoder(file: Path) -> None:
    """Read an encoder and veil two frames with it; no number may come out that is none."""
    encoder = StreamEncoder(EncoderSpec.read(file), native=True)
    for level in (0, 255):
        encoder(np.full((8, 8, 3), level, np.uint8), time=0.0)


def read_manifest(file: Path) -> None:
    """Read a manifest of which the sidecar is given, or the rows."""
    if file.suffix == ".json":
        file.with_suffix(".csv").write_text(MANIFEST)
    Manifest.read(file.with_suffix(".csv"))


MANIFEST = """# root: .
path,start,end,action,person,group,split
a.mkv,0,8,wave,anna,a,train
b.mkv,0,8,walk,ben,b,validation
"""
EVENTS = {
    "event": "end",
    "source": "a",
    "start": 0.0,
    "time": 1.0,
    "label": "x",
    "probability": 1.0,
}


def texts() -> dict[str, tuple[str, Any, Callable[[Path], Any]]]:
    """Kinds of texts: the file's name, what it holds, and what reads it."""
    results = Path(__file__).parents[2] / "docs" / "results"
    result = json.loads((results / "ut-interaction-112-seed0.json").read_text(encoding="utf-8"))
    result["rows"] = result["rows"][:1]
    recogniser = resources.files("motionveil") / "recognisers" / "actors" / "recogniser.json"
    recipe = {"size": 32, "frames": 8, "adversarial": {"lr": 0.1, "epochs": 1}, "scales": [1.0]}
    camera = {"source": "test", "destinations": ["a.mkv"], "recogniser": "actors"}
    grid = {"command": "train", "arguments": ["m.csv"], "axes": {"--seed": [0, 1]}, "cpus": 1}
    checkpoint = {"epoch": 0, "step": 0, "clips": 0, "sums": {}, "tensors": "a", "curves": []}
    job = {"key": "", "question": 1, "status": "done", "value": 1, "reason": None, "attempts": 1}
    sidecar = {"name": "m", "root": ".", "clips": 2, "actions": [], "privacy": {}, "splits": []}
    return {
        "encoder": ("encoder.json", load_spec("bdq").model_dump(mode="json"), read_encoder),
        "results": ("results.json", result, Result.read),
        "audit": ("audit.json", {"findings": [], "split": "x", "frames": 3}, Audit.read),
        "recogniser": ("recogniser.json", json.loads(recogniser.read_text()), RecogniserSpec.read),
        "sidecar": ("m.json", sidecar | {"hash": "x", "rate": 25}, read_manifest),
        "checkpoint": (
            "checkpoint.json",
            checkpoint | {"origin": {}},
            lambda file: read_facts(file.parent),
        ),
        "job": ("job.json", job | {"seconds": 1.0}, lambda file: Job(file.parent, 1).get()),
        "events": ("events.json", EVENTS, read_events),
        "recipe": ("recipe.yaml", recipe, load_recipe),
        "grid": ("grid.yaml", grid, lambda file: read_grid(file, COMMANDS).runs(file.parent)),
        "service": ("cameras.yaml", {"cameras": {"a": camera}, "listen": "8080"}, read_config),
        "texts": ("texts.yaml", {"title": "x"}, read_texts),
    }


def read_mutated_text(file: Path, content: bytes, read: Callable[[Path], Any]) -> None:
    """Read a text; an error of ours is none."""
    file.write_bytes(content)
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("error", RuntimeWarning)  # numbers that are none
        with suppress(MotionveilError):
            read(file)


def as_text(name: str, value: Any) -> bytes:
    """JSON or YAML, whatever is in it."""
    if name.endswith(".json"):
        return json.dumps(value).encode("utf-8", "surrogatepass")
    return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
