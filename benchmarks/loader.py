"""Clips per second of the loader, of reading PNG files and of decoding video each time.

Batches of 16 training clips with the paper's augmentation: 16 frames from a random start, one scale
and one place for each clip, 224 x 224 pixels. On one thread, for videos of 640 x 480 and 320 x 240
pixels of the built-in data's people, or for those of a manifest:

- `cache`: `motionveil.datasets`, from the clip cache, short side 256;
- `png`: one PNG file per frame, read with PIL, as the released code does; cut and resized by PIL;
- `pyav`: the H.264 video of each clip, decoded with PyAV up to the last frame wanted; cut and
  resized as the cache's clips are.

All draw the same starts, scales and places. What decodes each time works on the video's own pixels
and not on the 256 of the cache. Everything lies in the system's file cache. Times are the least of
interleaved runs.

    python benchmarks/loader.py [--runs 5] [--manifest FILE] [--json FILE]

Needs `pip install '.[train]'`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from measuring import Seconds, least_seconds, with_fair_malloc, write_figures
from motionveil.actors.people import make_people
from motionveil.actors.render import Session, film
from motionveil.datasets.actors import ACTIONS
from motionveil.datasets.cache import ClipCache
from motionveil.datasets.dataset import ClipDataset, batches, random_crop, random_start
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.video import VideoSink, read_clip, read_frames

CLIPS, CLIP_FRAMES = 16, 20
T, SIZE, CACHE_SIZE, SEED = 16, 224, 256, 0
SIZES = ((480, 640), (240, 320))

Frames = NDArray[np.uint8]


class Draw(NamedTuple):
    """What is drawn for a clip.

    Attributes:
        start: First of the T frames.
        box: Left, top, right and bottom of the square, in pixels of the video.
    """

    start: int
    box: tuple[float, float, float, float]


def film_clips(height: int, width: int, clips: int = CLIPS) -> Iterator[Frames]:
    """Yield clips (20, H, W, 3) of the people of the built-in data, wider than high."""
    people = make_people(2, SEED)
    for number in range(clips):
        rng = np.random.default_rng([SEED, number])
        session = Session.draw(width, width, rng)
        action = ACTIONS[number % len(ACTIONS)]
        square = film(people[number % len(people)], action, session, CLIP_FRAMES, rng)
        yield square[:, width - height :]  # people stand at the bottom


def read_clips(manifest: Manifest, clips: int = CLIPS) -> Iterator[Frames]:
    """Yield the first clips of a manifest that are long enough."""
    for clip in [clip for clip in manifest.clips if clip.length >= T][:clips]:
        yield read_clip(manifest.root / clip.path, clip.start, clip.end)


def write_sources(folder: Path, clips: Iterator[Frames]) -> Manifest:
    """Write each clip as a folder of PNG files and as H.264; the manifest names the folders."""
    rows = []
    for number, frames in enumerate(clips):
        name = f"{number:03d}"
        (folder / name).mkdir()
        with VideoSink(folder / f"{name}.mp4", rate=15) as sink:
            for index, frame in enumerate(frames):
                Image.fromarray(frame).save(folder / name / f"{index:05d}.png")
                sink.write(frame)
        label = ("one", "other")[number % 2]
        rows.append(Clip(name, 0, len(frames), label, {"label": label}, name, "train"))
    return Manifest("loader", folder, tuple(rows))


class Sources:
    """The same clips in three forms, and what is drawn of them.

    Args:
        folder: An empty folder.
        clips: The clips' frames.
    """

    def __init__(self, folder: Path, clips: Iterator[Frames]) -> None:
        self.folder = folder
        manifest = write_sources(folder, clips)
        cache = ClipCache.build(
            manifest, size=CACHE_SIZE, fit="short-side", folder=folder / "cache"
        )
        self.data = ClipDataset(
            cache, manifest.clips, t=T, size=SIZE, privacy_label="label", training=True, seed=SEED
        )
        self.sizes = [size_of(folder / clip.path / "00000.png") for clip in manifest.clips]

    def draw(self, position: int, epoch: int) -> Draw:
        """Return what the data set draws for a clip in an epoch."""
        length, height, width, _ = self.data.cache.frames(self.data.clips[position]).shape
        rng = np.random.default_rng((SEED, epoch, position + 1))
        start = random_start(length, T, rng)
        crop = random_crop(height, width, rng)
        own_width, own_height = self.sizes[position]
        x, y = own_width / width, own_height / height
        right, bottom = crop.left + crop.width, crop.top + crop.height
        return Draw(start, (crop.left * x, crop.top * y, right * x, bottom * y))

    def from_cache(self, epoch: int) -> Tensor:
        """Return the clips of an epoch in the order of the data set, (16, 3, T, size, size)."""
        (batch,) = batches(self.data, len(self.data), epoch=epoch, shuffle=False)
        return batch.clips

    def from_png(self, epoch: int) -> Tensor:
        """Return the same clips, read from their PNG files."""
        return self._stacked(epoch, load_png)

    def from_video(self, epoch: int) -> Tensor:
        """Return the same clips, decoded from H.264."""
        return self._stacked(epoch, load_video)

    def _stacked(self, epoch: int, load: Callable[[Path, Draw], Tensor]) -> Tensor:
        names = [clip.path for clip in self.data.clips]
        return torch.stack(
            [load(self.folder / name, self.draw(n, epoch)) for n, name in enumerate(names)]
        )


def size_of(picture: Path) -> tuple[int, int]:
    """Return width and height in pixels."""
    with Image.open(picture) as image:
        return image.size


def load_png(clip: Path, draw: Draw) -> Tensor:
    """Read a clip from its folder of PNG files: float32 (3, T, size, size) in [0, 1]."""
    frames = []
    for number in range(draw.start, draw.start + T):
        with Image.open(clip / f"{number:05d}.png") as image:
            square = image.convert("RGB").resize(
                (SIZE, SIZE), Image.Resampling.BILINEAR, box=draw.box
            )
        frames.append(np.asarray(square))
    return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2).float() / 255


def load_video(clip: Path, draw: Draw) -> Tensor:
    """Decode a clip from its video: float32 (3, T, size, size) in [0, 1]."""
    left, top, right, bottom = (round(edge) for edge in draw.box)
    decoded = read_frames(clip.with_suffix(".mp4"), draw.start, draw.start + T)
    squares = np.stack([frame.image[top:bottom, left:right] for frame in decoded])
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2)
    resized = interpolate(pixels, (SIZE, SIZE), mode="bilinear", antialias=True)
    return resized.transpose(0, 1).float() / 255


def counting(load: Callable[[int], Tensor]) -> Callable[[], None]:
    """Return a function that loads the next epoch at every call."""
    epoch = -1

    def run() -> None:
        nonlocal epoch
        epoch += 1
        load(epoch)

    return run


def measure(sources: Sources, runs: int) -> dict[str, Any]:
    """Return the clips a second of every method."""
    loads = {
        "cache": sources.from_cache,
        "png": sources.from_png,
        "pyav": sources.from_video,
    }
    times = least_seconds({name: counting(load) for name, load in loads.items()}, runs)
    clips = len(sources.data)
    width, height = np.mean(sources.sizes, axis=0)
    return {
        "width": round(width),
        "height": round(height),
        "clips": clips,
        "rows": [row(name, taken, times["cache"], clips) for name, taken in times.items()],
    }


def row(method: str, taken: Seconds, cache: Seconds, clips: int) -> dict[str, Any]:
    return {
        "method": method,
        "milliseconds_a_clip": taken.processor / clips * 1e3,
        "clips_a_second": clips / taken.processor,
        "wall_clips_a_second": clips / taken.wall,
        "cache_is_times_as_fast": taken.processor / cache.processor,
    }


def print_figures(figures: dict[str, Any]) -> None:
    print(f"\nvideos of {figures['width']} x {figures['height']}")
    print(f"{'method':<8}{'ms/clip':>9}{'clips/s':>9}{'on the clock':>14}{'cache is':>12}")
    for line in figures["rows"]:
        print(
            f"{line['method']:<8}{line['milliseconds_a_clip']:>9.1f}{line['clips_a_second']:>9.1f}"
            f"{line['wall_clips_a_second']:>14.1f}{line['cache_is_times_as_fast']:>10.1f} x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast clips are loaded.")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each method")
    parser.add_argument("--manifest", metavar="FILE", help="take the first clips of this data set")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    with_fair_malloc()
    torch.set_num_threads(1)
    if arguments.manifest:
        sets = [read_clips(Manifest.read(arguments.manifest))]
    else:
        sets = [film_clips(*size) for size in SIZES]
    print(f"16 x {SIZE} x {SIZE}, 1 thread, torch {torch.__version__}")
    measured = []
    for clips in sets:
        with tempfile.TemporaryDirectory() as folder:
            measured.append(measure(Sources(Path(folder), clips), arguments.runs))
        print_figures(measured[-1])
    write_figures(arguments.json, {"runs": arguments.runs, "videos": measured})


if __name__ == "__main__":
    main()
