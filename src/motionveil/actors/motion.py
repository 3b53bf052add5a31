"""What synthetic people do: actions, and joint positions over time.

The actions come in pairs that are each other's reversal in time, so the two of a pair share every
single frame and only motion tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.actors.people import Build, Manner

ACTIONS = (
    "raise-arms",
    "lower-arms",
    "squat-down",
    "stand-up",
    "walk-forward",
    "walk-backward",
    "circle-clockwise",
    "circle-counterclockwise",
)
"""The actions; each even one and the next are a pair of opposite direction in time."""

JOINTS = (
    "head",
    "neck",
    "pelvis",
    "left_shoulder",
    "left_elbow",
    "left_hand",
    "right_shoulder",
    "right_elbow",
    "right_hand",
    "left_hip",
    "left_knee",
    "left_foot",
    "right_hip",
    "right_knee",
    "right_foot",
)

Pose = dict[str, NDArray[np.float64]]
"""Joint name to (x, y, z) in body heights: x to the person's left, y up from the floor, z ahead."""

Posture = NDArray[np.float64]
"""Angles in radians: (abduction, pitch, elbow) of the left and the right arm, (thigh, knee) of the
left and the right leg, the torso's lean. What is between two postures is their weighted mean."""


@dataclass(frozen=True)
class Performance:
    """One recording of one action.

    Attributes:
        action: One of `ACTIONS`.
        start: Phase at the first frame.
        speed: Phase a frame, before the person's own tempo.
        sway_phase: Phase of the torso's sway at the first frame, in radians.
        left_arm: Whether the circle is drawn with the left arm.
    """

    action: str
    start: float
    speed: float
    sway_phase: float
    left_arm: bool

    @classmethod
    def draw(cls, action: str, frames: int, rng: np.random.Generator) -> Performance:
        """Draw a performance of `frames` frames whose poses do not depend on the direction.

        Both actions of a pair draw the same stretch of phases; the second runs through it
        backwards.
        """
        if action in ("walk-forward", "walk-backward") or action.startswith("circle"):
            start, speed = rng.uniform(0, 1), rng.uniform(0.035, 0.055)
        else:
            start, speed = rng.uniform(0.0, 0.12), rng.uniform(0.8, 0.95) / frames
        return cls(
            action=action,
            start=float(start),
            speed=float(speed),
            sway_phase=float(rng.uniform(0, 2 * np.pi)),
            left_arm=bool(rng.integers(0, 2)),
        )

    def phases(self, frames: int, tempo: float) -> NDArray[np.float64]:
        """Return the phase at each frame, reversed for the second action of a pair."""
        phases = self.start + self.speed * tempo * np.arange(frames, dtype=np.float64)
        return phases[::-1] if ACTIONS.index(self.action) % 2 else phases


def pose(performance: Performance, build: Build, manner: Manner, phase: float, sway: float) -> Pose:
    """Return the joints at one instant.

    Args:
        phase: Position in the movement; one-shot movements run from 0 to 1, cycles repeat at 1.
        sway: Phase of the torso's sway, in radians.
    """
    return pose_of(posture(performance, manner, phase), build, manner, sway)


def posture(performance: Performance, manner: Manner, phase: float) -> Posture:
    """Return the angles of a performance at a phase, see `pose`."""
    # Who walks leans ahead, which shows which way they face.
    lean = manner.lean + (0.15 if performance.action.startswith("walk") else 0.0)
    return np.concatenate([*_angles(performance, manner, phase), [lean]])


def standing(manner: Manner) -> Posture:
    """Return the posture of who stands and does nothing."""
    arm, leg = (0.14, 0.05, manner.elbow), (0.02, 0.04)
    return np.array([*arm, *arm, *leg, *leg, manner.lean])


