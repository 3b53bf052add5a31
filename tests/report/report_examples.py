"""Invented results, for tests of the report only; no number here was measured."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from motionveil.results import (
    Accuracy,
    ClipPrediction,
    Dataset,
    Privacy,
    PrivacyScore,
    Result,
    Row,
)
from motionveil.spec import EncoderSpec, load_spec

ACTIONS = ["wave", "clap", "walk", "run", "squat", "jump"]
PEOPLE = [f"person {n:02d}" for n in range(1, 9)]
LEARNED = (0.5, 1.5, 2.4, 3.3, 4.2, 5.4, 5.5, 9.2, 9.3, 9.4, 10.6, 11.5, 12.5, 13.5, 14.5)


def dataset(actions: int = 6, people: int = 8, name: str = "actors") -> Dataset:
    return Dataset(
        name=name,
        hash="sha256:5f3a9c0e12",
        actions=ACTIONS[:actions] + [f"action {n}" for n in range(6, actions)],
        privacy_label="identity",
        privacy_names=PEOPLE[:people] + [f"person {n:03d}" for n in range(8, people)],
        parts={"validation": (384, 192)},
    )


def _answer(rng: np.random.Generator, truth: int, right: float, classes: int) -> list[float]:
    probabilities = rng.dirichlet(np.ones(classes))
    prediction = truth if rng.random() < right else int(rng.integers(classes))
    top = int(probabilities.argmax())
    probabilities[[prediction, top]] = probabilities[[top, prediction]]
    return [float(p) for p in probabilities]


def predictions(
    data: Dataset, n: int, action: float, identity: float, seed: int
) -> list[ClipPrediction]:
    rng = np.random.default_rng(seed)
    answers = []
    for i in range(n):
        a, p = i % len(data.actions), (i + i // len(data.actions)) % len(data.privacy_names)
        answers.append(
            ClipPrediction(
                clip=f"clips/{i:04d}.mp4#0-16",
                action=a,
                privacy=p,
                action_probabilities=_answer(rng, a, action, len(data.actions)),
                privacy_probabilities=_answer(rng, p, identity, len(data.privacy_names)),
                privacy_frames=float(rng.binomial(15, identity)) / 15,
            )
        )
    return answers


def scores(answers: list[ClipPrediction]) -> tuple[Accuracy, PrivacyScore]:
    actions = [p.action for p in answers]
    people = [p.privacy for p in answers]
    action = [float(np.argmax(p.action_probabilities) == p.action) for p in answers]
    clip = [float(np.argmax(p.privacy_probabilities) == p.privacy) for p in answers]
    return Accuracy.of(action, actions), PrivacyScore(
        frame=Accuracy.of([p.privacy_frames for p in answers], people),
        clip=Accuracy.of(clip, people),
    )


def curves(epochs: int, alpha: float) -> list[dict[str, float]]:
    table = []
    for epoch in range(1, epochs + 1):
        t = epoch / epochs
        pull = t * min(1.0, alpha)
        line = {"epoch": float(epoch), "sigma": 1 + 0.9 * pull, "seconds": 3.1}
        for n, target in enumerate(LEARNED):
            line[f"b{n + 1}"] = (1 - pull) * (n + 0.5) + pull * target
        line |= {
            "loss_action": 1.8 * np.exp(-4 * t) + 0.1,
            "loss_privacy": 2.0 * np.exp(-3 * t * (1 - 0.8 * pull)) + 0.1,
            "entropy": 0.4 + 1.4 * pull,
            "accuracy_action": 1 - 0.83 * np.exp(-4 * t),
            "accuracy_privacy": 0.9 - 0.6 * pull,
        }
        table.append({key: float(value) for key, value in line.items()})
    return table


def row(
    method: str,
    alpha: float | None = None,
    *,
    action: float = 0.95,
    identity: float = 0.9,
    n: int = 192,
    seed: int = 0,
    split: str = "split",
    data: Dataset | None = None,
    epochs: int = 20,
) -> Row:
    data = data or dataset()
    salt = zlib.crc32(f"{method} {alpha} {seed} {split}".encode())
    answers = predictions(data, n, action, identity, salt)
    scored, privacy = scores(answers)
    _, weaker = scores(predictions(data, n, action, identity * 0.7, salt + 1))
    if method == "raw":
        encoder = load_spec("raw")
    else:
        encoder = EncoderSpec.untrained(range=0.12)
        if method == "bdq" and alpha:
            encoder = encoder.change(boundaries=LEARNED, sigma=1.9)
    return Row(
        method=method,
        alpha=alpha,
        seed=seed,
        split=split,
        action=scored,
        privacy=Privacy(
            label=data.privacy_label,
            batchnorm="reestimated",
            modes={"eval": weaker, "reestimated": privacy},
            frame=privacy.frame,
            clip=privacy.clip,
        ),
        encoder=encoder,
        predictions=answers,
        curves=curves(epochs, alpha) if alpha is not None and epochs else [],
        seconds=61.4,
    )


def result(rows: list[Row], data: Dataset | None = None, **changes: object) -> Result:
    fields: dict[str, object] = {
        "kind": "quickstart",
        "command": "motionveil quickstart --out runs/quickstart --seed 0",
        "dataset": data or dataset(),
        "recipe": {"alpha": 2.0, "epochs": 20, "sgd": {"lr": 0.05, "momentum": 0.9}, "frames": 16},
        "seed": 0,
        "environment": {"python": "3.11.7", "processor": "some CPU, 2 cores", "torch": "2.13"},
        "rows": rows,
        "seconds": 431.7,
    }
    return Result.model_validate(fields | changes)


def quickstart_rows(
    seed: int = 0, split: str = "split", n: int = 192, epochs: int = 20
) -> list[Row]:
    common = {"seed": seed, "split": split, "n": n, "epochs": epochs}
    return [
        row("raw", action=0.97, identity=0.97, **common),
        row("bdq-untrained", action=0.96, identity=0.9, **common),
        row("bdq", 0.0, action=0.96, identity=0.7, **common),
        row("bdq", 2.0, action=0.92, identity=0.25, **common),
    ]


def quickstart(**changes: object) -> Result:
    """The rows of a quickstart, with realistic accuracies."""
    return result(quickstart_rows(), **changes)


def small(**changes: object) -> Result:
    """One row on few clips, for tests that look at something else."""
    return result([row("raw", n=12)], **changes)


def write_png(path: Path, width: int = 900, height: int = 300) -> Path:
    """Write a gradient as PNG."""
    from matplotlib.image import imsave

    image = np.linspace(0, 1, width)[None, :, None] * np.ones((height, 1, 3))
    imsave(path, image)
    return path


def write_mp4(path: Path) -> Path:
    """Write a second of H.264 video."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for i in range(12):
            image = np.full((96, 96, 3), 20 * i, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


STRENGTHS = {
    "ryoo": (112, 56, 28, 14, 7, 4),
    "downsample": (56, 28, 14, 7),
    "blur": (1, 4, 8),
    "pixelate": (8, 16),
    "dvs": (0.4, 2.4),
}


def baseline_rows(seed: int = 0, n: int = 60) -> list[Row]:
    """Return 25 methods of nine families on the same clips, BDQ with the best accuracies."""
    common = {"seed": seed, "n": n, "epochs": 0}
    rows = [
        row("raw", action=0.96, identity=0.97, **common),
        row("bdq-untrained", action=0.95, identity=0.9, **common),
        row("face-blur", action=0.95, identity=0.8, **common),
    ]
    for alpha, action, identity in (
        (0, 0.95, 0.6),
        (1, 0.93, 0.35),
        (2, 0.9, 0.15),
        (8, 0.8, 0.05),
    ):
        rows.append(row("bdq", float(alpha), action=action, identity=identity, **common))
    for alpha, action, identity in ((1, 0.9, 0.7), (2, 0.8, 0.5), (4, 0.7, 0.45)):
        rows.append(row("unet", float(alpha), action=action, identity=identity, **common))
    for family, strengths in STRENGTHS.items():
        for place, strength in enumerate(strengths):
            left = 1 - place / len(strengths)
            action, identity = 0.15 + 0.8 * left, 0.35 + 0.6 * left**0.5
            rows.append(row(f"{family}-{strength:g}", action=action, identity=identity, **common))
    return rows
