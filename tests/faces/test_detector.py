"""The detector: pixels of the frame, whatever size it has; and YuNet itself on real video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from motionveil.errors import MotionveilError
from motionveil.faces import FaceDetector
from motionveil.faces.detector import YuNet
from motionveil.video import read_clip
from white_squares import write_detector


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("network") / "white.onnx")


@pytest.fixture(scope="module")
def yunet(pretrained: Path) -> Path:
    return pretrained / "yunet_n_640.onnx"


def _with_square(height: int, width: int, x: int, y: int, side: int) -> np.ndarray:
    frame = np.zeros((height, width, 3), np.uint8)
    frame[y : y + side, x : x + side] = 255
    return frame


@pytest.mark.parametrize(
    ("height", "width", "enlarge", "largest", "box"),
    [
        (64, 64, 1, 1920, (16, 32, 16)),  # the size in the file
        (70, 97, 1, 1920, (48, 16, 16)),  # no multiple of 32
        (33, 200, 1, 1920, (176, 0, 16)),
        (70, 97, 2, 1920, (40, 24, 8)),  # a small face in a small frame
        (40, 60, 4, 1920, (12, 8, 4)),
        (256, 128, 1, 128, (64, 160, 32)),  # a large frame, shrunk to half its size
        (256, 128, 8, 256, (64, 160, 16)),  # never enlarged beyond what is allowed
    ],
)
def test_boxes_are_in_pixels_of_the_frame(
    network: Path,
    height: int,
    width: int,
    enlarge: float,
    largest: int,
    box: tuple[int, int, int],
) -> None:
    x, y, side = box
    detect = FaceDetector(network, enlarge=enlarge, largest=largest)
    faces = detect(_with_square(height, width, x, y, side))
    assert faces.boxes.round(2).tolist() == [[x, y, side, side]]
    assert np.allclose(faces.landmarks, [[x + side / 2, y + side / 2]] * 5)
    assert faces.scores[0] == pytest.approx(1, abs=0.1)  # enlarging rounds the square's edges


def test_threshold(network: Path) -> None:
    frame = _with_square(64, 64, 16, 16, 16)
    frame[32:48, 32:48] = 153  # 0.6 of white
    assert len(FaceDetector(network, enlarge=1, threshold=0.59)(frame)) == 2
    assert len(FaceDetector(network, enlarge=1, threshold=0.61)(frame)) == 1
    assert len(FaceDetector(network, enlarge=1)(np.zeros((64, 64, 3), np.uint8))) == 0


def test_the_network_sees_blue_first(tmp_path: Path) -> None:
    detect = FaceDetector(write_detector(tmp_path / "blue.onnx", weights=(1, 0, 0)), enlarge=1)
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[16:32, 16:32, 0] = 255  # red
    assert len(detect(frame)) == 0
    frame[16:32, 16:32, 2] = 255  # and blue
    assert len(detect(frame)) == 1


def test_a_frame_may_be_a_view(network: Path) -> None:
    frame = _with_square(64, 128, 80, 16, 16)
    detect = FaceDetector(network, enlarge=1)
    assert detect(frame[:, ::-1]).boxes.tolist() == [[32, 16, 16, 16]]


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3)])
def test_no_frame(network: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a frame is uint8"):
        FaceDetector(network)(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="float32"):
        FaceDetector(network)(np.zeros((8, 8, 3), np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("threshold", 0.0), ("threshold", 1.1), ("threshold", float("nan"))),
        *(("enlarge", 0.0), ("enlarge", 17.0), ("largest", 31), ("overlap", 0.0)),
    ],
)
def test_options_out_of_range(network: Path, name: str, value: float) -> None:
    with pytest.raises(MotionveilError, match=f"{name} is {value}, it must be"):
        FaceDetector(network, **{name: value})  # type: ignore[arg-type]


def test_faults_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match=r"none\.onnx: cannot read the detector"):
        FaceDetector(tmp_path / "none.onnx")
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"not a model")
    flat = onnx.load(str(write_detector(tmp_path / "flat.onnx")))
    del flat.graph.input[0].type.tensor_type.shape.dim[0]
    (tmp_path / "flat.onnx").write_bytes(flat.SerializeToString())
    with pytest.raises(MotionveilError, match=r"flat\.onnx: .* inputs of \[3\] axes"):
        FaceDetector(tmp_path / "flat.onnx")
    with pytest.raises(MotionveilError, match=r"garbage\.onnx: no ONNX model"):
        FaceDetector(garbage)
    with pytest.raises(MotionveilError, match=r"other\.onnx: .* outputs y; YuNet"):
        FaceDetector(_write_other(tmp_path / "other.onnx"))


def test_a_model_that_cannot_run(tmp_path: Path) -> None:
    model = onnx.load(str(write_detector(tmp_path / "bad.onnx")))
    model.graph.node[0].op_type = "NoSuchOperator"
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(MotionveilError, match=r"bad\.onnx: cannot be run"):
        FaceDetector(tmp_path / "bad.onnx")


def _write_other(path: Path) -> Path:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 8, 8]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", [x], [y])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


class TestYuNet:
    def test_freeing_its_size_changes_nothing(self, yunet: Path) -> None:
        picture = np.random.default_rng(0).uniform(0, 255, (1, 3, 640, 640)).astype(np.float32)
        session = onnxruntime.InferenceSession(str(yunet), providers=["CPUExecutionProvider"])
        fixed = session.run(None, {session.get_inputs()[0].name: picture})
        free = YuNet(yunet)(picture)
        for output, value in zip(session.get_outputs(), fixed, strict=True):
            assert np.allclose(free[output.name], value, atol=1e-5)

    def test_finds_the_faces_of_two_people(self, yunet: Path, ut_interaction: Path) -> None:
        """Where the faces are was read off the frame by eye."""
        frame = read_clip(ut_interaction / "segmented_set1" / "20_4_2.avi", 0, 1)[0]
        boxes = FaceDetector(yunet)(frame).boxes
        assert len(boxes) == 2
        for x, y in ((63, 43), (295, 31)):
            inside = (boxes[:, :2] < (x, y)) & ((x, y) < boxes[:, :2] + boxes[:, 2:])
            assert inside.all(axis=1).sum() == 1
        assert (boxes[:, 2:] < 40).all()  # a face, no body

    def test_finds_none_where_nobody_is(self, yunet: Path, kth: Path) -> None:
        frame = read_clip(kth / "running" / "person09_running_d1_uncomp.avi", 80, 81)[0]
        assert len(FaceDetector(yunet)(frame)) == 0