def pose_of(posture: Posture, build: Build, manner: Manner, sway: float) -> Pose:
    """Return the joints of a posture; see `pose`."""
    left_arm, right_arm, left_leg, right_leg = np.split(posture[:-1], (3, 6, 8))
    lean = float(posture[-1])
    tilt = manner.sway * np.sin(sway)
    up = np.array([np.sin(tilt), np.cos(tilt) * np.cos(lean), np.sin(lean)])
    pelvis = np.zeros(3)
    neck = pelvis + build.torso * up
    joints: Pose = {"pelvis": pelvis, "neck": neck, "head": neck + (build.head + 0.035) * up}
    for side, sign, arm, leg in (
        ("left", 1.0, left_arm, left_leg),
        ("right", -1.0, right_arm, right_leg),
    ):
        shoulder = neck + np.array([sign * build.shoulder / 2, -0.035, 0.0])
        hip = pelvis + np.array([sign * build.hip / 2, 0.0, 0.0])
        abduction, pitch, elbow = arm
        _limb(
            joints,
            side,
            ("shoulder", "elbow", "hand"),
            shoulder,
            build.arm,
            _direction(sign * abduction, pitch),
            _direction(sign * abduction, pitch + elbow),
        )
        thigh, knee = leg
        _limb(
            joints,
            side,
            ("hip", "knee", "foot"),
            hip,
            build.leg,
            _direction(sign * manner.stance, thigh),
            _direction(sign * manner.stance, thigh - knee),
        )
    floor = min(joints["left_foot"][1], joints["right_foot"][1])
    for joint in joints.values():
        joint *= build.height
        joint[1] -= floor * build.height
    return joints


def _limb(
    joints: Pose,
    side: str,
    names: tuple[str, str, str],
    root: NDArray[np.float64],
    length: float,
    upper: NDArray[np.float64],
    lower: NDArray[np.float64],
) -> None:
    middle = root + 0.52 * length * upper
    for name, joint in zip(names, (root, middle, middle + 0.48 * length * lower), strict=True):
        joints[f"{side}_{name}"] = joint.copy()


def _direction(abduction: float, pitch: float) -> NDArray[np.float64]:
    """Return the direction of a limb that hangs down, swung ahead by `pitch`, then aside."""
    down = np.cos(pitch)
    return np.array([down * np.sin(abduction), -down * np.cos(abduction), np.sin(pitch)])


Angles = tuple[float, ...]


def _angles(
    performance: Performance, manner: Manner, phase: float
) -> tuple[Angles, Angles, Angles, Angles]:
    """Return (abduction, pitch, elbow) of both arms, then (thigh, knee) of both legs."""
    reach = manner.amplitude
    less = 1 - manner.asymmetry
    rest = (0.14, 0.05, manner.elbow)
    stand = (0.02, 0.04)
    kind = performance.action.partition("-")[0]
    if kind in ("raise", "lower"):
        lift = 0.15 + 2.5 * reach * _ease(phase)
        return (
            (lift * less, 0.05, manner.elbow * 0.5),
            (lift, 0.05, manner.elbow * 0.5),
            stand,
            stand,
        )
    if kind in ("squat", "stand"):
        depth = _ease(phase) * min(1.0, 0.9 * reach)
        leg = (1.25 * depth, 2.2 * depth)
        arm = (0.12, 1.1 * depth, manner.elbow)
        return (0.12, 1.1 * depth * less, manner.elbow), arm, leg, leg
    turn = 2 * np.pi * phase
    if kind == "walk":
        swing = 0.5 * reach * np.sin(turn)
        left = (swing, 0.1 + 0.7 * max(0.0, np.cos(turn)))
        right = (-swing, 0.1 + 0.7 * max(0.0, -np.cos(turn)))
        return (
            (0.1, -1.1 * swing * less, manner.elbow),
            (0.1, 1.1 * swing, manner.elbow),
            left,
            right,
        )
    # `pose` mirrors the right arm: turn it the other way, so that both turn clockwise as the camera
    # sees them.
    circling = (-turn if performance.left_arm else turn, 0.0, 0.15 * manner.elbow)
    if performance.left_arm:
        return circling, rest, stand, stand
    return rest, circling, stand, stand


def _ease(phase: float) -> float:
    """Return a smooth step from 0 at phase 0 to 1 at phase 1."""
    clipped = min(1.0, max(0.0, phase))
    return 0.5 - 0.5 * float(np.cos(np.pi * clipped))
