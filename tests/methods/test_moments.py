"""Motion moments: beside plain loops, on motions that are known, and as bytes on a stream."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motionveil.encoders import build_encoder
from motionveil.errors import MotionveilError
from motionveil.methods import choose
from motionveil.methods.moments import MomentsSettings, RunningMoments, show_moments
from motionveil.spec import EncoderSpec
from motionveil.streaming import Guard, StreamEncoder


def levels_by_loops(settings: MomentsSettings, fields: NDArray[np.float64]) -> list[list[int]]:
    """Return what `RunningMoments` returns for fields (T, h, w, 2), from sums over all frames."""
    _, h, w, _ = fields.shape
    found, moments = [], []
    for now in range(len(fields)):
        ages = [(t, settings.memory ** (now - t)) for t in range(now + 1)]
        cells = [
            (j, i, (i + 0.5) / w - 0.5, (j + 0.5) / h - 0.5) for j in range(h) for i in range(w)
        ]
        mass, at, square = 0.0, [0.0, 0.0], [0.0, 0.0]
        for t, weight in ages:
            for j, i, *place in cells:
                moving = weight * np.abs(fields[t, j, i]).sum()
                mass += moving
                for axis in (0, 1):
                    at[axis] += moving * place[axis]
                    square[axis] += moving * place[axis] ** 2
        middle = [a / (mass + 1e-6) for a in at]
        spread = [
            math.sqrt(max(s / (mass + 1e-6) - m**2, 0)) + 0.04
            for s, m in zip(square, middle, strict=True)
        ]
        now_moments = []
        for component in (0, 1):
            for by in (None, 0, 1):
                total = 0.0
                for j, i, *place in cells:
                    factor = 1.0 if by is None else (place[by] - middle[by]) / spread[by]
                    total += fields[now, j, i, component] * factor
                now_moments.append(total / (h * w))
        moments.append(now_moments)
        row = []
        for k, value in enumerate(now_moments):
            size = sum(weight * abs(moments[t][k]) for t, weight in ages)
            relative = value / (size / sum(weight for _, weight in ages) + settings.floor)
            row.append(
                int(np.clip(np.rint(relative / settings.step), -settings.side, settings.side))
            )
        found.append(row)
    return found


@pytest.mark.parametrize("levels", [3, 5, 15])
def test_levels_are_those_of_plain_loops(levels: int) -> None:
    settings = MomentsSettings(levels=levels, memory=0.8, floor=0.02)
    rng = np.random.default_rng(levels)
    fields = rng.normal(0, 0.3, (7, 3, 4, 2)) * (rng.random((7, 3, 4, 1)) < 0.6)
    running = RunningMoments(settings, (3, 4))
    assert [running(field).tolist() for field in fields] == levels_by_loops(settings, fields)


def test_the_picture_says_which_moments_they_were() -> None:
    settings = MomentsSettings(parts=1)
    pictures = {
        show_moments(settings, np.array(levels), (3, 2)).tobytes()
        for levels in itertools.product((-1, 0, 1), repeat=6)
    }
    assert len(pictures) == 729
    assert settings.bits == pytest.approx(math.log2(729))
    picture = show_moments(settings, np.array([-1, 0, 1, 1, 0, 0]), (3, 2))
    assert picture[:2].tolist() == [[[0, 119, 238]] * 2] * 2
    assert picture[2].tolist() == [[238, 119, 119]] * 2


def textured(shift: float = 0, zoom: float = 1) -> NDArray[np.uint8]:
    y, x = np.mgrid[:64, :96].astype(float)
    x, y = (x - 48) / zoom + 48 - shift, (y - 32) / zoom + 32
    grey = 120 + 50 * np.sin(x / 3) + 50 * np.cos(y / 4 + x / 9)
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, 2)


def veiled(frames: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    encoder = StreamEncoder(EncoderSpec.untrained("moments:parts=1"), native=True)
    return np.stack([encoder(frame) for frame in frames])  # type: ignore[misc]


def test_translation_is_in_the_mean_and_expansion_in_the_moments() -> None:
    right = veiled([textured(shift=n) for n in range(4)])[2:]
    assert (right[:, 0, 0, 0] == 238).all()
    assert (right[:, -1, 0, 0] == 119).all()
    grows = veiled([textured(zoom=1.03**n) for n in range(4)])[2:]
    assert (grows[:, 0, 0, 1] == 238).all()
    assert (grows[:, -1, 0, 2] == 238).all()


def test_nothing_moves() -> None:
    assert (veiled([textured()] * 4) == 119).all()


def test_a_second_of_motion_says_the_same_at_half_the_speed() -> None:
    """Speeds stand against their own running mean."""
    slow, fast = (veiled([textured(shift=by * n) for n in range(8)])[1:] for by in (0.7, 1.4))
    np.testing.assert_array_equal(slow[:, 0, :, 0], fast[:, 0, :, 0])


def test_parts_are_pictures_of_their_own() -> None:
    """Each part says what an image of that part alone says."""
    rng = np.random.default_rng(3)
    fields = rng.normal(0, 0.3, (1, 2, 6, 4, 7))
    whole = build_encoder(EncoderSpec.untrained("moments:parts=3,cell=1"))
    settings = MomentsSettings(parts=3)
    assert settings.columns(7) == [slice(0, 2), slice(2, 4), slice(4, 7)]
    assert settings.bits == pytest.approx(3 * math.log2(729))
    assert MomentsSettings(parts=4).columns(3) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    with torch.no_grad():
        for part in settings.columns(7):
            field = fields[0, ..., part].transpose(1, 2, 3, 0)
            running = RunningMoments(settings, (4, part.stop - part.start))
            expected = [running(frame).reshape(2, 3) for frame in field]
            found = whole.levels(torch.from_numpy(fields[..., part]))[0]  # type: ignore[operator]
            np.testing.assert_array_equal(found.transpose(0, 1), expected)


@pytest.mark.parametrize(
    ("height", "width", "cell", "parts"),
    [(64, 64, 8, 1), (48, 80, 4, 3), (50, 70, 8, 2), (32, 16, 8, 4)],
)
def test_the_stream_writes_what_torch_computes(
    height: int, width: int, cell: int, parts: int
) -> None:
    rng = np.random.default_rng(cell)
    base = rng.integers(0, 256, (height + 20, width + 20, 3), dtype=np.uint8)
    base = torch.nn.functional.avg_pool2d(
        torch.from_numpy(base).permute(2, 0, 1).float(), 5, 1, 2
    ).permute(1, 2, 0).numpy()  # fmt: skip
    frames = [base[n : n + height, 2 * n : 2 * n + width].astype(np.uint8) for n in range(8)]
    spec = EncoderSpec.untrained(f"moments:cell={cell},parts={parts}")
    stream = StreamEncoder(spec, native=True)
    written = np.stack([stream(np.ascontiguousarray(frame)) for frame in frames])[1:]
    clip = torch.from_numpy(np.stack(frames) / np.float32(255)).permute(3, 0, 1, 2)[None]
    levels = build_encoder(spec)(clip.contiguous())[0, :, :, ::cell, ::cell]
    computed = (17 * levels).round().permute(1, 2, 3, 0).numpy()
    np.testing.assert_array_equal(written, computed)


def test_no_guard_blocks_what_cannot_show_the_scene() -> None:
    encoder = StreamEncoder(EncoderSpec.untrained("moments"), native=True, guard=Guard())
    frames = [textured(shift=n) for n in range(4)] + [255 - textured(shift=4)]
    reasons = []
    for n, frame in enumerate(frames):
        encoder(frame, time=n / 15)
        reasons.append(encoder.guarded)
    assert reasons == ["first", None, None, None, None]


def test_refused() -> None:
    with pytest.raises(MotionveilError, match="an odd number is needed"):
        choose("moments:levels=4")
    with pytest.raises(MotionveilError, match="never untrained"):
        choose("moments-untrained")
