"""Batches: right pixels, right labels, the same for a seed and epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from motionveil.datasets.cache import ClipCache, Fit
from motionveil.datasets.dataset import Batch, ClipDataset, batch_count, batches, prefetched
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError

SmallSet = tuple[Manifest, dict[str, NDArray[np.uint8]]]


@pytest.fixture
def cache(small_set: SmallSet) -> ClipCache:
    return ClipCache.build(small_set[0], size=24, fit="short-side")


def _dataset(cache: ClipCache, **changes: Any) -> ClipDataset:
    settings = {"t": 6, "size": 12, "privacy_label": "person", "training": True, "seed": 5}
    settings |= changes
    return ClipDataset(cache, cache.manifest.part(training=settings["training"]), **settings)


def _same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        x.whole == y.whole and all(torch.equal(a, b) for a, b in zip(x[:-1], y[:-1], strict=True))
        for x, y in zip(one, other, strict=True)
    )


def test_shapes_and_range(cache: ClipCache) -> None:
    for batch in batches(_dataset(cache), 4):
        size = len(batch.positions)
        assert batch.clips.shape == (size, 3, 6, 12, 12)
        assert batch.clips.dtype == torch.float32
        assert 0 <= batch.clips.min() <= batch.clips.max() <= 1
        for labels in batch[1:-1]:
            assert labels.shape == (size,)
            assert labels.dtype == torch.long


@pytest.mark.parametrize("training", [True, False])
def test_every_clip_once_with_its_labels(cache: ClipCache, training: bool) -> None:
    dataset = _dataset(cache, training=training)
    seen = list(batches(dataset, 4))
    positions = torch.cat([batch.positions for batch in seen]).tolist()
    assert sorted(positions) == list(range(len(dataset)))
    assert (positions == sorted(positions)) == (not training)
    manifest = cache.manifest
    for batch in seen:
        for action, privacy, position in zip(*batch[1:4], strict=True):
            clip = dataset.clips[position]
            assert manifest.actions[action] == clip.action
            assert manifest.names_of("person")[privacy] == clip.privacy["person"]


def test_validation_is_the_centre(cache: ClipCache, small_set: SmallSet) -> None:
    _, frames = small_set
    dataset = _dataset(cache, training=False, size=24)
    for batch in batches(dataset, 2):
        for clip, position in zip(batch.clips, batch.positions.tolist(), strict=True):
            source = frames[dataset.clips[position].path]  # (T, 24, 32, 3)
            start = (len(source) - 6) // 2
            centre = source[start : start + 6, :, 4:28]
            assert np.array_equal(clip.permute(1, 2, 3, 0).numpy(), centre / np.float32(255))


def test_short_clip_holds_its_last_frame(cache: ClipCache, small_set: SmallSet) -> None:
    _, frames = small_set
    dataset = ClipDataset(
        cache, cache.manifest.clips[:1], t=8, size=24, privacy_label="person", training=False
    )
    clip = dataset[0][0]
    shown = (clip.permute(1, 2, 3, 0) * 255).round().byte().numpy()
    source = frames[cache.manifest.clips[0].path][:, :, 4:28]
    assert len(source) == 3
    assert np.array_equal(shown, source[[0, 1, 2, 2, 2, 2, 2, 2]])


def test_training_cuts_one_square_from_consecutive_frames(tmp_path: Path, write_video: Any) -> None:
    """Where scale 1/2 is drawn the network's size is the crop's, so the pixels are the source's."""
    frames = write_video(tmp_path / "x.mkv", 9, 16, 20)
    clip = Clip("x.mkv", 0, 9, "run", {"person": "p"}, "g", "train")
    cache = ClipCache.build(
        Manifest("m", tmp_path, (clip,)), size=16, fit="short-side", folder=tmp_path / "cache"
    )
    dataset = ClipDataset(cache, [clip], t=4, size=8, privacy_label="person", training=True)
    windows = np.lib.stride_tricks.sliding_window_view(frames, (4, 8, 8), axis=(0, 1, 2))
    found = set()
    for epoch in range(150):
        dataset.epoch = epoch
        shown = (dataset[0][0] * 255).round().byte().numpy()  # (3, 4, 8, 8)
        matches = np.argwhere((windows == shown).all(axis=(3, 4, 5, 6)))
        assert len(matches) <= 1
        found |= {tuple(match) for match in matches.tolist()}
    assert {start for start, _, _ in found} == set(range(6))
    assert len(found) > 20  # about a quarter of the draws, of 6 x 9 x 13 windows


