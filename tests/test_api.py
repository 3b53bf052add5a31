"""motionveil from Python, without reading the source."""

from __future__ import annotations

import inspect
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import yaml
from tensorboardX.proto.event_pb2 import Event

import motionveil
from motionveil.cli import main
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.results import Result
from motionveil.spec import EncoderSpec, load_spec
from motionveil.training.loop import open_trackers
from motionveil.video import VideoSink, read_clip
from tiny import ACTIONS, tiny_values, toy_frames, write_toys
from videos import moving_square, write_video

POSITIONAL = {
    "encode_video": ("source", "dest"),
    "train": ("data",),
    "evaluate": ("encoder", "data"),
    "audit": ("encoder", "data"),
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values(epochs=1)))
    return file


@pytest.fixture(scope="module")
def words(recipe: Path) -> dict[str, Any]:
    return {"recipe": recipe, "device": "cpu", "workers": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos in <action>/<person>/, and nothing else."""
    root = tmp_path_factory.mktemp("videos")
    for action in ACTIONS:
        for person in range(2):
            place = root / action / f"p{person}"
            place.mkdir(parents=True)
            for take in range(4):
                with VideoSink(place / f"{take}.mkv", rate=25) as sink:
                    for frame in toy_frames(action, person, take):
                        sink.write(frame)
    return root


def veil_squares(frames: np.ndarray) -> np.ndarray:
    """Keep the mean of each frame."""
    return np.broadcast_to(frames.mean((1, 2), keepdims=True), frames.shape).astype(np.uint8)


class TestFunctions:
    @pytest.mark.parametrize("name", POSITIONAL)
    def test_options_are_keywords_with_types_and_an_example(self, name: str):
        function = getattr(motionveil, name)
        signature = inspect.signature(function)
        assert name in motionveil.__all__
        for parameter in signature.parameters.values():
            assert parameter.annotation is not parameter.empty
            positional = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            given = parameter.name in POSITIONAL[name]
            assert positional == given, parameter.name
        assert signature.return_annotation is not signature.empty
        for section in ("Args:", "Raises:", "Examples:"):
            assert section in inspect.getdoc(function)

    def test_is_there_without_torch(self):
        names = ("encode_video", "StreamEncoder", "load_spec", "load_recogniser", "train")
        code = "import sys, motionveil as m; " + "".join(f"m.{name}; " for name in names)
        code += "sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestEncodeVideo:
    def test_veils_by_name_spec_or_file(self, tmp_path: Path):
        source = write_video(tmp_path / "in.mkv", moving_square(6))
        file = load_spec("bdq").save(tmp_path / "encoder.json")
        told: list[tuple[int, int | None]] = []
        for number, encoder in enumerate(("bdq", load_spec("bdq"), file)):
            motionveil.encode_video(
                source,
                tmp_path / f"{number}.mkv",
                encoder=encoder,
                progress=lambda done, total: told.append((done, total)),
            )
        clips = [read_clip(tmp_path / f"{number}.mkv") for number in range(3)]
        np.testing.assert_array_equal(clips[0], clips[1])
        np.testing.assert_array_equal(clips[0], clips[2])
        assert told

    def test_a_method_without_training_has_the_default_geometry(self, tmp_path: Path):
        source = write_video(tmp_path / "in.mkv", moving_square(6))
        geometry = motionveil.load_spec(motionveil.spec.DEFAULT).geometry
        blurred = motionveil.encode_video(source, tmp_path / "b.mkv", encoder="blur-2")
        assert min(blurred.width, blurred.height) == geometry.size
        assert blurred.rate <= geometry.rate


class TestData:
    def test_a_folder_is_indexed_once(self, folder: Path, words: dict[str, Any], tmp_path: Path):
        run = motionveil.train(folder, out=tmp_path / "run", alpha=1, **words)
        manifest = Manifest.read(folder / "manifest.csv")
        assert manifest.actions == ACTIONS
        assert run.spec.provenance["manifest"] == manifest.hash
        assert run.spec.provenance["privacy_label"] == "person"
        row = motionveil.evaluate(run.folder, manifest, out=tmp_path / "row", **words)
        assert Result.read(tmp_path / "row").rows == [row]
        assert (tmp_path / "row" / "report.html").exists()
        assert row.alpha == 1

    def test_a_manifest_in_no_file_is_refused(self, toys: Manifest, words: dict[str, Any]):
        unwritten = Manifest(toys.name, toys.root, toys.clips)
        with pytest.raises(MotionveilError, match="in no file yet"):
            motionveil.evaluate("raw", unwritten, **words)


def read_scalars(file: Path) -> Iterator[Any]:
    """Yield the values in a file of TensorBoard's: records of length, checksum, event, checksum."""
    data = file.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield from Event.FromString(data[12 : 12 + length]).summary.value
        data = data[16 + length :]


class TestTrain:
    def test_resumes_and_does_not_overwrite(
        self, toys: Manifest, words: dict[str, Any], tmp_path: Path
    ):
        told: list[Any] = []
        log_to = [told.append, f"tensorboard:{tmp_path / 'board'}"]
        run = motionveil.train(toys, out=tmp_path, log_to=log_to, **words)
        assert told == run.curves
        (events,) = (tmp_path / "board").iterdir()
        scalars = {value.tag: value.simple_value for value in read_scalars(events)}
        assert scalars == pytest.approx({k: v for k, v in run.curves[0].items() if k != "epoch"})
        with pytest.raises(MotionveilError, match="there is a training here already"):
            motionveil.train(toys, out=tmp_path, **words)
        again = motionveil.train(toys, out=tmp_path, resume=True, **words)
        assert (again.spec, len(again.curves)) == (run.spec, 1)
        assert load_spec(run.folder) == run.spec

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("mlflow", "there are tensorboard:DIR"),
            ("wandb", "pip install 'wandb>="),
            ("tensorboard", "pip install 'motionveil[track]'"),
            ("motionveil:__version__", "a str; it must be a function"),
        ],
    )
    def test_a_tracker_that_is_not_there_is_refused_before_anything_is_done(
        self,
        name: str,
        said: str,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ):
        for package in ("wandb", "tensorboardX"):
            monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MotionveilError, match=re.escape(said)):
            motionveil.train(tmp_path / "none.csv", out=tmp_path / "run", log_to=[name])
        assert main(["train", "none.csv", "--dry-run", "--log-to", name]) == 1
        assert said in capsys.readouterr().err

    def test_a_tracker_that_fails_is_told_of_once_and_the_others_go_on(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        def fail(row: Any) -> None:
            raise ConnectionError(f"no answer\nin epoch {row['epoch']}")

        told: list[Any] = []
        with open_trackers([fail, told.append], tmp_path) as tell:
            rows = [{"epoch": 1.0}, {"epoch": 2.0}]
            for row in rows:
                tell(row)
        assert told == rows
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith("ConnectionError: no answer\\nin epoch 1.0")

    def test_the_name_of_the_machine_is_kept_from_wandb(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        given: dict[str, Any] = {}
        wandb = SimpleNamespace(Settings=dict, init=lambda **words: given.update(words) or Mock())
        monkeypatch.setitem(sys.modules, "wandb", wandb)
        monkeypatch.setenv("WANDB_ERROR_REPORTING", "")  # what is there comes back after the test
        del os.environ["WANDB_ERROR_REPORTING"]
        with open_trackers(["wandb"], tmp_path / "run"):
            pass
        assert given["settings"]["host"] == "motionveil"
        assert os.environ["WANDB_ERROR_REPORTING"] == "false"  # or it calls a server, even offline
        assert (given["mode"], given["dir"]) == ("offline", str(tmp_path / "run/wandb"))

    def test_what_is_not_trained_is_refused(
        self, toys: Manifest, words: dict[str, Any], tmp_path: Path
    ):
        with pytest.raises(MotionveilError, match="nothing to train"):
            motionveil.train(toys, out=tmp_path, method="blur-4", **words)


class TestEvaluate:
    def test_a_spec_and_its_file_score_alike(
        self, toys: Manifest, words: dict[str, Any], tmp_path: Path
    ):
        spec = EncoderSpec.untrained(range=0.25)
        rows = [
            motionveil.evaluate(encoder, toys, **words)
            for encoder in (spec, spec.save(tmp_path / "encoder.json"))
        ]
        assert rows[0].predictions == rows[1].predictions

    def test_a_spec_whose_weights_lie_elsewhere_is_refused(
        self, toys: Manifest, words: dict[str, Any]
    ):
        spec = EncoderSpec.untrained(range=0.25).model_copy(update={"weights": "w.safetensors"})
        with pytest.raises(MotionveilError, match="give its folder"):
            motionveil.evaluate(spec, toys, **words)


class TestAudit:
    @pytest.fixture(scope="class")
    def people(self, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
        return write_toys(tmp_path_factory.mktemp("people"), people=3)

    @pytest.mark.slow
    def test_a_function_and_its_name_are_the_same(
        self, people: Manifest, words: dict[str, Any], tmp_path: Path
    ):
        named = f"{Path(__file__)}:veil_squares"
        by_function, by_name = (
            motionveil.audit(encoder, people, out=tmp_path / out, only=["frame"], **words)
            for encoder, out in ((veil_squares, "a"), (named, "b"))
        )
        assert by_function.encoder == f"{__name__}:veil_squares"
        assert [f.name for f in by_function.attacks] == ["frame", "frame"]
        answers = [[finding.answers for finding in a.attacks] for a in (by_function, by_name)]
        assert answers[0] == answers[1]
        assert (tmp_path / "a" / "audit.html").exists()

    @pytest.mark.parametrize("case", ["lambda", "inner", "partial"])
    def test_a_function_that_has_no_name_is_refused(
        self, case: str, people: Manifest, words: dict[str, Any], tmp_path: Path
    ):
        from functools import partial

        def inner(frames: np.ndarray) -> np.ndarray:
            return frames

        function = {"lambda": lambda frames: frames, "inner": inner}.get(case, partial(inner))
        with pytest.raises(MotionveilError, match=r"define it with def in a file"):
            motionveil.audit(function, people, out=tmp_path / "audit", only=["frame"], **words)
        assert not (tmp_path / "audit").exists()

    @pytest.mark.slow
    def test_a_spec_is_written_beside_the_audit(
        self, people: Manifest, words: dict[str, Any], tmp_path: Path
    ):
        spec = EncoderSpec.untrained(range=0.25)
        motionveil.audit(spec, people, out=tmp_path, only=["frame"], **words)
        assert load_spec(tmp_path / "encoder") == spec
        other = EncoderSpec.untrained(range=0.5)
        with pytest.raises(MotionveilError, match="holds another encoder"):
            motionveil.audit(other, people, out=tmp_path, only=["frame"], **words)
