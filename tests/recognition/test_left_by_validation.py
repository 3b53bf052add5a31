"""What a validation leaves names in a stream what the validation saw: the same probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionveil import load_recogniser
from motionveil.datasets.cache import ClipCache
from motionveil.datasets.manifest import VALIDATION, Clip, Manifest
from motionveil.encoders import build_encoder
from motionveil.errors import MotionveilError
from motionveil.evaluation.encode_clips import encode_parts
from motionveil.evaluation.validation import validate_encoder
from motionveil.methods import choose
from motionveil.networks import create_action_network
from motionveil.recognition import Answer, Recogniser, StreamOptions, StreamRecogniser
from motionveil.recognition.recognise_clip import recognise_clip
from motionveil.results import Row
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import StreamEncoder
from motionveil.training.experiment import Experiment
from motionveil.video import FileSource, VideoSink, read_frames
from tiny import tiny_experiment, tiny_recipe, toy_frames, write_toys

LEARN = {"epochs": 8, "lr": 0.01, "warmup": 1.0}


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    manifest = write_toys(tmp_path_factory.mktemp("toys"))
    return tiny_experiment(manifest, tiny_recipe(validation=LEARN))


@pytest.fixture(scope="module", params=["bdq", "flow:cell=4"])
def spec(learner: Experiment, request: pytest.FixtureRequest) -> EncoderSpec:
    """Untrained, and at the toys' own rate; veiled frames of the working size, and of cells."""
    return learner.untrained(choose(request.param))


@pytest.fixture(scope="module")
def left(
    learner: Experiment, spec: EncoderSpec, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Row]:
    folder = tmp_path_factory.mktemp("run") / "recogniser"
    return folder, validate_encoder(learner, spec, method="bdq", recogniser=folder)


@pytest.fixture(scope="module")
def recogniser(left: tuple[Path, Row]) -> Recogniser:
    return load_recogniser(left[0])


def write_clip(manifest: Manifest, clip: Clip, file: Path) -> Path:
    """Write a clip's frames as a video of its own, lossless."""
    with VideoSink(file, rate=25) as sink:
        for frame in read_frames(manifest.root / clip.path, clip.start, clip.end):
            sink.write(frame.image)
    return file


def answers_for(row: Row) -> Iterator[tuple[str, list[float]]]:
    for prediction in row.predictions:
        yield prediction.clip, prediction.action_probabilities


def cooled(probabilities: list[float], temperature: float) -> np.ndarray:
    powers = np.power(np.maximum(probabilities, 1e-12), 1 / temperature)
    return np.asarray(powers / powers.sum())


def test_a_clip_has_the_probabilities_of_the_validation(
    learner: Experiment, left: tuple[Path, Row], recogniser: Recogniser, tmp_path: Path
) -> None:
    manifest = learner.cache.manifest
    clips = {clip.key: clip for clip in manifest.clips}
    names = recogniser.spec.classes
    assert len(left[1].predictions) == 8
    for key, probabilities in answers_for(left[1]):
        file = write_clip(manifest, clips[key], tmp_path / "clip.mkv")
        answer = recognise_clip(FileSource(file), recogniser, top=len(names))
        wanted = cooled(probabilities, recogniser.spec.calibration.temperature)
        found = dict(answer.top)
        assert [found[name] for name in names] == pytest.approx(wanted.tolist(), abs=1e-3)


