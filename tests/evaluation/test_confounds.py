"""Whoever is recognised by the wall is not recognised before another wall."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.attack_examples import FRAMES, SIDE, attack_of, data_of, hue, nothing
from motionveil.datasets.cache import ClipCache
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import true_classes
from motionveil.evaluation.confounds import confounds, crossed_halves
from motionveil.evaluation.data import AttackData
from motionveil.video import VideoSink

SESSIONS, TAKES = 4, 6


def write_sessions(root: Path, *, by_wall: bool) -> ClipCache:
    """Three people in four sessions each; the wall's brightness tells, or the people's colours."""
    root.mkdir(parents=True)
    clips = []
    for person in range(3):
        for session in range(SESSIONS):
            for take in range(TAKES):
                path = f"p{person}-s{session}-{take}.mkv"
                rng = np.random.default_rng([person, session, take])
                frames = nothing(person, rng) if by_wall else hue(person, rng)
                if by_wall:  # no two sessions of anybody have one wall
                    frames[:] = wall(person, session)
                with VideoSink(root / path, rate=25) as sink:
                    for frame in frames:
                        sink.write(frame)
                clips.append(
                    Clip(
                        path=path,
                        start=0,
                        end=FRAMES,
                        action="stand",
                        privacy={"person": f"p{person}", "day": f"day{session % 2}"},
                        group=f"p{person}-s{session}",
                        split="validation" if take % 3 == 2 else "train",
                    )
                )
    manifest = Manifest.read(Manifest("sessions", root, tuple(clips)).write(root / "m.csv"))
    return ClipCache.build(manifest, size=SIDE, workers=1)


def wall(person: int, session: int) -> np.ndarray:
    """One of twelve walls, in a width and a colour that others have too, (SIDE, SIDE, 3)."""
    painted = np.full((SIDE, SIDE, 3), 90, np.uint8)
    width = (2, 4, 6, 12)[session]
    stripes = np.arange(SIDE) // width % 2 == 1
    painted[:, stripes, (person + session) % 3] = 230
    return painted


def accuracies(data: AttackData, *, control: bool) -> list[float]:
    schedule = attack_of().schedule.model_copy(update={"epochs": 24})
    attack = attack_of(across="group", control=control, schedule=schedule)
    asked, variants, learned = attack.run_across(data)
    labels = true_classes(asked)
    assert len(labels) == 24  # everybody was filmed in several sessions
    assert learned == 24
    return [float((v.probabilities.argmax(1) == labels).mean()) for v in variants]


@pytest.mark.slow
def test_the_wall_is_not_the_person(tmp_path: Path) -> None:
    data = data_of(write_sessions(tmp_path / "films", by_wall=True))
    assert max(accuracies(data, control=False)) <= 0.6
    assert max(accuracies(data, control=True)) >= 0.75


def test_the_person_is_recognised_before_other_walls(tmp_path: Path) -> None:
    data = data_of(write_sessions(tmp_path / "films", by_wall=False))
    assert max(accuracies(data, control=False)) >= 0.9


def test_nobody_is_asked_about_where_they_were_learned(tmp_path: Path) -> None:
    data = data_of(write_sessions(tmp_path / "films", by_wall=True))
    across, within = (crossed_halves(data, "group", control=control) for control in (False, True))
    assert len(across) == len(within) == 2
    for learned, asked in across:
        assert not {c.group for c in learned} & {c.group for c in asked}
    for (learned, asked), (of_control, also_asked) in zip(across, within, strict=True):
        assert also_asked == asked
        assert people(of_control) == people(learned)
        assert {c.group for c in of_control} & {c.group for c in asked}


def people(clips: tuple[Clip, ...]) -> Counter[str]:
    return Counter(clip.privacy["person"] for clip in clips)


class TestConfounds:
    def test_of_sessions_in_both_parts(self, tmp_path: Path) -> None:
        manifest = write_sessions(tmp_path / "films", by_wall=True).manifest
        group, day = confounds(manifest, "validation", "person")
        assert (group.column, group.shared, group.crossable, group.clips) == ("group", 24, 24, 24)
        assert group.tells == 1
        assert group.at_work
        assert (day.column, day.crossable) == ("day", 24)
        assert day.tells == pytest.approx(1 / 3)
        assert not day.at_work

    def test_of_one_session_each(self, tmp_path: Path) -> None:
        whole = write_sessions(tmp_path / "films", by_wall=True)
        one = tuple(replace(clip, group=clip.privacy["person"]) for clip in whole.manifest.clips)
        manifest = replace(whole.manifest, clips=one)
        (group, _) = confounds(manifest, "validation", "person")
        assert (group.tells, group.shared, group.crossable) == (1, 24, 0)
        with pytest.raises(MotionveilError, match="filmed under two values of 'group'"):
            crossed_halves(data_of(replace(whole, manifest=manifest)), "group", control=False)

    def test_of_sessions_held_out(self, tmp_path: Path) -> None:
        whole = write_sessions(tmp_path / "films", by_wall=True).manifest
        clips = tuple(
            replace(clip, split="validation" if clip.group.endswith("3") else "train")
            for clip in whole.clips
        )
        (group, _) = confounds(replace(whole, clips=clips), "validation", "person")
        assert group.shared == 0
        assert not group.at_work

    def test_of_no_such_column(self, tmp_path: Path) -> None:
        data = data_of(write_sessions(tmp_path / "films", by_wall=True))
        with pytest.raises(MotionveilError, match="no column 'wall' beside 'person'; there are gr"):
            crossed_halves(data, "wall", control=False)
