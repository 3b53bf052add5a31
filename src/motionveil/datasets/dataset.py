"""Clips as batches of tensors: drawn, cut and resized from the cache; nothing is decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import Dataset

from motionveil.datasets.cache import ClipCache, Fit
from motionveil.datasets.manifest import Clip
from motionveil.errors import MotionveilError

SCALES = (1.0, 2**-0.25, 2**-0.75, 0.5)
"""Side of the training crop as a share of the frame's short side (paper, section 4.2)."""

Item = TypeVar("Item")


class Batch(NamedTuple):
    """Some clips and their labels.

    Attributes:
        clips: float32 (B, 3, T, H, W), RGB, in [0, 1].
        actions: int64 (B,), the actions' places in the manifest's `actions`.
        privacy: int64 (B,), the privacy labels' places in the manifest's `names_of(label)`; of
            several attributes (B, attributes), 1 where a clip has one.
        positions: int64 (B,), the clips' places in the data set.
        rows: int64 (B,), the clips' places in the whole batch, of which this may be a share.
        whole: Number of clips in the whole batch.
    """

    clips: torch.Tensor
    actions: torch.Tensor
    privacy: torch.Tensor
    positions: torch.Tensor
    rows: torch.Tensor
    whole: int

    def split(self, parts: int) -> list[Batch]:
        """Return the batch in `parts` parts whose numbers of clips differ by one at most."""
        tensors = (self.clips, self.actions, self.privacy, self.positions, self.rows)
        cut = zip(*(tensor.tensor_split(parts) for tensor in tensors), strict=True)
        return [
            Batch(clips, actions, privacy, positions, rows, self.whole)
            for clips, actions, privacy, positions, rows in cut
        ]


