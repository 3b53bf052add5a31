from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from export_examples import SPECS, hard_within, movers, noise, working
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil import __version__
from motionveil.errors import MotionveilError
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.geometry import area_average

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from motionveil.export.onnx import OPSET, build_model, write_onnx  # noqa: E402

EACH = pytest.mark.parametrize("name", SPECS)
SOFT_AND_HARD = pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])


class Runner:
    """Runs a model frame by frame, as whoever has it would."""

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        model, self.geometry = build_model(spec, hard=hard), spec.required_geometry()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.previous: NDArray[np.float32] | None = None

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.previous is None:
            shape = (*self.geometry.shape(*frame.shape[:2]), 3)
            self.previous = np.full(shape, np.nan, np.float32)
        veiled, self.previous = self.session.run(
            ["veiled", "blurred"], {"frame": frame, "previous": self.previous}
        )
        return veiled


def check(spec: EncoderSpec, clip: NDArray[np.uint8], hard: bool) -> None:
    run, stream = Runner(spec, hard=hard), StreamEncoder(spec, hard=hard)
    veiled = np.stack([run(frame) for frame in clip])
    expected = np.stack([stream(frame) for frame in clip])
    assert veiled.dtype == np.uint8
    assert veiled.shape == expected.shape
    np.testing.assert_array_equal(veiled[0], expected[0])
    assert np.ptp(veiled[0]) == 0
    if hard:
        assert hard_within(spec, working(spec, clip), veiled[1:], 0.001)
    else:
        assert np.abs(veiled.astype(int) - expected).max() <= 1


def model_of_averages(geometry: Geometry) -> onnxruntime.InferenceSession:
    """Return the model of an encoder with the frame that it works on as its only output."""
    model = build_model(EncoderSpec.untrained(range=0.25, geometry=geometry))
    kind = onnx.TensorProto.FLOAT
    del model.graph.input[1], model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("working", kind, None))
    last = next(k for k, node in enumerate(model.graph.node) if node.output[0] == "working")
    del model.graph.node[last + 1 :]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class TestAverage:
    GEOMETRIES = tuple(Geometry(size=size, rate=10) for size in (8, 9, 13, 36, 223))

    @pytest.fixture(scope="class")
    def models(self) -> dict[int, onnxruntime.InferenceSession]:
        return {geometry.size: model_of_averages(geometry) for geometry in self.GEOMETRIES}

    def check(
        self, session: onnxruntime.InferenceSession, geometry: Geometry, frame: NDArray[np.uint8]
    ) -> None:
        (averaged,) = session.run(None, {"frame": frame})
        expected = area_average(frame, geometry.shape(*frame.shape[:2]))
        np.testing.assert_array_equal(averaged, expected)

    @settings(max_examples=200, deadline=None)
    @given(
        geometry=st.sampled_from(GEOMETRIES),
        side=st.integers(1, 90),
        other=st.integers(0, 99),
        portrait=st.booleans(),
        seed=st.integers(0, 1000),
    )
    @example(geometry=GEOMETRIES[0], side=1, other=0, portrait=True, seed=1)
    def test_equals_area_average_at_every_size(
        self,
        geometry: Geometry,
        side: int,
        other: int,
        portrait: bool,
        seed: int,
        models: dict[int, onnxruntime.InferenceSession],
    ) -> None:
        longer = min(side + other, 16 * side)
        size = (longer, side) if portrait else (side, longer)
        self.check(models[geometry.size], geometry, noise(1, *size, seed)[0])

    @pytest.mark.parametrize("size", [(2160, 3840), (1920, 1080), (1081, 1917), (9000, 600)])
    def test_equals_area_average_of_large_frames(
        self, size: tuple[int, int], models: dict[int, onnxruntime.InferenceSession]
    ) -> None:
        frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        self.check(models[36], self.GEOMETRIES[3], frame)
        frame.fill(255)
        self.check(models[36], self.GEOMETRIES[3], frame)


