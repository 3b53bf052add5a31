"""What can be undone is undone, and what is gone stays gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from evaluation.attack_examples import Frames, attack_of, data_of, hue
from evaluation.attack_examples import write_films as films
from motionveil.audit_results import Reconstruction
from motionveil.datasets.cache import ClipCache, Times
from motionveil.errors import MotionveilError
from motionveil.evaluation.attacks.reconstruct import WIDTHS, stopped_falling, unet
from motionveil.evaluation.data import shuffled_people
from motionveil.evaluation.fit import keep_back
from motionveil.evaluation.rebuilt import MEAN, Rebuilt, Sample, store_samples
from motionveil.evaluation.suites import paper, quick
from motionveil.training.recipe import AttackerTraining, Schedule, load_recipe

pytestmark = pytest.mark.slow  # trains

SCHEDULE = Schedule(optimizer="adamw", epochs=16, batch=4, lr=0.006, privacy_frames=4)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> ClipCache:
    return films(tmp_path_factory.mktemp("films"), hue, people=8, takes=6)


def rebuilt(filmed: ClipCache, name: str, veil: object) -> Rebuilt:
    original = data_of(filmed)
    data = replace(original, cache=filmed.derive(name, veil))  # type: ignore[arg-type]
    found: Rebuilt = attack_of(kind="reconstruct", schedule=SCHEDULE).rebuild(data, original)
    return found


def negative(frames: Frames, times: Times) -> Frames:
    return 255 - frames


def blank(frames: Frames, times: Times) -> Frames:
    return np.full_like(frames, 7)


def test_a_negative_is_undone(filmed: ClipCache) -> None:
    found = rebuilt(filmed, "negative", negative)
    figures, known = found.figures, found.known
    assert figures["error"].mean() < 0.6 * figures["mean_error"].mean()
    assert figures["ssim"].mean() > figures["mean_ssim"].mean()
    assert figures["gmsd"].mean() < figures["mean_gmsd"].mean()
    # Those whom the U-Net never saw are undone too.
    assert 0 < (~known).sum() < len(known)
    assert figures["error"][~known].mean() < 0.7 * figures["mean_error"][~known].mean()
    assert figures["original_recognised"].mean() >= 0.6
    assert figures["recognised"].mean() >= 0.5
    losses = found.training["losses"]
    assert len(losses) == SCHEDULE.epochs
    assert losses[-1] < losses[0] / 2
    assert {bool(known[sample.place]) for sample in found.samples} == {True, False}
    for sample in found.samples:
        assert np.allclose(sample.veiled, 1 - sample.original, atol=1e-6)
        assert sample.rebuilt.shape == sample.original.shape == found.mean.shape == (24, 24, 3)


def test_the_u_net_learns_until_clips_kept_back_show_no_more(filmed: ClipCache) -> None:
    original = data_of(filmed)
    data = replace(original, cache=filmed.derive("negative-until", negative))
    until = AttackerTraining(patience=2, longest=10, rates=(1.0,))
    attack = attack_of(kind="reconstruct", schedule=SCHEDULE, until=until)
    drawn = shuffled_people(data, "reconstruction")
    torch.manual_seed(0)
    network, training = attack._train_unet(data, original, set(drawn[:2]))
    errors = training["held_out"]
    assert training["stopped"]
    assert len(errors) == len(training["losses"]) < 160
    rise = next(n for n in range(1, 200) if stopped_falling(errors[:n], until))
    assert min(errors[: rise - 2]) <= min(errors[:rise])
    assert len(errors) == rise + max(1, round(0.25 * rise))
    assert min(errors) < 0.8 * training["held_out_mean"]
    # The weights of the least error count, not the last.
    assert kept_error(attack, data, original, drawn, network) == pytest.approx(min(errors))


def kept_error(attack: Any, *given: Any) -> float:
    """Return a U-Net's error on the clips that an attack keeps back."""
    data, original, drawn, network = given
    known = set(drawn[2:])
    part = data.manifest.part(data.split, training=True)
    clips = [clip for clip in part if clip.privacy["person"] in known]
    _, asked = keep_back(clips, attack.until.held_out, data.seed)
    veiled, wanted = (
        source.some(asked, drawn=False).load(range(len(asked)), seed=0, epoch=0).clips
        for source in (data, original)
    )
    with torch.no_grad():
        return float((network(veiled * 2 - 1) - wanted).abs().mean())