class ClipDataset(Dataset[tuple[torch.Tensor, int, int | list[int], int]]):
    """Clips of a manifest as the networks see them; a map-style data set of torch.

    An item is (clip float32 (3, T, size, size) in [0, 1], action, privacy, position). In
    training, what is drawn depends on (seed, epoch, position) only: set `epoch` before each, or
    use `batches`, which is much faster than a DataLoader over items.

    Args:
        clips: The clips to use, from `cache.manifest.part(...)`.
        t: Frames a clip; a clip that has fewer holds its last.
        size: Side in pixels.
        training: Draw start, scale and position; else take the centre.
        seed: Seed of what is drawn.
        scales: Sides of the training crop to draw from, as shares of the short side.
        fit: How frames that are no squares become some: `"short-side"` cuts a square out,
            `"squeeze"` cuts out a region of the frame's own shape and changes its aspect,
            `"letterbox"` repeats the frame's border until it is a square.
        threads: Threads that make a batch; what they make does not depend on their number.

    Attributes:
        epoch: The epoch whose draws an item shows.
        actions, privacy: int64 (N,), the labels of all clips; see `Batch`.

    Raises:
        ValueError: There are no clips, or `t`, `size` or `threads` is below 1.
        MotionveilError: The manifest has no such privacy label.
    """

    def __init__(
        self,
        cache: ClipCache,
        clips: Sequence[Clip],
        *,
        t: int,
        size: int,
        privacy_label: str,
        training: bool,
        seed: int = 0,
        scales: Sequence[float] = SCALES,
        fit: Fit = "short-side",
        threads: int = 1,
    ) -> None:
        if not clips or min(t, size, threads) < 1:
            raise ValueError(
                f"{len(clips)} clips of {t} frames of {size} pixels, by {threads} threads: all must"
                " be > 0"
            )
        self.cache, self.clips = cache, tuple(clips)
        self.t, self.size, self.scales, self.fit = t, size, tuple(scales), fit
        self.training, self.seed, self.epoch = training, seed, 0
        self.threads = threads
        action_names = cache.manifest.actions
        self.actions = torch.tensor([action_names.index(c.action) for c in clips])
        self.privacy = torch.tensor(cache.manifest.classes_of(privacy_label, clips))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int, int | list[int], int]:
        if not -len(self) <= position < len(self):
            raise IndexError(f"clip {position} of {len(self)}")
        position %= len(self)
        batch = self.load([position], seed=self.seed, epoch=self.epoch)
        return batch.clips[0], int(batch.actions[0]), batch.privacy[0].tolist(), position

    def load(self, positions: Sequence[int], *, seed: int, epoch: int) -> Batch:
        """Return some clips as a batch, as drawn for a seed and epoch."""
        clips = torch.empty(len(positions), 3, self.t, self.size, self.size)

        def fill(rows: NDArray[np.int64]) -> None:
            share = slice(rows[0], rows[-1] + 1)
            self._fill(clips[share], positions[share], seed, epoch)

        shares = np.array_split(np.arange(len(positions)), min(self.threads, len(positions)))
        if len(shares) == 1:
            fill(shares[0])
        else:  # a pool a batch: one that was kept would not live on in a DataLoader's workers
            with ThreadPoolExecutor(len(shares), thread_name_prefix="load") as pool:
                list(pool.map(fill, shares))
        picked = torch.tensor(positions)
        labels = self.actions[picked], self.privacy[picked]
        return Batch(clips, *labels, picked, torch.arange(len(picked)), len(picked))

    def _fill(self, clips: torch.Tensor, positions: Sequence[int], seed: int, epoch: int) -> None:
        """Draw, cut and resize some clips into float32 (B, 3, T, size, size)."""
        cuts = [self._cut(position, seed, epoch) for position in positions]
        # Crops of one shape are resized together, as uint8, which is what a camera gives. Neither
        # this nor numpy uses torch's threads, which are the training's.
        for shape in {cut.shape for cut in cuts}:
            rows = [row for row, cut in enumerate(cuts) if cut.shape == shape]
            stacked = torch.from_numpy(np.concatenate([cuts[row] for row in rows]))
            resized = functional.interpolate(
                stacked.permute(0, 3, 1, 2),  # (rows * T, 3, height, width)
                (self.size, self.size),
                mode="bilinear",
                antialias=True,
            )
            planar = resized.numpy().reshape(len(rows), self.t, 3, self.size, self.size)
            for row, clip in zip(rows, planar.swapaxes(1, 2), strict=True):
                np.divide(clip, np.float32(255), out=clips[row].numpy(), dtype=np.float32)

    def _cut(self, position: int, seed: int, epoch: int) -> NDArray[np.uint8]:
        """Return the frames and the region of one clip: uint8 (T, height, width, 3)."""
        frames = self.cache.frames(self.clips[position])
        length, height, width, _ = frames.shape
        if self.fit == "letterbox":
            height = width = max(height, width)
        square = self.fit != "squeeze"
        if self.training:
            rng = np.random.default_rng((seed, epoch, position + 1))
            start = random_start(length, self.t, rng)
            crop = random_crop(height, width, rng, self.scales, square=square)
        else:
            start = centre_start(length, self.t)
            crop = centre_crop(height, width, square=square)
        taken = frames[frame_indices(length, start, self.t)]
        if self.fit == "letterbox":
            taken = _boxed(taken)
        return taken[:, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]