class TestFit:
    """Stored frames of 24 x 32 pixels become squares."""

    @pytest.fixture
    def stored(self, cache: ClipCache) -> NDArray[np.uint8]:
        """The first clip's frames, which are not square."""
        frames = cache.frames(cache.manifest.clips[0])
        assert frames.shape == (3, 24, 32, 3)
        return frames

    def shown(self, cache: ClipCache, **changes: Any) -> NDArray[np.float32]:
        """The first clip as networks see it: (T, size, size, 3) from 0 to 255."""
        settings = {"t": 3, "size": 24, "privacy_label": "person", "training": False} | changes
        dataset = ClipDataset(cache, cache.manifest.clips[:1], **settings)
        clip: NDArray[np.float32] = dataset[0][0].permute(1, 2, 3, 0).numpy() * 255
        return clip

    def test_short_side_cuts_the_middle_out(
        self, cache: ClipCache, stored: NDArray[np.uint8]
    ) -> None:
        shown = self.shown(cache, fit="short-side")
        np.testing.assert_allclose(shown, stored[:, :, 4:28], atol=1e-3)

    def test_squeeze_shows_all_of_it(self, cache: ClipCache, stored: NDArray[np.uint8]) -> None:
        """Rows stay, columns are averaged: here by triangles 8/3 of a pixel wide."""
        shown = self.shown(cache, fit="squeeze")
        centres = (np.arange(24) + 0.5) * 32 / 24
        distances = np.abs(np.arange(32) + 0.5 - centres[:, None]) * 24 / 32
        triangles = np.maximum(0, 1 - distances)
        weights = triangles / triangles.sum(axis=1, keepdims=True)
        wanted = np.einsum("thwc,xw->thxc", stored.astype(float), weights)
        assert np.abs(shown - wanted).max() <= 1.5  # 8 bits, and weights of 8 bits

    def test_letterbox_repeats_the_border(
        self, cache: ClipCache, stored: NDArray[np.uint8]
    ) -> None:
        shown = self.shown(cache, fit="letterbox", size=32)
        np.testing.assert_allclose(shown[:, 4:28], stored, atol=1e-3)
        for row in range(4):
            np.testing.assert_allclose(shown[:, row], stored[:, 0], atol=1e-3)
            np.testing.assert_allclose(shown[:, 28 + row], stored[:, -1], atol=1e-3)

    @pytest.mark.parametrize(
        ("fit", "size", "shape"),
        [("short-side", 12, (12, 12)), ("squeeze", 12, (12, 16)), ("letterbox", 16, (16, 16))],
    )
    def test_half_of_it_is_drawn_in_training(
        self, cache: ClipCache, stored: NDArray[np.uint8], fit: Fit, size: int, shape: Any
    ) -> None:
        """Crops of scale 1/2; those that need not be resized are somewhere in the frame."""
        whole = stored
        if fit == "letterbox":
            whole = np.concatenate([stored[:, :1]] * 4 + [stored] + [stored[:, -1:]] * 4, axis=1)
        corners = set()
        for seed in range(40):
            drawn = {"training": True, "seed": seed, "scales": (0.5,), "fit": fit, "size": size}
            shown = self.shown(cache, **drawn)
            assert shown.shape == (3, size, size, 3)
            if shape != (size, size):
                continue  # squeezed: its aspect has changed
            windows = np.lib.stride_tricks.sliding_window_view(whole[0], shape, axis=(0, 1))
            wanted = np.rint(shown[0]).astype(np.uint8).transpose(2, 0, 1)
            corners |= {tuple(c) for c in np.argwhere((windows == wanted).all(axis=(2, 3, 4)))}
        if shape == (size, size):
            assert len(corners) > 25

    def test_frames_that_are_square_are_the_same_in_every_way(self, small_set: SmallSet) -> None:
        cache = ClipCache.build(small_set[0], size=24, fit="squeeze")
        one, two, three = (
            self.shown(cache, fit=fit, training=True, seed=3)
            for fit in ("short-side", "squeeze", "letterbox")
        )
        assert np.array_equal(one, two)
        assert np.array_equal(one, three)


@pytest.mark.parametrize("seed", [0, 7])
def test_same_for_seed_and_epoch(cache: ClipCache, seed: int) -> None:
    def draw(dataset_seed: int, epoch: int) -> list[Batch]:
        return list(batches(_dataset(cache, seed=dataset_seed), 4, epoch=epoch))

    assert _same(draw(seed, 3), draw(seed, 3))
    assert not _same(draw(seed, 3), draw(seed, 4))
    assert not _same(draw(seed, 3), draw(seed + 1, 3))
    given = list(batches(_dataset(cache, seed=99), 4, epoch=3, seed=seed))
    assert _same(given, draw(seed, 3))


def test_draws_do_not_depend_on_batches(cache: ClipCache) -> None:
    def by_position(size: int, shuffle: bool) -> dict[int, torch.Tensor]:
        made = batches(_dataset(cache), size, epoch=2, shuffle=shuffle)
        return {int(p): clip for b in made for clip, p in zip(b.clips, b.positions, strict=True)}

    first, second = by_position(4, True), by_position(3, False)
    dataset = _dataset(cache)
    dataset.epoch = 2
    for position, clip in first.items():
        assert torch.equal(clip, second[position])
        assert torch.equal(clip, dataset[position][0])


