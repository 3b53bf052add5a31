from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path

import pytest
import torch

from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.networks import create_action_network, create_privacy_network
from motionveil.training import dry_run as module
from motionveil.training.adversarial import AdversarialTraining
from motionveil.training.distributed import make_fabric
from motionveil.training.dry_run import STEPS, DryRun, dry_run
from motionveil.training.recipe import NetworkRecipe, Recipe
from tiny import tiny_recipe, write_toys


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Four people, of whom the first clips show one only; 40 clips to train on."""
    return write_toys(tmp_path_factory.mktemp("many"), people=4, takes=5)


def run(manifest: Manifest, recipe: Recipe | None = None, label: str = "person") -> DryRun:
    return dry_run(
        manifest,
        recipe or tiny_recipe(adversarial={"batch": 2}),
        split="validation",
        privacy_label=label,
        seed=0,
        fabric=make_fabric("cpu"),
        workers=1,
    )


def contents(folder: Path) -> list[tuple[Path, int]]:
    return sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def found(many: Manifest) -> DryRun:
    return run(many)


def test_shapes_are_those_of_a_step(found: DryRun) -> None:
    assert found.clip == (2, 3, 6, 16, 16)
    assert found.veiled == (2, 3, 5, 16, 16)
    assert found.frames == (4, 3, 16, 16)


def test_networks_have_the_classes_of_the_whole_data_set(found: DryRun) -> None:
    def count(network: torch.nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    T = create_action_network("small3d", classes=2)
    P = create_privacy_network("small2d", classes=4)
    assert found.parameters == {"E": 16, "T": count(T), "P": count(P)}


def test_figures_fit_each_other(found: DryRun, many: Manifest) -> None:
    assert found.training_clips == len(many.part("validation", training=True)) == 40
    assert found.steps == 20
    assert len(found.computing) == len(found.loading) == STEPS == 3
    assert all(seconds > 0 for seconds in found.computing + found.loading)
    assert found.step_seconds >= sum(found.computing) / 3
    assert found.epoch_seconds == pytest.approx(20 * found.step_seconds)
    assert found.training_seconds == pytest.approx(2 * 20 * found.step_seconds)
    # Validation has batches of 6 clips, adversarial training of 2.
    assert found.validation_seconds == pytest.approx(2 * (40 / 6) * 3 * found.step_seconds)
    assert found.memory is None or found.memory > 2**20
    assert found.device == "cpu"


def test_a_slow_disk_counts(found: DryRun) -> None:
    slow = dataclasses.replace(found, computing=(1.0, 1.0, 1.0), loading=(2.0, 3.0, 4.0))
    assert slow.step_seconds == 3.0


def test_both_moves_are_made_a_few_times(many: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[str] = []
    for name in ("step_encoder", "step_privacy"):
        real = getattr(AdversarialTraining, name)

        def noted(
            self: AdversarialTraining, batch: object, name: str = name, real: object = real
        ) -> object:
            moves.append(name)
            return real(self, batch)  # type: ignore[operator]

        monkeypatch.setattr(AdversarialTraining, name, noted)
    run(many)
    assert moves == ["step_encoder", "step_privacy"] * 4


def test_decodes_little_and_leaves_nothing(
    many: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = contents(many.root)
    stored: list[int] = []
    real = module.ClipCache.build

    def build(few: Manifest, **options: object) -> object:
        stored.append(len(few.clips))
        assert all(clip.length <= 6 for clip in few.clips)
        cache = real(few, **options)  # type: ignore[arg-type]
        assert cache.folder.is_relative_to(tmp_path)
        return cache

    monkeypatch.setattr(module.ClipCache, "build", build)
    run(many)
    assert 8 <= stored[0] <= 8 + 1 + 2 + 4
    assert contents(many.root) == before
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_when_it_fails(
    many: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(MotionveilError, match="no action network 'nonesuch'"):
        run(many, tiny_recipe(action={"name": "nonesuch"}))
    assert not list(tmp_path.iterdir())


def test_fewer_clips_than_the_steps_need_go_round(toys: Manifest) -> None:
    found = run(toys, tiny_recipe(adversarial={"batch": 8}))
    assert found.clip[0] == 8
    assert found.steps == math.ceil(12 / 8)
    whole = run(toys, tiny_recipe(adversarial={"batch": 16}))
    assert whole.clip[0] == 12
    assert whole.steps == 1


def test_another_label_and_frames_further_apart(many: Manifest, found: DryRun) -> None:
    other = run(many, tiny_recipe(frames=3, rate=12.5), label="hand")  # of 25 per second
    assert other.clip[2] == 3
    assert other.parameters["P"] < found.parameters["P"]


def test_pretrained_weights_are_not_fetched(many: Manifest, found: DryRun) -> None:
    """`small3d` has none to fetch: asking for them would be an error."""
    pretrained = NetworkRecipe(name="small3d", weights="pretrained")
    recipe = tiny_recipe().model_copy(update={"action": pretrained})
    other = run(many, recipe)
    assert other.fresh == ["small3d"]
    assert other.recipe == recipe
    assert found.fresh == []


def test_further_adversaries_count(many: Manifest, found: DryRun) -> None:
    """One of them has weights to fetch, which are not: `small2d` has none."""
    further = [
        {"temporal": True},
        {"view": "integrated", "network": {"name": "small2d", "weights": "pretrained"}},
    ]
    other = run(many, tiny_recipe(adversarial={"batch": 2, "further": further}))
    P2 = create_action_network("small3d", classes=4)
    count = sum(p.numel() for p in P2.parameters())
    own = found.parameters
    assert other.parameters == own | {"P2": count, "P3": own["P"]}
    assert other.fresh == ["small2d"]


def test_a_file_of_weights_must_fit(many: Manifest, tmp_path: Path) -> None:
    recipe = tiny_recipe(action={"name": "small3d", "weights": str(tmp_path / "no.safetensors")})
    with pytest.raises(MotionveilError, match=r"no\.safetensors"):
        run(many, recipe)
