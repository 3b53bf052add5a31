"""Compression loses more at a worse quality, and is of veiled clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionveil.datasets.cache import ClipCache
from motionveil.evaluation.encode_clips import compress, compressed_clips, veil_clips, veil_of
from tiny import write_toys


@pytest.mark.parametrize("shape", [(24, 24), (25, 31)])
def test_loses_more_at_a_worse_quality(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 256, (1, *shape, 1), np.uint8), 3, axis=3)
    frames = np.concatenate([np.roll(frames, t, axis=2) for t in range(5)])
    lost = []
    for quality in (0, 18, 28, 45):
        found = compress(frames, quality)
        assert found.shape == frames.shape
        assert found.dtype == np.uint8
        lost.append(float(np.abs(found.astype(int) - frames).mean()))
    assert lost[0] < 2  # grey noise survives 4:2:0
    assert lost == sorted(lost)
    assert lost[3] > 3 * lost[1]


def test_of_veiled_clips(tmp_path: Path) -> None:
    cache = ClipCache.build(write_toys(tmp_path, takes=1, held_out=1), size=24, workers=1)
    veiled = veil_clips(cache, veil_of("bdq"))
    sent = compressed_clips(veiled, 38)
    clip = cache.manifest.clips[0]
    assert sent.frames(clip).shape == veiled.frames(clip).shape
    assert not np.array_equal(sent.frames(clip), veiled.frames(clip))


def test_of_no_quality_is_refused() -> None:
    with pytest.raises(ValueError, match="crf 52"):
        compress(np.zeros((1, 8, 8, 3), np.uint8), 52)
