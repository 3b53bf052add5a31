"""The quickstart on toys: all of it, as small as it gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from motionveil.cli import main
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.experiments import quickstart
from motionveil.experiments.frame_strips import save_strip
from motionveil.experiments.quickstart import run_quickstart
from motionveil.experiments.tradeoff import Plan
from motionveil.geometry import Geometry
from motionveil.results import Result
from motionveil.spec import EncoderSpec, load_spec
from motionveil.training.recipe import Recipe
from motionveil.video import read_clip
from tiny import tiny_recipe, tiny_values, write_toys


def run(out: Path, recipe: Recipe, said: list[str]) -> Result:
    return run_quickstart(
        out,
        recipe,
        seed=0,
        device="cpu",
        precision="32-true",
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


@pytest.mark.slow
@pytest.mark.usefixtures("toys")
def test_leaves_everything_behind_and_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, file = tmp_path / "quick", tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values(epochs=1)))
    words = ["quickstart", "--out", str(out), "--device", "cpu", "--alpha", "3", "--seed", "2"]
    assert main([*words, "--recipe", str(file)]) == 0
    said = capsys.readouterr()
    for name in ("report.html", "results.json", "encoder.json", "recogniser", "veiled.mp4"):
        assert f"wrote {out / name}" in said.out
        assert (out / name).exists()
    steps = [line for line in said.err.splitlines() if " of 7: " in line]
    assert [line[0] for line in steps] == [*"1234567"]
    assert steps[0] == "1 of 7: filming the built-in data set"
    assert steps[5].startswith("6 of 7: training, attacking and validating BDQ, α = 3")
    result = Result.read(out)
    untrained = [("moments", None), ("flow-untrained", None)]
    methods = [(row.method, row.alpha) for row in result.rows]
    assert methods == [("raw", None), *untrained, ("bdq", 0.0), ("bdq", 3.0)]
    assert result.rows[1].encoder.settings == load_spec("moments").settings
    assert {attacker.name for row in result.rows for attacker in row.attackers} == {
        "whole clip",
        "course over time",
    }
    assert (result.kind, result.seed) == ("quickstart", 2)
    assert result.seconds >= sum(row.seconds for row in result.rows)
    assert load_spec(out) == result.rows[-1].encoder
    assert load_spec(out).provenance["alpha"] == 3.0
    assert [*result.media] == ["timeline", "strip", "veiled"]
    held_out = read_clip(out / "actors" / "seed2" / "p0" / "3.mkv")
    veiled = read_clip(out / "veiled.mp4")
    # At the size and rate at which the encoder was trained: 16 pixels, and every frame.
    assert result.rows[-1].encoder.geometry == Geometry(size=16, rate=25)
    # Each pixel of the 16 x 16 as 4 x 4, for people to see.
    assert (len(veiled), veiled.shape[1:]) == (len(held_out), (64, 64, 3))
    assert {row.order for row in result.rows} == {"camera"}
    assert np.ptp(veiled[0].astype(int)) <= 8, "the first frame is neutral, no picture"
    page = (out / "report.html").read_text(encoding="utf-8")
    first = page.partition('<section class="summary"')[2].partition("</section>")[0]
    assert all(label in first for label in ("raw video", "BDQ, α = 3", "whole clip", "data:image"))
    assert "data:video/mp4;base64," in page

    assert main([*words, "--recipe", str(file)]) == 0
    said = capsys.readouterr()
    assert said.err.count("measured already") == len(result.rows)
    assert "epoch" not in said.err
    assert Result.read(out).rows == result.rows


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
