"""A recogniser that is loaded: windows of veiled frames to probabilities of actions."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.hub import HubFile, is_hub_name, sha256_of
from motionveil.recognition.artefact import (
    FILE,
    NETWORK,
    RecogniserSpec,
    fetch_recogniser,
    find_recogniser,
)
from motionveil.recognition.network_input import ActionNetwork
from motionveil.spec import FILE_NAME as ENCODER
from motionveil.spec import load_spec

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOTTEST, COLDEST = 20.0, 0.05
"""Temperatures that are tried; few clips, all answered right, would ask for 0."""

_STEPS = 60  # of the golden section: the interval shrinks to 1e-12 of its length
_GOLDEN = (5**0.5 - 1) / 2


class Recogniser:
    """What names the action in a window of veiled frames; serves any number of streams.

    Attributes:
        spec: Its numbers.
        origin: `hf:owner/name@commit` where it was fetched from the hub; empty otherwise.
    """

    def __init__(self, spec: RecogniserSpec, network: ActionNetwork, origin: str = "") -> None:
        self.spec, self.origin = spec, origin
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
            `recogniser/`, the name of a recogniser that comes with the package, or one on the
            hub: `"hf:owner/name"`, `"hf:owner/name@revision"`.

    Raises:
        MotionveilError: There is none, a file of it is missing or damaged, the network does not
            fit its numbers, or the run's encoder is another than the one that it was trained on.

    Examples:
        >>> load_recogniser("actors").spec.classes[:3]
        ('background', 'circle-clockwise', 'circle-counterclockwise')
    """
    fetched = fetch_recogniser(model) if is_hub_name(model) else None
    folder = find_recogniser(model) if fetched is None else fetched[0].path.parent
    spec = RecogniserSpec.read(folder / FILE)
    own = folder.parent / ENCODER
    if own.is_file():
        spec.check_encoder(load_spec(own), str(own))
    origin = ""
    if fetched is not None:
        spec, origin = _with_origin(spec, *fetched), fetched[0].pinned
    return Recogniser(spec, _network(folder, spec, threads), origin)


def _with_origin(spec: RecogniserSpec, numbers: HubFile, network: HubFile) -> RecogniserSpec:
    """Note in a recogniser's provenance, and its encoder's, where it came from."""
    origin = {"hub": numbers.origin(network)}
    encoder = spec.encoder.fetched(numbers, network)
    return spec.model_copy(update={"provenance": spec.provenance | origin, "encoder": encoder})


def _network(folder: Path, spec: RecogniserSpec, threads: int) -> ActionNetwork:
    file = folder / NETWORK
    if file.is_file() and sha256_of(file) != spec.network.sha256:
        raise MotionveilError(
            f"{file}: damaged, or of another recogniser: its SHA-256 is not the one in {FILE}"
        )
    shape = (3, spec.frames, spec.input.size, spec.input.size)
    return ActionNetwork(file, shape=shape, classes=len(spec.classes), threads=threads)


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return the softmax of logits, (..., classes), divided by a temperature."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(-1, keepdims=True)
    return probabilities


def fit_temperature(logits: Floats, labels: Integers) -> float:
    """Return the temperature at which the mean negative log-likelihood is least.

    Args:
        logits: (n, classes), n at least 1.
        labels: (n,), the true classes.

    Returns:
        A temperature in [0.05, 20]; the likelihood has one minimum in 1 / temperature, which is
        searched by golden section on a logarithmic scale.

    Examples:
        >>> logits = np.array([[4.0, 0.0]] * 3 + [[0.0, 4.0]])
        >>> round(fit_temperature(logits, np.array([0, 0, 0, 0])), 2)  # 3 of 4 are right: log 3
        3.64
    """

    def loss(power: float) -> float:
        probabilities = softmax(logits, np.exp(power))
        right = probabilities[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(right, 1e-300)).mean())

    low, high = float(np.log(COLDEST)), float(np.log(HOTTEST))
    for _ in range(_STEPS):
        span = _GOLDEN * (high - low)
        if loss(high - span) <= loss(low + span):
            high = low + span
        else:
            low = high - span
    return float(np.exp((low + high) / 2))


def passing_threshold(probabilities: Floats, labels: Integers, passing: float) -> float:
    """Return the probability that a share of the correct answers reaches.

    Args:
        probabilities: (n, classes).
        labels: (n,), the true classes.
        passing: The share.

    Returns:
        The threshold; the chance of one class in all where no answer is correct.
    """
    correct = np.sort(probabilities.max(1)[probabilities.argmax(1) == labels])
    if not len(correct):
        return 1 / probabilities.shape[1]
    return float(correct[int((1 - passing) * len(correct))])


def reliability(
    probabilities: Floats, labels: Integers, bins: int = 10
) -> list[tuple[int, float, float]]:
    """Return the number, mean probability and accuracy of the answers in each bin of probability.

    Args:
        probabilities: (n, classes).
        labels: (n,), the true classes.
        bins: Of equal width in [0, 1]; those without an answer are left out.
    """
    highest, right = probabilities.max(1), probabilities.argmax(1) == labels
    places = np.minimum((highest * bins).astype(int), bins - 1)
    return [
        (int(there.sum()), float(highest[there].mean()), float(right[there].mean()))
        for there in (places == place for place in range(bins))
        if there.any()
    ]


def expected_calibration_error(probabilities: Floats, labels: Integers) -> float:
    """Return the mean distance of probability and accuracy over the bins of `reliability`."""
    found = reliability(probabilities, labels)
    return sum(n * abs(mean - accuracy) for n, mean, accuracy in found) / len(labels)
