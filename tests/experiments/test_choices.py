"""What `--methods` means, and how every method gets its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.experiments.tradeoff import Plan, measure_tradeoff
from motionveil.experiments.train_methods import VARIANTS, ablation_choices, read_choices
from motionveil.methods import Choice, method, parse_choices
from motionveil.methods.bdq import BDQSettings
from motionveil.methods.unet import UnetSettings
from motionveil.results import Result
from motionveil.spec import EncoderSpec, load_spec
from motionveil.training.distributed import make_fabric
from motionveil.training.recipe import Recipe
from tiny import tiny_recipe, write_toys
from white_squares import write_detector

PAPER = Recipe()


def read(*words: str) -> list[tuple[str, float | None]]:
    return [(c.name, c.alpha) for c in read_choices(words, PAPER)]


class TestReading:
    def test_methods_with_strengths(self) -> None:
        assert read("raw", "bdq:0,2", "unet:1", "ryoo:28,7", "dvs:0.4", "blur:2") == [
            ("raw", None),
            ("bdq", 0.0),
            ("bdq", 2.0),
            ("unet", 1.0),
            ("ryoo-28", None),
            ("ryoo-7", None),
            ("dvs-0.4", None),
            ("blur-2", None),
        ]

    def test_usual_strengths_are_the_papers_at_its_size(self) -> None:
        assert method("ryoo").usual_strengths(224) == [112, 56, 28, 14, 7, 4]
        assert read("unet") == [("unet", 0.0), ("unet", 2.0)]
        small = PAPER.model_copy(update={"size": 64})
        names = [choice.name for choice in read_choices(["downsample"], small)]
        assert names == [f"downsample-{side}" for side in (32, 16, 8, 4, 2, 1)]

    def test_all_is_every_method_without_a_detector(self) -> None:
        families = {choice.family for choice in read_choices(["all"], PAPER)}
        assert families == {
            *(
                "raw",
                "bdq",
                "flow",
                "moments",
                "unet",
                "ryoo",
                "downsample",
                "blur",
                "pixelate",
                "dvs",
            ),
        }

    def test_each_comes_once_and_whole_names_will_do(self) -> None:
        assert read("downsample-28", "downsample:28", "raw", "raw") == [
            ("downsample-28", None),
            ("raw", None),
        ]

    @pytest.mark.parametrize(
        ("word", "said"),
        [
            ("downsmaple", "did you mean 'downsample'"),
            ("raw:3", "raw has no strengths"),
            ("blur:x", "'x' is no number"),
            ("blur:-2", "sigma"),
            ("ryoo:2.5", "size"),
            ("bdq:-1", "alpha -1: the weight must be 0 or more"),
            ("pixelate:1", "block"),
        ],
    )
    def test_faults_name_the_word(self, word: str, said: str) -> None:
        with pytest.raises(MotionveilError, match=said):
            read(word)

    def test_an_ablation_has_every_combination(self) -> None:
        methods = [choice.name for choice in ablation_choices(PAPER)]
        parts = [f"bdq:modules={modules}" for modules in ("B", "D", "Q", "BD", "BQ", "DQ")]
        assert methods == ["raw", *parts, "bdq", "bdq:hard=true"]

    def test_an_ablation_takes_any_setting(self) -> None:
        every = [choice.name for choice in ablation_choices(PAPER, variants=["all"])]
        assert every[-len(VARIANTS) :] == [f"bdq:{setting}" for setting in VARIANTS]
        one = ablation_choices(PAPER, variants=["levels=5"])[-1]
        assert one.settings == {"levels": 5}
        with pytest.raises(MotionveilError, match="a window is odd"):
            ablation_choices(PAPER, variants=["kernel_size=4"])


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_toys(tmp_path_factory.mktemp("toys"))


def measure(toys: Manifest, out: Path, choices: list[Choice], **changes: Any) -> Result:
    unet = {"widths": (4, 4, 8), "blocks": 1, "adversaries": 2, "restart_every": 2}
    recipe = tiny_recipe(methods={"unet": unet, "ryoo": {"motions": 2}}, epochs=1)
    plan = Plan(
        manifest=toys,
        recipe=recipe,
        choices=choices,
        splits=toys.splits(),
        seeds=(0,),
        privacy_label="person",
        **changes,
    )
    return measure_tradeoff(plan, out, make_fabric("cpu"), kind="test", command="test", workers=1)


class TestRows:
    @pytest.fixture(scope="class")
    def baselines(self, toys: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Any:
        words = ["raw", "unet:0,2", "ryoo:4", "downsample:4", "blur:1", "pixelate:4", "dvs:0.2"]
        out = tmp_path_factory.mktemp("baselines")
        return measure(toys, out, read_choices(words, PAPER)), out

    @pytest.mark.slow
    def test_every_method_has_a_row(self, baselines: tuple[Result, Path]) -> None:
        names = [(row.method, row.alpha) for row in baselines[0].rows]
        assert names == [
            ("raw", None),
            ("unet", 0.0),
            ("unet", 2.0),
            ("ryoo-4", None),
            ("downsample-4", None),
            ("blur-1", None),
            ("pixelate-4", None),
            ("dvs-0.2", None),
        ]
        for row in baselines[0].rows:
            assert len(row.predictions) == 8
            assert bool(row.curves) == (row.method in ("unet", "ryoo-4"))
            assert row.encoder.method in row.method

    def test_trained_ones_can_be_loaded_from_their_run(
        self, baselines: tuple[Result, Path]
    ) -> None:
        result, out = baselines
        for folder, row in (("unet-alpha2", result.rows[2]), ("ryoo-4", result.rows[3])):
            assert load_spec(out / "seed0-validation" / folder) == row.encoder
        assert isinstance(result.rows[2].encoder.settings, UnetSettings)

    def test_veiled_frames_are_drawn_but_not_raw_ones(self, baselines: tuple[Result, Path]) -> None:
        result, out = baselines
        assert result.rows[0].picture is None
        for row in result.rows[1:]:
            assert row.picture is not None
            assert (out / row.picture).read_bytes()[:4] == b"\x89PNG"

    def test_done_again_nothing_is_measured(
        self, baselines: tuple[Result, Path], toys: Manifest, capsys: Any
    ) -> None:
        result, out = baselines
        words = [
            row.method if row.alpha is None else f"{row.method}:{row.alpha}" for row in result.rows
        ]
        assert measure(toys, out, parse_choices(words)).rows == result.rows
        assert capsys.readouterr().err.count("measured already") == len(words)


class TestAblation:
    def test_modules_come_from_one_trained_encoder(self, toys: Manifest, tmp_path: Path) -> None:
        recipe = tiny_recipe(epochs=1)
        choices = ablation_choices(recipe, variants=["channels=3"])
        rows = measure(toys, tmp_path, choices).rows
        trained = {file.parent.name for file in tmp_path.rglob("curves.csv")}
        assert trained == {"bdq-alpha2", "bdq-channels=3"}, "each encoder is trained once"
        whole = next(row for row in rows if row.method == "bdq").encoder.settings
        assert isinstance(whole, BDQSettings)
        for row in rows:
            settings = row.encoder.settings
            if row.method == "bdq:channels=3":
                assert isinstance(settings, BDQSettings)
                assert len(settings.sigmas) == len(settings.rows) == 3
                assert row.curves
            elif ":" in row.method:
                assert isinstance(settings, BDQSettings)
                assert (settings.sigma, settings.boundaries) == (whole.sigma, whole.boundaries)
                hard = row.method == "bdq:hard=true"
                assert settings.modules == ("BDQ" if hard else row.method.partition("=")[2])
                assert settings.hard == hard
                assert not row.curves

    def test_a_given_encoder_is_ablated(self, toys: Manifest, tmp_path: Path) -> None:
        given = load_spec("bdq")
        choices = parse_choices(["bdq:modules=Q", "bdq:2"])
        rows = measure(toys, tmp_path, choices, encoder=given).rows
        assert isinstance(rows[0].encoder.settings, BDQSettings)
        assert rows[0].encoder.settings.boundaries == given.settings.boundaries
        assert rows[1].encoder == given
        assert not any(row.curves for row in rows)

    def test_another_encoder_is_measured_again(self, toys: Manifest, tmp_path: Path) -> None:
        one = parse_choices(["bdq:modules=Q"])
        first = measure(toys, tmp_path, one, encoder=load_spec("bdq")).rows[0]
        other = EncoderSpec.untrained(range=0.3)
        second = measure(toys, tmp_path, one, encoder=other).rows[0]
        assert first.encoder != second.encoder


def test_faces_need_a_detector(toys: Manifest, tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match="--face-detector"):
        measure(toys, tmp_path, parse_choices(["face-blur"]))


def test_faces_are_blurred_in_the_videos(toys: Manifest, tmp_path: Path) -> None:
    """The detector takes white for a face; the toys have none, and the row says so."""
    detector = write_detector(tmp_path / "white.onnx")
    choices = parse_choices(["raw", "face-blur"])
    raw, blurred = measure(toys, tmp_path / "out", choices, face_detector=detector).rows
    assert blurred.method == "face-blur"
    assert blurred.encoder.provenance["faces"]["total"]["frames"] == 10 * 16
    assert blurred.encoder.provenance["faces"]["total"]["faces"] == 0
    assert blurred.predictions == raw.predictions  # nothing was blurred, losslessly
    assert [p.clip for p in blurred.predictions] == [p.clip for p in raw.predictions]
