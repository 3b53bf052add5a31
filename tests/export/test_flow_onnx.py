"""The motion field and its moments as ONNX models beside the stream encoder."""

from __future__ import annotations

import numpy as np
import pytest
from export_examples import movers, noise
from flow_examples import MOMENTS, SPECS, hard_pairs, wandering
from numpy.typing import NDArray

from motionveil.methods.flow import FlowSettings, quantise_velocity
from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from motionveil.export.onnx import build_model  # noqa: E402

EACH = pytest.mark.parametrize("name", SPECS)


class Runner:
    """Runs a model frame by frame, as whoever has it would."""

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.model = build_model(spec, hard=hard)
        self.session = onnxruntime.InferenceSession(
            self.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.runs = len(self.session.get_inputs()) == 3
        self.running = np.zeros((1, 12))
        self.start()

    def start(self) -> None:
        self.previous = np.full((1, 1, 3), np.nan, np.float32)

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        given = {"frame": frame, "previous": self.previous}
        if not self.runs:
            veiled, self.previous = self.session.run(["veiled", "blurred"], given)
            return veiled
        veiled, self.previous, self.running = self.session.run(
            ["veiled", "blurred", "running_next"], given | {"running": self.running}
        )
        return veiled


def compare(spec: EncoderSpec, clip: NDArray[np.uint8], *, hard: bool = False) -> list[np.ndarray]:
    """Return the model's frames and the stream encoder's."""
    run, stream = Runner(spec, hard=hard), StreamEncoder(spec, hard=hard)
    found, expected = (np.stack([one(frame) for frame in clip]) for one in (run, stream))
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found[0], stream.neutral)
    return [found, expected]


@EACH
@pytest.mark.parametrize("size", [(45, 60), (32, 32), (77, 33), (9, 14), (3, 1), (1, 1)])
def test_soft_output_is_the_stream_encoders(name: str, size: tuple[int, int]) -> None:
    for clip in (movers(4, *size) if min(size) > 40 else noise(4, *size, 1), noise(3, *size, 2)):
        found, expected = compare(SPECS[name], clip)
        assert np.abs(found.astype(int) - expected).max() <= 1


@EACH
def test_what_is_hard_on_an_estimate_of_motion(name: str) -> None:
    for what, clip in hard_pairs(32, 48).items():
        found, expected = compare(SPECS[name], clip)
        assert np.abs(found.astype(int) - expected).max() <= 1, what


@EACH
def test_hard_output_differs_at_boundaries_only(name: str) -> None:
    spec, clip = SPECS[name], hard_pairs(32, 48)["large checkerboard"]
    found, expected = compare(spec, clip, hard=True)
    settings = spec.settings
    assert isinstance(settings, FlowSettings)
    steps = quantise_velocity(settings, np.linspace(-20, 20, 999), hard=True)
    assert set(np.unique(found)) <= set(np.rint(17 * steps).astype(int))
    assert (found != expected).mean() < 0.01
    assert np.ptp(found) > 50, "the test needs motion"


def test_sizes_and_types_of_inputs_and_outputs() -> None:
    run = Runner(SPECS["default"])
    values = [*run.session.get_inputs(), *run.session.get_outputs()]
    assert [(v.name, v.type, v.shape) for v in values] == [
        ("frame", "tensor(uint8)", ["H", "W", 3]),
        ("previous", "tensor(float)", ["previous_h", "previous_w", "previous_c"]),
        ("veiled", "tensor(uint8)", ["grid_h", "grid_w", 3]),
        ("blurred", "tensor(float)", ["h", "w", 1]),
    ]
    about = {prop.key: prop.value for prop in run.model.metadata_props}
    assert EncoderSpec.model_validate_json(about["encoder.json"]) == SPECS["default"]
    assert "NEVER WITH ZEROS" in about["start"]
    assert int(about["neutral"]) == StreamEncoder(SPECS["default"]).neutral


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 1), (32, 1, 3), (48, 32, 1), (64, 96, 1)])
def test_a_state_of_another_size_gives_the_neutral_frame_or_an_error(
    shape: tuple[int, int, int],
) -> None:
    run = Runner(SPECS["small"])
    run.previous = np.zeros(shape, np.float32)
    try:
        veiled = run(movers(1, 32, 48)[0])
    except Exception as error:  # onnxruntime has no class of its own for it
        assert "nothing_before" in str(error) or "kept" in str(error)  # noqa: PT017
    else:
        assert np.ptp(veiled) == 0


def test_only_where_there_was_nothing_before() -> None:
    run, clip = Runner(SPECS["small"]), movers(2, 32, 64)
    neutral = run(clip[0])[0, 0, 0]
    run.previous[:, :32] = np.nan
    veiled = run(clip[1])
    assert (veiled[:, :4] == neutral).all()
    assert np.ptp(veiled[:, 8:]) > 0


@pytest.mark.parametrize("spec", [*MOMENTS.values(), MOMENTS["moments"].change(parts=16)])
def test_moments_are_the_stream_encoders(spec: EncoderSpec) -> None:
    """To the byte, where no velocity lies at a level's end; a start forgets all that runs."""
    run = Runner(spec)
    clips = [wandering(20, 32, 48, 0), wandering(12, 77, 33, 1), noise(9, 9, 14, 1), noise(3, 1, 1)]
    for clip in [*clips, clips[0]]:
        stream = StreamEncoder(spec)
        run.start()  # `running` stays as it was
        np.testing.assert_array_equal([run(frame) for frame in clip], [stream(f) for f in clip])
    assert len(np.unique(run(clips[0][5]))) > 1, "the test needs motion"


def test_sizes_and_types_of_the_running_state() -> None:
    run = Runner(MOMENTS["moments"])
    values = [run.session.get_inputs()[-1], run.session.get_outputs()[-1]]
    assert [(v.name, v.type, v.shape) for v in values] == [
        ("running", "tensor(double)", ["running_parts", 12]),
        ("running_next", "tensor(double)", [3, 12]),
    ]
    about = {prop.key: prop.value for prop in run.model.metadata_props}
    assert "`running_next`" in about["start"]
    assert (about["neutral"], about["quantisation"]) == ("119", "hard")


def test_whatever_a_caller_makes_of_the_running_state_few_levels_leave() -> None:
    run, clip = Runner(MOMENTS["moments"]), wandering(9, 32, 48, 0)
    wrong = [np.nan, np.inf, -np.inf, -1.0, 1e300, -1e300]
    for value in wrong:
        run.start()
        for frame in clip:
            run.running = np.full_like(run.running, value)
            assert set(np.unique(run(frame))) <= {0, 119, 238}
    run.running = np.full((2, 12), 0.0)  # neither one row nor as many as parts
    with pytest.raises(Exception, match="running"):
        run(clip[0])
    with_zeros = Runner(MOMENTS["moments"])
    with_zeros.previous = np.zeros((32, 48, 1), np.float32)
    assert set(np.unique(with_zeros(clip[0]))) <= {0, 119, 238}


def test_one_pixel_that_was_not_before_is_a_start_of_the_moments() -> None:
    run, clip = Runner(MOMENTS["moments"]), wandering(9, 32, 48, 0)
    for frame in clip:
        run(frame)
    run.previous[5, 7] = np.nan
    assert (run(clip[0]) == 119).all()
    assert not run.running.any()
