"""What a validation leaves to be used: its action network, calibrated, as a recogniser."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motionveil.atomic_write import atomic_path
from motionveil.datasets.dataset import ClipDataset
from motionveil.datasets.manifest import Clip
from motionveil.encoders import Encoder, build_encoder
from motionveil.encoders.functional import for_networks
from motionveil.errors import MotionveilError
from motionveil.evaluation.encode_clips import ACTION, EncodedParts, encode_parts
from motionveil.evaluation.fit import Classifier, Learner, fit
from motionveil.hub import sha256_of
from motionveil.recognition.artefact import (
    FILE,
    NETWORK,
    WEIGHTS,
    Calibration,
    NetworkFile,
    NoMotion,
    RecogniserScores,
    RecogniserSpec,
    ReliabilityBin,
    hash_encoder,
)
from motionveil.recognition.network_input import ActionNetwork, NetworkInput
from motionveil.recognition.recogniser import (
    expected_calibration_error,
    fit_temperature,
    passing_threshold,
    reliability,
    softmax,
)
from motionveil.recognition.stream_recogniser import share_moved
from motionveil.results import Accuracy
from motionveil.spec import EncoderSpec
from motionveil.statistics import Floats, Integers
from motionveil.streaming.veils import make_veil, streams
from motionveil.training.experiment import Experiment
from motionveil.training.loop import seed_for

LARGEST_ERROR = 1e-4
"""Of a logit, as a share of the largest one or of 1."""

_OPSET = 17

PASSING = 0.95
"""Share of the correct answers on calibration clips that the threshold lets pass."""

_PARTS = 5
"""One in so many recordings of the training part is left out to calibrate on."""

_TOLERANCE = 8  # grey levels off neutral: half a step of 17, which compression does not reach
_STILLEST = 0.05  # quantile of how much moves in a training clip,
_STILL = 0.5  # and the share of it below which nothing is said to move,
_LEAST = 0.0005  # or this: of an encoder that leaves clips empty, an empty frame is at rest
_COMPARED = 4  # clips on which the exported network is compared


def train_recogniser(experiment: Experiment, spec: EncoderSpec, run: Path, folder: Path) -> None:
    """Train a fresh action network on an encoder's output, score it, and leave a recogniser.

    As validation does it, in the camera's order, without a privacy network.

    Args:
        run: Where its weights lie, if it has any.

    Raises:
        MotionveilError: The encoder's output depends on the batch, so there is no stream; or see
            `leave_recogniser`.
    """
    encoder = build_encoder(spec, run)
    if encoder.varies_training:
        raise MotionveilError(f"{spec.name}: works on clips only, so nothing can recognise live")
    parts = encode_parts(experiment, encoder, order="camera")
    network = experiment.networks("validation").action
    _fit(experiment, parts, network, parts.training, "validation")
    leave_recogniser(experiment, encoder, parts, network, folder)


def leave_recogniser(
    experiment: Experiment,
    encoder: Encoder,
    parts: EncodedParts,
    network: nn.Module,
    folder: Path,
) -> None:
    """Calibrate a trained action network and write it with all that running it takes.

    The temperature and the threshold come from a second network, trained like the first but on
    four fifths of the recordings, and asked about the last fifth: what the first one says of clips
    that it was trained on would be too sure.

    Args:
        parts: The veiled clips, in the camera's order.
        network: The action network, trained on all of `parts.training`.
        folder: Where the recogniser goes; what was there is replaced.

    Raises:
        MotionveilError: The clips are not in the camera's order, the network cannot be exported,
            or the folder cannot be written.
    """
    if parts.geometry is None:
        raise MotionveilError(
            f"{folder}: networks of the paper's order see other video than leaves a camera; set"
            " order=camera for a recogniser"
        )
    calibrated, no_motion = _calibrate(experiment, parts), _no_motion(experiment, encoder, parts)
    answers = _answers(experiment, parts, network, parts.validation)
    background = _answers_to_background(experiment, parts, network)
    if not experiment.fabric.is_global_zero:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).unlink(missing_ok=True)  # it is written last: until then there is none
    manifest = experiment.cache.manifest
    classes = manifest.actions
    positions = list(range(min(_COMPARED, len(parts.validation))))
    clips = parts.validation.load(positions, seed=0, epoch=0).clips
    error = export_onnx(network, _shown(parts, clips), folder / NETWORK, classes=len(classes))
    architecture = experiment.recipe.action.name
    save_weights(network, folder / WEIGHTS, {"architecture": architecture})
    spec = RecogniserSpec(
        classes=classes,
        background=manifest.background,
        frames=parts.training.t,
        geometry=parts.geometry,
        input=NetworkInput(
            size=parts.training.size, fit=parts.training.fit, cell=encoder.spec.cell
        ),
        encoder=encoder.spec,
        encoder_hash=hash_encoder(encoder.spec, parts.geometry),
        network=NetworkFile(
            architecture=architecture,
            sha256=sha256_of(folder / NETWORK),
            largest_error=error,
        ),
        calibration=calibrated,
        no_motion=no_motion,
        provenance=_provenance(experiment),
    )
    spec.model_copy(update={"scores": _scores(spec, *answers, background)}).save(folder)


def _provenance(experiment: Experiment) -> dict[str, object]:
    validation = experiment.recipe.validation
    return {
        **experiment.provenance(),
        "epochs": validation.epochs,
        "batch": validation.batch,
        "lr": validation.lr,
    }


def _shown(parts: EncodedParts, clips: Tensor) -> Tensor:
    return for_networks(parts.encoder.views(clips))


def _fit(
    experiment: Experiment, parts: EncodedParts, network: nn.Module, data: ClipDataset, title: str
) -> None:
    """Train an action network as validation does."""
    torch.manual_seed(seed_for(experiment.seed, title))
    parts.encoder.eval()
    learners = [Learner(network, "action", ACTION)]
    schedule = experiment.recipe.validation
    fit(title, learners, data, schedule, experiment.fabric, lambda clips: _shown(parts, clips))


def _answers(
    experiment: Experiment, parts: EncodedParts, network: nn.Module, data: ClipDataset
) -> tuple[Floats, Integers]:
    """Return a network's logits (clips, classes) and the true classes (clips,)."""
    batch = experiment.recipe.validation.batch
    asked = Classifier(
        network.eval(), ACTION, experiment.fabric, batch, lambda clips: _shown(parts, clips)
    )
    outputs = asked.outputs(data)[:, 0].double().numpy()
    return np.asarray(outputs), np.asarray(data.actions.numpy())


