"""Invented results that look as if SBU had been measured; no number here was."""

from __future__ import annotations

from typing import Any

from motionveil.results import Accuracy, ClipPrediction, Dataset, Privacy, PrivacyScore, Result, Row
from motionveil.spec import EncoderSpec
from motionveil.training.recipe import load_recipe

CLIPS, ACTIONS, PAIRS = 94, 8, 13


def sbu_data(**changes: Any) -> Dataset:
    """The data set as the paper splits it."""
    values: dict[str, Any] = {
        "name": "sbu",
        "hash": "5f3a9c0e12",
        "actions": [f"action {n}" for n in range(ACTIONS)],
        "privacy_label": "pair",
        "privacy_names": [f"pair {n:02d}" for n in range(PAIRS)],
        "parts": {"validation": (188, CLIPS)},
        "split_rule": "paper: the BDQ authors' lists",
    }
    return Dataset.model_validate(values | changes)


WEIGHTS = {
    "action": "r.safetensors, 3D-ResNets (resnet-50-kinetics.pth, Kinetics-400), SHA-256 12",
    "privacy": "ImageNet-1k, https://huggingface.co/timm/resnet50.tv_in1k",
}


def sbu_provenance(settings: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """What an encoder says of a training on SBU by the recipe `sbu`, with changes to it."""
    values = {
        "data": "sbu",
        "manifest": "5f3a9c0e12",
        "split": "validation",
        "privacy_label": "pair",
        "recipe": load_recipe("sbu", settings).model_dump(mode="json", exclude={"validation"}),
        "weights": WEIGHTS,
    }
    return values | changes


def sbu_row(
    method: str, alpha: float | None = None, *, action: int = 79, pair: float = 32, seed: int = 0
) -> Row:
    """A row with `action` of 94 clips right, and the pair in as many frames as `pair` clips have.

    By clip every pair is right, so that the two readings cannot be confused.
    """
    predictions = [_prediction(n, n < action, pair / CLIPS) for n in range(CLIPS)]
    actions, pairs = [p.action for p in predictions], [p.privacy for p in predictions]
    score = PrivacyScore(
        frame=Accuracy.of([p.privacy_frames for p in predictions], pairs),
        clip=Accuracy.of([1.0] * CLIPS, pairs),
    )
    return Row(
        method=method,
        alpha=alpha,
        seed=seed,
        split="validation",
        action=Accuracy.of([float(n < action) for n in range(CLIPS)], actions),
        privacy=Privacy(
            label="pair",
            batchnorm="eval",
            modes={"eval": score},
            frame=score.frame,
            clip=score.clip,
        ),
        encoder=EncoderSpec.untrained(range=0.2, **sbu_provenance()),
        predictions=predictions,
        seconds=1.0,
    )


def _prediction(clip: int, action_right: bool, frames_right: float) -> ClipPrediction:
    action, pair = clip % ACTIONS, clip % PAIRS
    answer = action if action_right else (action + 1) % ACTIONS
    return ClipPrediction(
        clip=f"{clip:03d}#0-16",
        action=action,
        privacy=pair,
        action_probabilities=[float(n == answer) for n in range(ACTIONS)],
        privacy_probabilities=[float(n == pair) for n in range(PAIRS)],
        privacy_frames=frames_right,
    )


def sbu_result(*rows: Row, recipe: dict[str, Any] | None = None, **data: Any) -> Result:
    """A result of these rows by the recipe `sbu`, with changes to the data set."""
    return Result(
        kind="tradeoff",
        command="motionveil tradeoff sbu/manifest.csv --recipe sbu",
        dataset=sbu_data(**data),
        recipe=load_recipe("sbu").model_dump(mode="json") if recipe is None else recipe,
        seed=0,
        environment={},
        weights=WEIGHTS,
        rows=list(rows),
        seconds=1.0,
    )