def test_dataloader_gives_the_same(cache: ClipCache) -> None:
    dataset = _dataset(cache)
    clips, actions, privacy, positions = next(iter(DataLoader(dataset, batch_size=4)))
    made = next(batches(dataset, 4, shuffle=False))
    assert torch.equal(clips, made.clips)
    assert torch.equal(actions, made.actions)
    assert torch.equal(privacy, made.privacy)
    assert torch.equal(positions, made.positions)


@pytest.mark.parametrize(("batch_size", "ranks"), [(4, 2), (5, 3), (7, 2), (100, 3)])
def test_shares_are_together_the_batches_of_one(
    cache: ClipCache, batch_size: int, ranks: int
) -> None:
    dataset = _dataset(cache)
    shares = [list(batches(dataset, batch_size, rank=r, ranks=ranks)) for r in range(ranks)]
    for parts in zip(*shares, strict=True):
        rows = torch.cat([part.rows for part in parts])
        assert sorted(rows.tolist()) == list(range(parts[0].whole))
        assert min(len(part.rows) for part in parts) >= 1
    whole = list(batches(dataset, batch_size, ranks=1))
    if len(whole) == len(shares[0]):  # few left-over clips join the batch before them
        for one, *parts in zip(whole, *shares, strict=True):
            rows = torch.cat([part.rows for part in parts]).argsort()
            assert torch.equal(torch.cat([part.clips for part in parts])[rows], one.clips)
            assert torch.equal(torch.cat([part.positions for part in parts])[rows], one.positions)
    seen = torch.cat([part.positions for share in shares for part in share])
    assert sorted(seen.tolist()) == list(range(len(dataset)))


def test_more_processes_than_clips_are_refused(cache: ClipCache) -> None:
    dataset = _dataset(cache)
    with pytest.raises(MotionveilError, match=r"3 processes for .* batches of 2: .* fewer"):
        next(batches(dataset, 2, ranks=3))


def test_begins_where_it_is_told(cache: ClipCache) -> None:
    dataset = _dataset(cache)
    assert _same(list(batches(dataset, 3, first=2)), list(batches(dataset, 3))[2:])


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_batch_in_parts(cache: ClipCache, parts: int) -> None:
    whole = next(batches(_dataset(cache), 5))
    split = whole.split(parts)
    assert len(split) == parts
    assert {part.whole for part in split} == {5}
    for name in ("clips", "actions", "privacy", "positions", "rows"):
        joined = torch.cat([getattr(part, name) for part in split])
        assert torch.equal(joined, getattr(whole, name))
    sizes = [len(part.clips) for part in split]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("clips", "size", "expected"),
    [
        (9, 4, [4, 5]),  # one left over joins the last
        (9, 2, [2, 2, 2, 3]),
        (9, 5, [5, 4]),
        (8, 4, [4, 4]),
        (9, 8, [9]),
        (9, 9, [9]),
        (9, 50, [9]),
        (3, 1, [1, 1, 1]),
        (1, 4, [1]),
    ],
)
def test_sizes_of_batches(cache: ClipCache, clips: int, size: int, expected: list[int]) -> None:
    dataset = ClipDataset(
        cache, cache.manifest.clips[:clips], t=2, size=4, privacy_label="person", training=True
    )
    assert [len(batch.clips) for batch in batches(dataset, size)] == expected
    assert batch_count(clips, size) == len(expected)


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_do_not_matter(cache: ClipCache, threads: int) -> None:
    one, several = _dataset(cache), _dataset(cache, threads=threads)
    assert _same(list(batches(several, 5)), list(batches(one, 5)))


def test_prefetched_gives_the_same(cache: ClipCache) -> None:
    dataset = _dataset(cache)
    assert _same(list(prefetched(batches(dataset, 2))), list(batches(dataset, 2)))


def test_prefetched_raises_and_stops() -> None:
    def failing() -> Any:
        yield 1
        raise KeyError("fault")

    items = prefetched(failing())
    assert next(items) == 1
    with pytest.raises(KeyError, match="fault"):
        next(items)
    endless = prefetched(iter(lambda: 1, 2))
    assert next(endless) == 1
    endless.close()  # type: ignore[attr-defined]


def test_faults(cache: ClipCache) -> None:
    with pytest.raises(MotionveilError, match="no privacy label 'age'; it has person"):
        _dataset(cache, privacy_label="age")
    with pytest.raises(ValueError, match="0 clips"):
        ClipDataset(cache, [], t=2, size=4, privacy_label="person", training=True)
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(batches(_dataset(cache), 0))
    with pytest.raises(IndexError):
        _dataset(cache)[9]
