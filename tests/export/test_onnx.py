from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from export_examples import SPECS, hard_within, movers, noise
from numpy.typing import NDArray

from motionveil import __version__
from motionveil.capture import StreamEncoder
from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from motionveil.export.onnx import OPSET, build_model, write_onnx  # noqa: E402

EACH = pytest.mark.parametrize("name", SPECS)
SOFT_AND_HARD = pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])


class Runner:
    """Runs a model frame by frame, as whoever has it would."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self.previous: NDArray[np.float32] | None = None

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.previous is None:
            self.previous = np.full(frame.shape, np.nan, np.float32)
        veiled, self.previous = self.session.run(
            ["veiled", "blurred"], {"frame": frame, "previous": self.previous}
        )
        return veiled


def check(spec: EncoderSpec, clip: NDArray[np.uint8], hard: bool) -> None:
    run, stream = Runner(build_model(spec, hard=hard)), StreamEncoder(spec, hard=hard)
    veiled = np.stack([run(frame) for frame in clip])
    expected = np.stack([stream(frame) for frame in clip])
    assert veiled.dtype == np.uint8
    assert veiled.shape == clip.shape
    np.testing.assert_array_equal(veiled[0], expected[0])
    assert np.ptp(veiled[0]) == 0
    if hard:
        assert hard_within(spec, clip, veiled[1:], 0.001)
    else:
        assert np.abs(veiled.astype(int) - expected).max() <= 1


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
    @pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 5), (1, 9), (7, 2), (12, 12)])
    def test_at_tiny_and_odd_sizes(self, size: tuple[int, int], hard: bool) -> None:
        for seed in range(6):
            check(SPECS["shipped"], noise(3, *size, seed), hard)

    def test_one_session_takes_several_sizes(self) -> None:
        run = Runner(build_model(SPECS["shipped"]))
        for height, width in ((4, 6), (9, 3)):
            stream = StreamEncoder(SPECS["shipped"])
            run.previous = None
            for frame in noise(3, height, width, 1):
                assert np.abs(run(frame).astype(int) - stream(frame)).max() <= 1


class TestStart:
    def test_no_motion_is_neutral(self) -> None:
        run, frame = Runner(build_model(SPECS["shipped"])), movers(1)[0]
        np.testing.assert_array_equal(run(frame), run(frame))

    def test_zeros_are_a_frame_and_not_the_start(self) -> None:
        """The reason for NaN: zeros print the scene, and must not look like a start that works."""
        run, frame = Runner(build_model(SPECS["untrained"])), movers(1)[0]
        run.previous = np.zeros(frame.shape, np.float32)
        assert np.ptp(run(frame)) > 50

    @pytest.mark.parametrize("size", [(1, 1), (1, 52), (37, 1), (52, 37), (36, 52)])
    def test_a_state_of_another_size_never_gives_a_picture(self, size: tuple[int, int]) -> None:
        run, frame = Runner(build_model(SPECS["untrained"])), movers(1)[0]
        run.previous = np.zeros((*size, 3), np.float32)
        try:
            veiled = run(frame)
        except Exception as error:  # onnxruntime has no class of its own for it
            assert "unlike" in str(error)  # noqa: PT017
        else:
            assert np.ptp(veiled) == 0

    def test_only_where_there_was_nothing_before(self) -> None:
        run, clip = Runner(build_model(SPECS["untrained"])), movers(2)
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
        assert about["motionveil"] == model.producer_version == __version__
        assert about["quantisation"] == "hard"
        assert int(about["neutral"]) == StreamEncoder(spec, hard=True)(noise(1, 1, 1)[0])[0, 0, 0]
        for text in (about["start"], model.doc_string, model.graph.doc_string):
            assert "NEVER WITH ZEROS" in text
        assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]

    def test_sizes_and_types_of_inputs_and_outputs(self) -> None:
        session = Runner(build_model(SPECS["shipped"])).session
        values = [*session.get_inputs(), *session.get_outputs()]
        assert [(v.name, v.type, v.shape) for v in values] == [
            ("frame", "tensor(uint8)", ["H", "W", 3]),
            ("previous", "tensor(float)", ["H", "W", 3]),
            ("veiled", "tensor(uint8)", ["H", "W", 3]),
            ("blurred", "tensor(float)", ["H", "W", 3]),
        ]

    def test_encoders_that_cannot_stream_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match="'raw' passes video through"):
            write_onnx(EncoderSpec(method="raw"), tmp_path / "a.onnx")
        assert not list(tmp_path.iterdir())
