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


Angles = tuple[float, ...]


@dataclass(frozen=True)
class Posture:
    """How a body is held, in radians.

    Attributes:
        left_arm, right_arm: Abduction, pitch and bend of the elbow.
        left_leg, right_leg: Pitch of the thigh and bend of the knee.
        lean: How much more than usual the torso leans ahead.
    """

    left_arm: Angles
    right_arm: Angles
    left_leg: Angles
    right_leg: Angles
    lean: float = 0.0


def pose(performance: Performance, build: Build, manner: Manner, phase: float, sway: float) -> Pose:
    """Return the joints at one instant.

    Args:
        performance: What is done.
        build: Lengths of the person.
        manner: The person's way of doing it.
        phase: Position in the movement; one-shot movements run from 0 to 1, cycles repeat at 1.
        sway: Phase of the torso's sway, in radians.
    """
    return joints_of(posture(performance, manner, phase), build, manner, sway)


def joints_of(held: Posture, build: Build, manner: Manner, sway: float) -> Pose:
    """Return the joints of a posture; see `pose`."""
    tilt = manner.sway * np.sin(sway)
    lean = manner.lean + held.lean
    up = np.array([np.sin(tilt), np.cos(tilt) * np.cos(lean), np.sin(lean)])
    pelvis = np.zeros(3)
    neck = pelvis + build.torso * up
    joints: Pose = {"pelvis": pelvis, "neck": neck, "head": neck + (build.head + 0.035) * up}
    for side, sign, arm, leg in (
        ("left", 1.0, held.left_arm, held.left_leg),
        ("right", -1.0, held.right_arm, held.right_leg),
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


def posture(performance: Performance, manner: Manner, phase: float) -> Posture:
    """Return how the body is held at one instant; see `pose`."""
    reach = manner.amplitude
    less = 1 - manner.asymmetry
    rest, stand = _rest(manner), _STAND
    kind = performance.action.partition("-")[0]
    if kind in ("raise", "lower"):
        lift = 0.15 + 2.5 * reach * _ease(phase)
        elbow = manner.elbow * 0.5
        return Posture((lift * less, 0.05, elbow), (lift, 0.05, elbow), stand, stand)
    if kind in ("squat", "stand"):
        depth = _ease(phase) * min(1.0, 0.9 * reach)
        leg = (1.25 * depth, 2.2 * depth)
        left = (0.12, 1.1 * depth * less, manner.elbow)
        return Posture(left, (0.12, 1.1 * depth, manner.elbow), leg, leg)
    turn = 2 * np.pi * phase
    if kind == "walk":
        swing = 0.5 * reach * np.sin(turn)
        return Posture(
            (0.1, -1.1 * swing * less, manner.elbow),
            (0.1, 1.1 * swing, manner.elbow),
            (swing, 0.1 + 0.7 * max(0.0, np.cos(turn))),
            (-swing, 0.1 + 0.7 * max(0.0, -np.cos(turn))),
            lean=0.15,  # who walks leans ahead, which shows which way they face
        )
    # `joints_of` mirrors the right arm: turn it the other way, so that both turn clockwise as the
    # camera sees them.
    circling = (-turn if performance.left_arm else turn, 0.0, 0.15 * manner.elbow)
    if performance.left_arm:
        return Posture(circling, rest, stand, stand)
    return Posture(rest, circling, stand, stand)


def standing(manner: Manner) -> Posture:
    """Return how somebody stands who does nothing."""
    return Posture(_rest(manner), _rest(manner), _STAND, _STAND)


def between(one: Posture, other: Posture, share: float) -> Posture:
    """Return the posture on the way from one to another: at 0 the one, at 1 the other."""

    def mix(a: Angles, b: Angles) -> Angles:
        return tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))

    return Posture(
        mix(one.left_arm, other.left_arm),
        mix(one.right_arm, other.right_arm),
        mix(one.left_leg, other.left_leg),
        mix(one.right_leg, other.right_leg),
        one.lean + share * (other.lean - one.lean),
    )


_STAND = (0.02, 0.04)


def _rest(manner: Manner) -> Angles:
    return (0.14, 0.05, manner.elbow)


def _ease(phase: float) -> float:
    """Return a smooth step from 0 at phase 0 to 1 at phase 1."""
    clipped = min(1.0, max(0.0, phase))
    return 0.5 - 0.5 * float(np.cos(np.pi * clipped))