def test_frame_by_frame_it_sees_what_the_validation_sees(
    learner: Experiment, spec: EncoderSpec, recogniser: Recogniser
) -> None:
    """Windows of the stream, unsmoothed, against clips of the evaluation's own cache."""
    parts = encode_parts(learner, build_encoder(spec), order="camera")
    asked: list[np.ndarray] = []

    class Listening(Recogniser):
        def __init__(self) -> None:
            # Every window is asked about, even those in which nothing moves.
            self.spec = recogniser.spec.model_copy(update={"no_motion": None})

        def probabilities(self, images: np.ndarray) -> np.ndarray:
            asked.append(images.copy())
            return recogniser.probabilities(images)

    for position, clip in enumerate(parts.validation.clips):
        veiled = parts.validation.cache.frames(clip)
        asked.clear()
        stream = StreamRecogniser(Listening(), StreamOptions(stride=1e-3, half_life=0))
        for number, frame in enumerate(veiled):
            # As it left the camera: the cache holds it with each cell enlarged.
            stream(np.asarray(frame)[:: spec.cell, :: spec.cell], number / 25)
        shown = parts.validation.load([position], seed=0, epoch=0).clips[0].numpy()
        start = max(0, (len(veiled) - recogniser.spec.frames) // 2)
        assert len(asked) == len(veiled) - recogniser.spec.frames + 1
        seen = recogniser.spec.input.clips(asked[start])
        assert np.abs(seen - (shown * 2 - 1)).max() < 1e-6


def test_its_numbers(learner: Experiment, left: tuple[Path, Row], recogniser: Recogniser) -> None:
    numbers = recogniser.spec
    assert numbers.classes == ("left", "right")
    assert numbers.frames == learner.recipe.frames - 1  # the first has no difference
    assert numbers.geometry == learner.geometry
    assert numbers.network.largest_error < 1e-4
    assert numbers.scores is not None
    assert numbers.scores.accuracy == left[1].action
    assert numbers.calibration.clips == 2  # of one of six recordings
    assert numbers.provenance["epochs"] == 8
    assert numbers.provenance["manifest"] == learner.cache.manifest.hash
    assert {file.name for file in left[0].iterdir()} == {
        "recogniser.json",
        "action.onnx",
        "action.safetensors",
    }


def test_the_weights_can_be_trained_on(left: tuple[Path, Row]) -> None:
    network = create_action_network("small3d", 2, weights=left[0] / "action.safetensors")
    stored = load_recogniser(left[0])
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(stored.spec.input.clips(images)[None]))
    assert logits[0].numpy() == pytest.approx(stored.logits(images), abs=1e-4)


def test_a_stream_of_one_action_is_named(recogniser: Recogniser, spec: EncoderSpec) -> None:
    told: list[Answer] = []
    stream = StreamRecogniser(recogniser, StreamOptions(stride=0.02), told=told.append)
    encoder = StreamEncoder(spec)  # the guard takes toys' jumps for cuts
    for number, frame in enumerate(toy_frames("right", 0, 4)):
        veiled = encoder(frame, time=number / 25)
        assert veiled is not None
        stream(veiled, number / 25, guarded=encoder.guarded)
    assert stream.frames == 7
    assert stream.windows == 3
    assert all((answer.top == ()) == (answer.kind == "no motion") for answer in told)
    assert {name for answer in told for name, _ in answer.top} <= set(recogniser.spec.classes)
    assert spec.method == "flow" or told[-1].top  # untrained flow sees toys at rest


def test_the_default_encoder_is_refused(recogniser: Recogniser) -> None:
    with pytest.raises(MotionveilError, match="works at"):
        recogniser.spec.check_encoder(load_spec("bdq"), "bdq")


def test_background_is_learned_and_not_counted(learner: Experiment, tmp_path: Path) -> None:
    """One of the toys' two ways is called background: what is left to score goes the other."""
    manifest = replace(learner.cache.manifest, background="left")
    cache = ClipCache.build(manifest, size=learner.recipe.cache_size, fit=learner.recipe.fit)
    experiment = replace(learner, cache=cache)
    folder = tmp_path / "recogniser"
    row = validate_encoder(experiment, experiment.untrained(), method="bdq", recogniser=folder)
    recogniser = load_recogniser(folder)
    numbers = recogniser.spec
    assert (numbers.background, numbers.actions) == ("left", ("right",))
    assert numbers.scores is not None
    assert numbers.scores.accuracy == row.action
    assert row.action.n == 4
    answers: dict[str, list[Answer]] = {"left": [], "right": []}
    for clip in manifest.clips:
        if clip.split == VALIDATION:
            file = write_clip(manifest, clip, tmp_path / "clip.mkv")
            answers[clip.action].append(recognise_clip(FileSource(file), recogniser, top=9))
    assert {len(answer.top) for told in answers.values() for answer in told} == {1}
    right = [answer.top[0] > ("right", 0.5) for answer in answers["right"]]
    assert np.mean(right) == row.action.accuracy
    named = [answer.label == "right" for answer in answers["left"]]
    assert np.mean(named) == numbers.scores.background_named