def _answers_to_background(
    experiment: Experiment, parts: EncodedParts, network: nn.Module
) -> Floats | None:
    """Return a network's logits for the background held out; None if there is none."""
    clips = experiment.cache.manifest.held_out_background(experiment.split)
    if not clips:
        return None
    return _answers(experiment, parts, network, _some(experiment, parts, clips, False))[0]


def _calibrate(experiment: Experiment, parts: EncodedParts) -> Calibration:
    """Train a second network on most recordings, and calibrate on the others."""
    kept, held = hold_out(parts.training.clips)
    network = experiment.networks("calibration").action
    _fit(experiment, parts, network, _some(experiment, parts, kept, True), "calibration")
    data = _some(experiment, parts, held, False)
    logits, labels = _answers(experiment, parts, network, data)
    temperature = fit_temperature(logits, labels)
    probabilities = softmax(logits, temperature)
    manifest = experiment.cache.manifest
    acting = np.array([manifest.actions[label] != manifest.background for label in labels])
    return Calibration(
        temperature=temperature,
        threshold=passing_threshold(probabilities[acting], labels[acting], PASSING),
        passing=PASSING,
        clips=len(labels),
    )


def hold_out(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Return four fifths of the clips and the last fifth, whole recordings where there are several.

    Args:
        clips: At least two.
    """
    groups = sorted({clip.group for clip in clips})
    if len(groups) < 2:
        return list(clips[:-1]), list(clips[-1:])
    held = set(groups[_PARTS - 1 :: _PARTS] or groups[-1:])
    kept = [clip for clip in clips if clip.group not in held]
    return kept, [clip for clip in clips if clip.group in held]


def _some(
    experiment: Experiment, parts: EncodedParts, clips: Sequence[Clip], training: bool
) -> ClipDataset:
    """Return some clips of the same cache, drawn as for training or from their middles."""
    whole = parts.training
    return experiment.dataset(
        whole.cache, training=training, frames=whole.t, fit=whole.fit, clips=clips
    )


def _no_motion(experiment: Experiment, encoder: Encoder, parts: EncodedParts) -> NoMotion | None:
    """Return below which share of moved values nothing moves: half of the stillest actions'."""
    spec = encoder.spec
    neutral = make_veil(spec).neutral if streams(spec) else None
    if neutral is None:
        return None
    seen = NetworkInput(size=parts.training.size, fit=parts.training.fit)
    shares = []
    background = experiment.cache.manifest.background
    for clip in parts.training.clips:
        if clip.action == background:
            continue
        frames = parts.training.cache.frames(clip)
        start = max(0, (len(frames) - parts.training.t) // 2)
        window = frames[start : start + parts.training.t]
        images = np.stack([seen.image(np.asarray(frame)) for frame in window])
        shares.append(share_moved(images, neutral, _TOLERANCE))
    return NoMotion(
        neutral=neutral,
        tolerance=_TOLERANCE,
        share=max(_LEAST, _STILL * float(np.quantile(shares, _STILLEST))),
    )


def _scores(
    spec: RecogniserSpec, logits: Floats, labels: Integers, background: Floats | None
) -> RecogniserScores:
    """Return the scores of a network's answers to actions, and to the background if any."""
    temperature = spec.calibration.temperature
    probabilities = softmax(logits, temperature)
    right, named = probabilities.argmax(1) == labels, _named(spec, probabilities)
    return RecogniserScores(
        accuracy=Accuracy.of(right.astype(float).tolist(), labels.tolist()),
        calibration_error=expected_calibration_error(probabilities, labels),
        uncalibrated_error=expected_calibration_error(softmax(logits), labels),
        named=float(named.mean()),
        named_accuracy=float(right[named].mean()) if named.any() else None,
        reliability=[
            ReliabilityBin(n=n, probability=probability, accuracy=accuracy)
            for n, probability, accuracy in reliability(probabilities, labels)
        ],
        background_named=None
        if background is None
        else float(_named(spec, softmax(background, temperature)).mean()),
    )


def _named(spec: RecogniserSpec, probabilities: Floats) -> NDArray[np.bool_]:
    """Say of which clips, (clips, classes), an action is named."""
    actions = spec.action_probabilities(probabilities).max(1)
    return (actions == probabilities.max(1)) & (actions >= spec.calibration.threshold)


def export_onnx(network: nn.Module, clips: Tensor, file: Path, *, classes: int) -> float:
    """Write an action network as ONNX for clips of one length and size, in batches of any.

    Args:
        network: From `(B, 3, T, size, size)` in [-1, 1] to logits `(B, classes)`.
        clips: Clips `(B, 3, T, size, size)` on which the file is compared with the network.

    Returns:
        The largest error of a logit.

    Raises:
        MotionveilError: The network cannot be exported, or the file computes something else.
    """
    network = copy.deepcopy(network).cpu().float().eval()
    clips = clips.cpu().float().contiguous()
    with atomic_path(file) as part, torch.no_grad():
        wanted = network(clips)
        try:
            with warnings.catch_warnings():
                # The checks of shapes are traced, which is what is wanted: the shape is fixed.
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    network,
                    (clips[:1],),
                    str(part),
                    input_names=["clips"],
                    output_names=["logits"],
                    dynamic_axes={"clips": {0: "batch"}, "logits": {0: "batch"}},
                    opset_version=_OPSET,
                    dynamo=False,
                )
        except ModuleNotFoundError:
            raise
        except Exception as error:  # torch's own share no base
            reason = str(error).strip().partition("\n")[0]
            raise MotionveilError(
                f"{file}: the action network cannot be written as ONNX: {reason}"
            ) from error
        channels, frames, height, width = clips.shape[1:]
        run = ActionNetwork(part, shape=(channels, frames, height, width), classes=classes)
        largest = float((torch.from_numpy(run(clips.numpy())) - wanted).abs().max())
        if not largest <= LARGEST_ERROR * max(1.0, float(wanted.abs().max())):
            raise MotionveilError(
                f"{file}: the ONNX network is off by {largest:.2g} from the one that was trained"
            )
    return largest


def save_weights(network: nn.Module, file: Path, metadata: dict[str, str]) -> None:
    """Write a network's weights as safetensors, to be trained on.

    Raises:
        MotionveilError: Nothing can be written there.
    """
    from safetensors.torch import save_file

    tensors = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    with atomic_path(file) as part:
        save_file(tensors, part, metadata=metadata)
