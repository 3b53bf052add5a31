"""A recogniser that is loaded: windows of veiled frames to probabilities of actions."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.recognition.artefact import (
    FILE,
    NETWORK,
    RecogniserSpec,
    find_recogniser,
    sha256_of,
)
from motionveil.recognition.calibration import softmax
from motionveil.recognition.network_input import ActionNetwork
from motionveil.spec import load_spec


class Recogniser:
    """What names the action in a window of veiled frames; serves any number of streams.

    Attributes:
        spec: Its numbers.
    """

    def __init__(self, spec: RecogniserSpec, network: ActionNetwork) -> None:
        self.spec = spec
        self._network = network

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the network's outputs, (classes,), for one window.

        Args:
            images: uint8 (frames, size, size, 3), as `spec.input.image` makes them.
        """
        wanted = (self.spec.frames, self.spec.input.size, self.spec.input.size, 3)
        if images.dtype != np.uint8 or images.shape != wanted:
            raise ValueError(f"a window is uint8 {wanted}, not {images.dtype} {images.shape}")
        return self._network(self.spec.input.clips(images)[None])[0]

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the calibrated probabilities, (actions,), for one window; see `logits`.

        They are those of `spec.actions`, and what is left to one is the background's.
        """
        found = softmax(self.logits(images), self.spec.calibration.temperature)
        return self.spec.action_probabilities(found)


def load_recogniser(model: str | PathLike[str], *, threads: int = 1) -> Recogniser:
    """Load a recogniser; needs onnxruntime and no torch.

    Args:
        model: A folder with `recogniser.json`, the file itself, a run folder that holds a
            `recogniser/`, or the name of a recogniser that comes with the package.

    Raises:
        MotionveilError: There is none, a file of it is missing or damaged, the network does not
            fit its numbers, or the run's encoder is another than the one that it was trained on.
    """
    folder = find_recogniser(model)
    spec = RecogniserSpec.read(folder / FILE)
    own = folder.parent / "encoder.json"
    if own.is_file():
        spec.check_encoder(load_spec(own), str(own))
    return Recogniser(spec, _network(folder, spec, threads))


def _network(folder: Path, spec: RecogniserSpec, threads: int) -> ActionNetwork:
    file = folder / NETWORK
    if file.is_file() and sha256_of(file) != spec.network.sha256:
        raise MotionveilError(
            f"{file}: damaged, or of another recogniser: its SHA-256 is not the one in {FILE}"
        )
    shape = (3, spec.frames, spec.input.size, spec.input.size)
    return ActionNetwork(file, shape=shape, classes=len(spec.classes), threads=threads)