class TestAgreementWithTheStreamEncoder:
    @EACH
    @SOFT_AND_HARD
    def test_on_real_video(self, name: str, hard: bool, real_clip: NDArray[np.uint8]) -> None:
        check(SPECS[name], real_clip[:6], hard)

    @EACH
    @SOFT_AND_HARD
    def test_on_movers(self, name: str, hard: bool) -> None:
        check(SPECS[name], movers(), hard)

    @SOFT_AND_HARD
    @pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 5), (1, 9), (8, 14), (99, 61)])
    def test_at_tiny_and_odd_sizes(self, size: tuple[int, int], hard: bool) -> None:
        spec = SPECS["shipped"].model_copy(update={"geometry": Geometry(size=8, rate=15)})
        for seed in range(6):
            check(spec, noise(3, *size, seed), hard)

    def test_one_session_takes_several_sizes(self) -> None:
        run = Runner(SPECS["shipped"])
        for height, width in ((40, 60), (90, 30)):
            stream = StreamEncoder(SPECS["shipped"])
            run.previous = None
            for frame in noise(3, height, width, 1):
                assert np.abs(run(frame).astype(int) - stream(frame)).max() <= 1


class TestStart:
    def test_no_motion_is_neutral(self) -> None:
        run, frame = Runner(SPECS["shipped"]), movers(1, 36, 52)[0]
        np.testing.assert_array_equal(run(frame), run(frame))

    def test_zeros_are_a_frame_and_not_the_start(self) -> None:
        """The reason for NaN: zeros print the scene, and must not look like a start that works."""
        run, frame = Runner(SPECS["untrained"]), movers(1, 36, 52)[0]
        run.previous = np.zeros(frame.shape, np.float32)
        assert np.ptp(run(frame)) > 50

    @pytest.mark.parametrize("size", [(1, 1), (1, 52), (36, 1), (52, 36), (37, 52), (72, 104)])
    def test_a_state_of_another_size_never_gives_a_picture(self, size: tuple[int, int]) -> None:
        run, frame = Runner(SPECS["untrained"]), movers(1, 36, 52)[0]
        run.previous = np.zeros((*size, 3), np.float32)
        try:
            veiled = run(frame)
        except Exception as error:  # onnxruntime has no class of its own for it
            assert "unlike" in str(error)  # noqa: PT017
        else:
            assert np.ptp(veiled) == 0

    def test_one_pixel_of_nan_is_a_start(self) -> None:
        run, clip = Runner(SPECS["untrained"]), movers(2, 90, 130)
        run.previous = np.full((1, 1, 3), np.nan, np.float32)
        stream = StreamEncoder(SPECS["untrained"])
        np.testing.assert_array_equal(run(clip[0]), stream(clip[0]))
        assert np.abs(run(clip[1]).astype(int) - stream(clip[1])).max() <= 1

    def test_only_where_there_was_nothing_before(self) -> None:
        run, clip = Runner(SPECS["untrained"]), movers(2, 36, 52)
        neutral = run(clip[0])[0, 0, 0]
        assert run.previous is not None
        run.previous[:, :30] = np.nan
        veiled = run(clip[1])
        assert (veiled[:, :30] == neutral).all()
        assert np.ptp(veiled[:, 30:]) > 0


class TestFile:
    def test_is_checked_standard_and_says_what_it_is(self, tmp_path: Path) -> None:
        spec = SPECS["shipped"]
        write_onnx(spec, tmp_path / "a.onnx", hard=True)
        model = onnx.load(tmp_path / "a.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} == {""}
        assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
        about = {prop.key: prop.value for prop in model.metadata_props}
        assert EncoderSpec.model_validate_json(about["encoder.json"]) == spec
        assert Geometry(**json.loads(about["geometry"])) == spec.geometry
        assert about["motionveil"] == model.producer_version == __version__
        assert about["quantisation"] == "hard"
        assert int(about["neutral"]) == StreamEncoder(spec, hard=True)(noise(1, 1, 1)[0])[0, 0, 0]
        for text in (about["start"], model.doc_string, model.graph.doc_string):
            assert "NEVER WITH ZEROS" in text
        assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]

    def test_sizes_and_types_of_inputs_and_outputs(self) -> None:
        session = Runner(SPECS["shipped"]).session
        values = [*session.get_inputs(), *session.get_outputs()]
        assert [(v.name, v.type, v.shape) for v in values] == [
            ("frame", "tensor(uint8)", ["H", "W", 3]),
            ("previous", "tensor(float)", ["previous_h", "previous_w", 3]),
            ("veiled", "tensor(uint8)", ["h", "w", 3]),
            ("blurred", "tensor(float)", ["h", "w", 3]),
        ]

    def test_encoders_that_cannot_run_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match="at which size and rate"):
            write_onnx(EncoderSpec.untrained(range=0.25), tmp_path / "a.onnx")
        with pytest.raises(MotionveilError, match="raw cannot be exported"):
            write_onnx(EncoderSpec(method="raw"), tmp_path / "a.onnx")
        assert not list(tmp_path.iterdir())
