"""Audit somebody else's function: from and to uint8 frames (T, H, W, 3).

It is imported again by every process that attacks, hence the guard at the end.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import motionveil
from motionveil.datasets.actors import make_actors

# For seconds, which shows that it runs and no more.
TINY = {"size": 16, "cache_size": 24, "frames": 8, "validation.epochs": 2}


def veil(frames: np.ndarray) -> np.ndarray:
    """Show in white where a frame differs from the one before."""
    changes = np.abs(np.diff(frames.astype(np.int16), axis=0)).max(axis=3, keepdims=True)
    return np.repeat(np.where(changes > 12, 255, 0), 3, axis=3).astype(np.uint8)


def main(out: Path) -> None:
    """Attack it with two networks, in two processes, and say what they recognise."""
    data = make_actors(out, people=2, train_sessions=1, validation_sessions=1)
    attacks = ["frame", "clip"]
    found = motionveil.audit(veil, data, out=out, only=attacks, jobs=2, settings=TINY)
    for finding in found.attacks:
        scores = finding.scores
        recognised = f"{scores.clip.value:.2f} (chance level {scores.chance_level:.2f})"
        print(f"{finding.name}, {finding.video}: {recognised}")
    print(f"wrote {out / 'audit.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
