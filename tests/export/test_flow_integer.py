"""The motion field in whole numbers: its error, and the stream encoder beside it."""

from __future__ import annotations

import numpy as np
import pytest
from export_examples import movers, noise
from flow_examples import GEOMETRY, SPECS, hard_pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.export import IntegerEncoder
from motionveil.export.flow_integer import LARGEST_TABLE, integer_flow
from motionveil.methods.flow import FlowSettings, quantise_velocity
from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder

EACH = pytest.mark.parametrize("name", SPECS)
Array = NDArray[np.float64]


def gaussian(sigma: float, radius: int) -> Array:
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


def blur_matrix(sigma: float, length: int) -> Array:
    """Return (length, length): each row the weights of a pixel, the border repeated."""
    matrix = np.zeros((length, length))
    for pixel in range(length):
        for offset, weight in zip(range(-4, 5), gaussian(sigma, 4), strict=True):
            matrix[pixel, min(max(pixel + offset, 0), length - 1)] += weight
    return matrix


def cell_matrix(sigma: float, cell: int, length: int) -> Array:
    """Return (cells, length): the mean over each cell's pixels of the window around each."""
    matrix = np.zeros((-(-length // cell), length))
    for j in range(len(matrix)):
        for pixel in range(j * cell, (j + 1) * cell):
            for offset, weight in zip(range(-11, 12), gaussian(sigma, 11), strict=True):
                if 0 <= pixel + offset < length:
                    matrix[j, pixel + offset] += weight / cell
    return matrix


def exact(spec: EncoderSpec, pair: NDArray[np.uint8]) -> Array:
    """Return the velocities (rows, columns, 2) of two frames, in float64 by matrices."""
    own = spec.settings
    assert isinstance(own, FlowSettings)
    height, width = pair.shape[1:3]
    luma = (pair / 255) @ np.array(own.colours)
    frames = blur_matrix(own.sigma, height) @ luma @ blur_matrix(own.sigma, width).T
    mean, change = frames.mean(0), frames[1] - frames[0]
    padded = np.pad(mean, 1, mode="edge")
    x = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    y = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    down = cell_matrix(own.window, own.cell, height)
    across = cell_matrix(own.window, own.cell, width)

    def average(values: Array) -> Array:
        return np.asarray(down @ values @ across.T)

    matrix = np.stack([[average(x * x), average(x * y)], [average(x * y), average(y * y)]])
    matrix = matrix.transpose(2, 3, 0, 1) + own.eps * np.eye(2)
    vector = np.stack([average(x * change), average(y * change)], -1)
    return -np.linalg.solve(matrix, vector[..., None])[..., 0]


def check_error(spec: EncoderSpec, pair: NDArray[np.uint8]) -> float:
    """Check the bound on a pair, and return the largest error as a share of it."""
    numbers, own = integer_flow(spec), spec.settings
    assert isinstance(own, FlowSettings)
    right = exact(spec, pair)
    found = (numbers.entries(*pair) - numbers.zero) / 2.0**numbers.bits
    clamped = np.clip(right, -own.range, own.reach)
    bound = numbers.error(np.hypot(right[..., 0], right[..., 1]))[..., None]
    # The table ends at the first whole entry beyond the levels' end.
    off = np.abs(np.clip(found, -own.range, own.reach) - clamped)
    assert (off <= bound).all()
    return float((off / bound).max())


@EACH
def test_error_is_below_its_bound(name: str) -> None:
    shares = [check_error(SPECS[name], pair) for pair in hard_pairs(32, 48).values()]
    shares += [check_error(SPECS[name], noise(2, 32, 40, seed)) for seed in range(9)]
    shares.append(check_error(SPECS[name], movers(2, 45, 60)))
    print(f"\n{name}: {integer_flow(SPECS[name]).accuracy}; {max(shares):.2f} of it is reached")
    assert 0.1 < max(shares) <= 1


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    cell=st.sampled_from([1, 3, 8, 40]),
    sigma=st.floats(0.3, 2),
    window=st.floats(0.3, 5.5),
    eps=st.floats(-7, -1),
    reach=st.floats(0.05, 50),
    colours=st.sampled_from([(0.299, 0.587, 0.114), (1.0, -2.0, 0.5), (0.0, 0.0, 3.0)]),
    seed=st.integers(0, 1000),
)
def test_error_is_below_its_bound_for_all_settings(
    height: int,
    width: int,
    cell: int,
    sigma: float,
    window: float,
    eps: float,
    reach: float,
    colours: tuple[float, float, float],
    seed: int,
) -> None:
    total = sum(abs(weight) for weight in colours)
    spec = EncoderSpec.untrained("flow").change(
        cell=cell,
        sigma=sigma,
        window=window,
        eps=1.001 * 10**eps * total**2,
        range=reach,
        colours=colours,
    )
    assert len(integer_flow(spec).table) <= LARGEST_TABLE
    for pair in [noise(2, height, width, seed), *hard_pairs(height, width).values()]:
        check_error(spec, pair)


def test_bound_is_small_as_shipped() -> None:
    numbers = integer_flow(SPECS["default"])
    assert numbers.error(3.0) < 0.001  # pixels per frame
    assert len(numbers.table) > LARGEST_TABLE / 2


@EACH
@pytest.mark.parametrize("hard", [False, True])
def test_output_is_the_stream_encoders(name: str, hard: bool) -> None:
    spec = SPECS[name]
    own = spec.settings
    assert isinstance(own, FlowSettings)
    clips = [
        movers(3, 45, 60),
        noise(3, 32, 40, 1),
        noise(3, 9, 7, 2),
        *hard_pairs(32, 48).values(),
    ]
    for clip in clips:
        whole, stream = IntegerEncoder(spec, hard=hard), StreamEncoder(spec, native=True, hard=hard)
        found, expected = (
            np.stack([one(frame) for frame in clip]).astype(int) for one in (whole.veil, stream)
        )
        assert found.shape == expected.shape
        assert (found[0] == stream.neutral).all()
        if not hard:
            assert np.abs(found - expected).max() <= 1
            continue
        velocity = exact(spec, clip[-2:])
        margin = integer_flow(spec, hard=True).error(np.hypot(*velocity.transpose(2, 0, 1)))[
            ..., None
        ]
        low, high = (
            17 * quantise_velocity(own, velocity + shift, hard=True) for shift in (-margin, margin)
        )
        last = found[-1, ..., :2]
        assert ((last >= np.rint(low)) & (last <= np.rint(high))).all()


def test_a_frame_of_a_camera_is_averaged_and_then_veiled() -> None:
    encoder, stream = IntegerEncoder(SPECS["small"]), StreamEncoder(SPECS["small"])
    for frame in movers(4, 90, 160):
        found, expected = encoder(frame), stream(frame)
        assert expected is not None
        assert found.shape == expected.shape == (8, 14, 3)
        assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"eps": 1e-9}, "eps over the square of the sum of colours is 1e-09"),
        ({"eps": 0.3}, "eps over the square of the sum of colours is 0.3"),
        ({"colours": (0.0, 0.0, 0.0)}, "eps over the square of the sum of colours is inf"),
        ({"range": 1e-3}, "range is 0.001"),
        ({"range": 2e3}, "range is 2000"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change: dict[str, object], fault: str) -> None:
    spec = EncoderSpec.untrained("flow", geometry=GEOMETRY).change(**change)
    with pytest.raises(MotionveilError, match=fault):
        IntegerEncoder(spec)