def _boxed(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make frames (T, H, W, 3) squares by repeating their border."""
    side = max(frames.shape[1:3])
    lacking = [side - length for length in frames.shape[1:3]]
    padding = [(0, 0), *((lack // 2, lack - lack // 2) for lack in lacking), (0, 0)]
    return np.pad(frames, padding, mode="edge")


def batches(
    dataset: ClipDataset,
    batch_size: int,
    *,
    epoch: int = 0,
    seed: int | None = None,
    shuffle: bool | None = None,
    rank: int = 0,
    ranks: int = 1,
    first: int = 0,
) -> Iterator[Batch]:
    """Yield every clip of a data set once, in batches.

    Order and draws depend on (seed, epoch) only, so a resumed run sees what an uninterrupted one
    would have, and the shares of several processes are together the batches of one. The last batch
    may be shorter. Clips left over at the end that are too few for BatchNorm to train on (a single
    one), or for each process to have one, join the batch before.

    Args:
        batch_size: Clips a batch, at least 1.
        seed: Seed; the data set's by default.
        shuffle: Draw the order; by default when the data set is for training.
        rank, ranks: Number of this process, from 0, and of all: it gets every `ranks`-th clip of
            each batch from `rank` on.

    Raises:
        ValueError: `batch_size` is below 1.
        MotionveilError: There are too few clips for each process to have one of each batch.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, it must be 1 or more")
    if min(batch_size, len(dataset)) < ranks:
        raise MotionveilError(
            f"{ranks} processes for {len(dataset)} clips in batches of {batch_size}: each process"
            " needs a clip of every batch; start fewer processes"
        )
    seed = dataset.seed if seed is None else seed
    order = np.arange(len(dataset))
    if dataset.training if shuffle is None else shuffle:
        np.random.default_rng((seed, epoch, 0)).shuffle(order)
    ends = _batch_ends(len(order), batch_size, ranks)
    for picked in np.split(order, ends)[first:]:
        rows = np.arange(rank, len(picked), ranks)
        share = dataset.load(picked[rows].tolist(), seed=seed, epoch=epoch)
        yield share._replace(rows=torch.from_numpy(rows), whole=len(picked))


def batch_count(clips: int, batch_size: int, ranks: int = 1) -> int:
    """Return how many batches `batches` makes of so many clips."""
    return len(_batch_ends(clips, batch_size, ranks)) + 1


def _batch_ends(clips: int, batch_size: int, ranks: int) -> list[int]:
    """Return where each batch but the last ends."""
    ends = list(range(batch_size, clips, batch_size))
    if ends and batch_size > 1 and clips - ends[-1] < max(2, ranks):
        ends.pop()
    return ends


def prefetched(items: Iterator[Item], depth: int = 2) -> Iterator[Item]:
    """Yield the items, up to `depth` of them made ahead by a thread while a GPU computes."""
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(depth))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, items, None))
            yield item


@dataclass(frozen=True)
class Crop:
    """A region of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


def random_start(length: int, t: int, rng: np.random.Generator) -> int:
    """Draw the first of t consecutive frames; 0 where the clip has t frames or fewer.

    Args:
        length: Frames in the clip, at least 1.
        t: Frames wanted, at least 1.
        rng: Source of the draw; every start is equally likely.
    """
    return int(rng.integers(max(1, length - t + 1)))


def centre_start(length: int, t: int) -> int:
    """Return the first of the t frames in the middle of a clip; 0 where it has t or fewer.

    The paper samples "without any random shift" and does not say from where; a clip is cut so
    that the action fills it, so its middle shows most of the action.
    """
    return max(0, (length - t) // 2)


def frame_indices(length: int, start: int, t: int) -> NDArray[np.int64]:
    """Return t consecutive frames from a start on; past the end, the last frame again.

    Holding the last frame adds no motion; wrapping around to the first would make a jump that
    never happened.

    Returns:
        (t,) indices in [0, length - 1].
    """
    return np.minimum(np.arange(start, start + t), length - 1)


def random_crop(
    height: int,
    width: int,
    rng: np.random.Generator,
    scales: Sequence[float] = SCALES,
    *,
    square: bool = True,
) -> Crop:
    """Draw a scale and then a position, every one inside the frame equally likely.

    Args:
        height, width: Size of the frame in pixels.
        rng: Source of the draws.
        scales: Sides of the crop to draw from, as shares of the short side, in (0, 1].
        square: Draw a square; else a region of the frame's own shape, its sides shares of the
            frame's.
    """
    scale = scales[int(rng.integers(len(scales)))]
    sides = [min(height, width)] * 2 if square else [height, width]
    down, across = (max(1, round(scale * side)) for side in sides)
    top = int(rng.integers(height - down + 1))
    left = int(rng.integers(width - across + 1))
    return Crop(top, left, down, across)


def centre_crop(height: int, width: int, *, square: bool = True) -> Crop:
    """Return the largest square in the middle of the frame (scale 1), or the whole frame."""
    if not square:
        return Crop(0, 0, height, width)
    side = min(height, width)
    return Crop((height - side) // 2, (width - side) // 2, side, side)
