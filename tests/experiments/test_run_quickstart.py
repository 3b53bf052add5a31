"""The quickstart on toys: all of it, as small as it gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.experiments import quickstart
from motionveil.experiments.quickstart import run_quickstart
from motionveil.experiments.tradeoff import Plan, save_strip
from motionveil.geometry import Geometry
from motionveil.results import Result
from motionveil.spec import EncoderSpec, load_spec
from motionveil.training.recipe import Recipe
from motionveil.video import read_clip
from tiny import tiny_recipe, write_toys


def run(out: Path, recipe: Recipe, said: list[str]) -> Result:
    return run_quickstart(
        out,
        recipe,
        seed=0,
        device="cpu",
        workers=1,
        command="motionveil quickstart",
        say=said.append,
    )


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Toy videos in place of the actors, which take a minute to film."""

    def write(root: Path, *, seed: int, workers: int | None) -> Manifest:
        assert root.name == "actors"
        return write_toys(root / f"seed{seed}")

    monkeypatch.setattr(quickstart, "make_actors", write)


@pytest.mark.usefixtures("toys")
def test_leaves_everything_behind(tmp_path: Path) -> None:
    said: list[str] = []
    result = run(tmp_path, tiny_recipe(), said)
    assert "filming" in said[0]
    assert "alpha 0 and with alpha 2" in said[1]
    assert Result.read(tmp_path) == result
    methods = [(row.method, row.alpha) for row in result.rows]
    untrained = [("bdq-untrained", None), ("flow-untrained", None)]
    assert methods == [("raw", None), *untrained, ("bdq", 0.0), ("bdq", 2.0)]
    assert result.kind == "quickstart"
    assert result.seconds >= sum(row.seconds for row in result.rows)
    assert load_spec(tmp_path) == result.rows[-1].encoder
    assert load_spec(tmp_path).provenance["alpha"] == 2.0
    assert result.media == {"strip": "strip.png", "veiled": "veiled.mp4"}
    held_out = read_clip(tmp_path / "actors" / "seed0" / "p0" / "3.mkv")
    veiled = read_clip(tmp_path / "veiled.mp4")
    # At the size and rate at which the encoder was trained: 16 pixels, and every frame.
    assert result.rows[-1].encoder.geometry == Geometry(size=16, rate=25)
    # Each pixel of the 16 x 16 as 4 x 4, for people to see.
    assert (len(veiled), veiled.shape[1:]) == (len(held_out), (64, 64, 3))
    assert {row.order for row in result.rows} == {"camera"}
    assert np.ptp(veiled[0].astype(int)) <= 8, "the first frame is neutral, no picture"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "data:video/mp4;base64," in page
    assert "data:image/png;base64," in page


@pytest.mark.usefixtures("toys")
def test_alpha_0_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Plan] = []

    def measure(plan: Plan, *arguments: Any, **options: Any) -> Result:
        plans.append(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(quickstart, "measure_tradeoff", measure)
    for alpha in (0.0, 3.0):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, tiny_recipe(alpha=alpha), [])
    assert [[c.alpha for c in plan.choices[3:]] for plan in plans] == [[0.0], [0.0, 3.0]]


def test_an_encoder_that_cannot_stream_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(MotionveilError, match="quickstart needs 'fixed'"):
        run(tmp_path / "out", tiny_recipe(range_mode="clip"), [])
    assert not (tmp_path / "out").exists()


def test_the_strip_shows_every_stage(tmp_path: Path) -> None:
    from matplotlib.image import imread

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (9, 24, 32, 3), np.uint8)
    path = save_strip(tmp_path / "strip.png", frames, EncoderSpec.untrained(range=0.25))
    picture = imread(path)
    height, width = picture.shape[:2]
    assert height > 200
    assert width > 800
    assert picture[..., :3].std() > 0.1
    with pytest.raises(MotionveilError):
        save_strip(tmp_path / "strip.png" / "below", frames, EncoderSpec.untrained(range=0.25))
