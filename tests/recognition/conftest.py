"""A recogniser whose answers are known: it names the colour channel that is brightest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from motionveil.geometry import Geometry
from motionveil.hub import sha256_of
from motionveil.recognition.artefact import (
    NETWORK,
    Calibration,
    NetworkFile,
    NoMotion,
    RecogniserSpec,
    hash_encoder,
)
from motionveil.recognition.network_input import NetworkInput
from motionveil.spec import EncoderSpec

FRAMES, SIDE, RATE = 4, 16, 10.0
CLASSES = ("röd", "緑", "синий")

Make = Callable[..., Path]


def write_network(file: Path, *, frames: int = FRAMES, side: int = SIDE, gain: float = 8.0) -> None:
    """Write a network whose logits are `gain` times the mean of each channel: three classes."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [3], [2, 3, 4])
    factor = helper.make_tensor("gain", TensorProto.FLOAT, [], [gain])
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["clips", "axes"], ["means"], keepdims=0),
            helper.make_node("Mul", ["means", "gain"], ["logits"]),
        ],
        "channels",
        [
            helper.make_tensor_value_info(
                "clips", TensorProto.FLOAT, ["batch", 3, frames, side, side]
            )
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [axes, factor],
    )
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), file)


def encoder(**changes: Any) -> EncoderSpec:
    return EncoderSpec.untrained(range=0.25, geometry=Geometry(size=SIDE, rate=RATE), **changes)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return what writes a recogniser's folder; arguments replace fields of its numbers."""

    def write(name: str = "recogniser", **fields: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        write_network(folder / NETWORK)
        spec = encoder()
        values: dict[str, Any] = {
            "classes": CLASSES,
            "frames": FRAMES,
            "geometry": spec.geometry,
            "input": NetworkInput(size=SIDE),
            "encoder": spec,
            "encoder_hash": hash_encoder(spec, Geometry(size=SIDE, rate=RATE)),
            "network": NetworkFile(
                architecture="channels", sha256=sha256_of(folder / NETWORK), largest_error=0.0
            ),
            "calibration": Calibration(temperature=1.0, threshold=0.6, passing=0.95, clips=9),
            "no_motion": NoMotion(neutral=128, tolerance=8, share=0.01),
        }
        RecogniserSpec(**(values | fields)).save(folder)
        return folder

    return write