def test_a_limit_of_epochs_is_not_convergence() -> None:
    rule = AttackerTraining(patience=2, longest=1, rates=(1.0,))
    assert not stopped_falling([5, 4, 3, 2, 1], rule)
    assert stopped_falling([5, 4, 3, 3.5, 3.2], rule)
    assert stopped_falling([5, 4, 4.5, 4.2, 1], rule)  # it fell again at a falling rate
    for stopped, word in ((True, "yes"), (False, "no")):
        found = Reconstruction.model_construct(losses=[3.0], held_out=[3.0], stopped=stopped)
        assert (found.converged, found.convergence) == (stopped, word)


def test_no_better_than_the_mean_frame_is_not_known_to_have_converged() -> None:
    found = Reconstruction.model_construct(held_out=[3.0, 2.1], stopped=True, held_out_mean=2.0)
    assert found.convergence == "unknown"
    assert found.model_copy(update={"held_out": [3.0, 1.9]}).convergence == "yes"
    assert found.model_copy(update={"stopped": False}).convergence == "no"


def test_the_papers_u_net_keeps_the_papers_length() -> None:
    recipe = load_recipe("sbu")
    (papers,) = (a for a in paper(recipe) if a.kind == "reconstruct")
    assert (papers.schedule.epochs, papers.until) == (200, None)
    (quicker,) = (a for a in quick(recipe) if a.kind == "reconstruct")
    assert quicker.until is not None


def test_frames_are_stored_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    veiled, rebuilt, original = (rng.random((6, 8, 3), np.float32) for _ in range(3))
    figures = {"error": np.array([0.5, 0.01]), "ssim": np.array([0.1, 0.7])}
    figures |= {"mean_error": np.array([0.5, 0.1]), "mean_ssim": np.array([0.1, 0.3])}
    known = np.array([False, True])
    sample = Sample(1, veiled, rebuilt, original)
    made = Rebuilt((), known, figures, [sample], original)
    (stored,) = store_samples(made, ["a.mkv#0-9", "b.mkv#0-9"], tmp_path)
    assert (stored.clip, stored.known, stored.ssim) == ("b.mkv#0-9", True, 0.7)
    assert (stored.psnr, stored.baseline_psnr) == (pytest.approx(20), pytest.approx(10))
    for name, image in ((stored.picture, rebuilt), (stored.original, original)):
        assert np.abs(imread(tmp_path / name)[..., :3] - image).max() <= 0.5 / 255 + 1e-6
    assert (tmp_path / MEAN).read_bytes() == (tmp_path / stored.original).read_bytes()


@pytest.mark.parametrize(
    ("losses", "fall"),
    [([8, 7, 6, 5, 4, 3, 2, 2], 0.4), ([8, 4, 2, 2, 2, 2, 1, 1], 0.0), ([8, 4, 2], None)],
)
def test_whether_the_u_net_had_converged(losses: list[float], fall: float | None) -> None:
    found = Reconstruction.model_construct(losses=losses, held_out=[])
    assert found.still_falling == (None if fall is None else pytest.approx(fall))
    assert found.convergence == {None: "unknown", 0.4: "no", 0.0: "yes"}[fall]


@pytest.mark.parametrize(("size", "scales"), [(64, 4), (56, 3), (68, 3)])
def test_the_u_net_is_as_deep_as_the_size_allows(size: int, scales: int) -> None:
    network = unet(size)
    widths = {m.out_channels for m in network.modules() if isinstance(m, torch.nn.Conv3d)} - {3}
    assert widths == set(WIDTHS[:scales])
    clip = torch.zeros(1, 3, 2, size, size)
    assert network.eval()(clip).shape == clip.shape


def test_from_nothing_comes_no_more_than_the_mean(filmed: ClipCache) -> None:
    figures = rebuilt(filmed, "blank", blank).figures
    assert figures["error"].mean() >= 0.95 * figures["mean_error"].mean()
    assert figures["recognised"].mean() <= 0.25


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    few = films(tmp_path, hue, people=3, takes=3)
    with pytest.raises(MotionveilError, match="3 values of 'person'"):
        rebuilt(few, "negative", negative)
