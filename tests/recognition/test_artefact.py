"""A recogniser on disk: found, checked, refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionveil import MotionveilError, load_recogniser
from motionveil.geometry import Geometry
from motionveil.hub import sha256_of
from motionveil.recognition.artefact import Calibration, NetworkFile
from motionveil.recognition.network_input import NetworkInput
from recognition.conftest import CLASSES, FRAMES, SIDE, Make, encoder, write_network
from recognition.veiled_frames import veiled


def test_is_found_by_folder_run_and_file(make: Make) -> None:
    folder = make("run/recogniser")
    for name in (folder, folder.parent, folder / "recogniser.json", str(folder.parent)):
        assert load_recogniser(name).spec.classes == CLASSES


def test_probabilities_are_the_softmax_of_the_cooled_logits(make: Make) -> None:
    cold = Calibration(temperature=2.0, threshold=0.5, passing=0.95, clips=9)
    recogniser = load_recogniser(make(calibration=cold))
    images = np.stack([veiled(1)] * FRAMES)
    means = np.array([128, 255, 128]) / 127.5 - 1
    powers = np.exp(8 * means / 2)
    assert recogniser.probabilities(images) == pytest.approx(powers / powers.sum(), abs=1e-5)
    with pytest.raises(ValueError, match=r"a window is uint8 \(4, 16, 16, 3\)"):
        recogniser.probabilities(images[:3])


def test_class_names_in_any_script_are_stored_as_they_are(make: Make) -> None:
    text = (make() / "recogniser.json").read_text(encoding="utf-8")
    assert all(name in text for name in CLASSES)


@pytest.mark.parametrize(
    ("name", "reason"), [("nothing", "no such recogniser"), (".", "no recogniser.json in it")]
)
def test_there_is_none(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(MotionveilError, match=reason):
        load_recogniser(tmp_path / name)


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_a_damaged_network_is_refused(make: Make) -> None:
    folder = make()
    damage(folder / "action.onnx")
    with pytest.raises(MotionveilError, match=r"action\.onnx: damaged, or of another recogniser"):
        load_recogniser(folder)
    (folder / "action.onnx").unlink()
    with pytest.raises(MotionveilError, match=r"action\.onnx: no such file"):
        load_recogniser(folder)


def with_network(make: Make, write: Any) -> Path:
    folder = make()
    write(folder / "action.onnx")
    numbers = json.loads((folder / "recogniser.json").read_text(encoding="utf-8"))
    numbers["network"]["sha256"] = sha256_of(folder / "action.onnx")
    (folder / "recogniser.json").write_text(json.dumps(numbers), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda file: file.write_bytes(b"no network"), "not a network that can be run"),
        (lambda file: write_network(file, frames=5), r"the recogniser gives .*3, 4, 16, 16"),
        (lambda file: write_network(file, side=24), r"takes tensor\(float\) .*24, 24"),
    ],
    ids=["nonsense", "frames", "size"],
)
def test_a_network_that_does_not_fit_is_refused(make: Make, write: Any, reason: str) -> None:
    with pytest.raises(MotionveilError, match=reason):
        load_recogniser(with_network(make, write))


def test_as_many_classes_as_outputs(make: Make) -> None:
    with pytest.raises(MotionveilError, match=r"gives \['batch', 3\]; there are 2 class names"):
        load_recogniser(make(classes=("a", "b")))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"classes": ["a", "a", "b"]}, "class names must differ"),
        ({"classes": ["a", " ", "b"]}, "must not be empty"),
        ({"frames": 0}, "frames: "),
        ({"surprise": 1}, "surprise"),
        ({"encoder_hash": "0" * 12}, "another encoder"),
        ({"geometry": {"size": 32, "rate": 10}}, "the encoder works at 16 pixels"),
    ],
    ids=["same", "empty", "frames", "unknown", "hash", "geometry"],
)
def test_numbers_at_fault_are_refused(make: Make, changes: dict[str, Any], reason: str) -> None:
    file = make() / "recogniser.json"
    numbers = json.loads(file.read_text(encoding="utf-8")) | changes
    file.write_text(json.dumps(numbers), encoding="utf-8")
    with pytest.raises(MotionveilError, match=reason) as caught:
        load_recogniser(file.parent)
    assert str(file) in str(caught.value)


def test_no_text_and_no_json(make: Make) -> None:
    file = make() / "recogniser.json"
    for content in (b"\xff\xfe\x00", b"{"):
        file.write_bytes(content)
        with pytest.raises(MotionveilError, match="recogniser"):
            load_recogniser(file.parent)


def test_the_encoder_of_the_run_must_be_its_own(make: Make) -> None:
    folder = make("run/recogniser")
    own = encoder(note="provenance is no part of what an encoder is")
    own.save(folder.parent / "encoder.json")
    assert load_recogniser(folder.parent).spec.encoder.fingerprint == own.fingerprint
    own.change(modules="BD").save(folder.parent / "encoder.json")
    with pytest.raises(MotionveilError, match=r"encoder\.json: .* output of another encoder"):
        load_recogniser(folder.parent)
    geometry = Geometry(size=SIDE, rate=25)
    own.model_copy(update={"geometry": geometry}).save(folder.parent / "encoder.json")
    with pytest.raises(MotionveilError, match="works at 16 pixels, 25 frames/s"):
        load_recogniser(folder.parent)


def test_input_and_network_are_written_down(make: Make) -> None:
    spec = load_recogniser(make()).spec
    assert spec.input == NetworkInput(size=SIDE, values=(-1, 1))
    assert isinstance(spec.network, NetworkFile)
    assert spec.seconds == pytest.approx(0.4)
