"""The built-in data: deterministic, whole sessions held out, drawn without jumps."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.actors.footage import (
    BACKGROUND,
    acting,
    film_footage,
    footage_labels,
    stretches,
    strolling,
)
from motionveil.actors.motion import JOINTS, Performance, pose
from motionveil.actors.people import Person, make_people
from motionveil.actors.render import Camera, Session, draw_person, film
from motionveil.datasets import actors as actors_module
from motionveil.datasets.actors import ACTIONS, make_actors
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.video import count_frames, read_clip

PAIRS = list(zip(ACTIONS[::2], ACTIONS[1::2], strict=True))
SIZE = 64


@pytest.fixture(scope="module")
def actors(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    root = tmp_path_factory.mktemp("actors")
    return make_actors(root, people=2, train_sessions=2, validation_sessions=1)


@pytest.fixture(scope="module")
def person() -> Person:
    return make_people(3, seed=5)[1]


def quiet_session(seed: int = 0) -> Session:
    """A room without the sensor's noise."""
    return dataclasses.replace(Session.draw(SIZE, SIZE, np.random.default_rng(seed)), noise=0.0)


class TestManifest:
    def test_counts_and_labels(self, actors: Manifest) -> None:
        assert len(actors.clips) == 2 * 3 * 8
        assert actors.actions == tuple(sorted(ACTIONS))
        assert len(ACTIONS) >= 6
        assert actors.privacy_labels == ("identity",)
        assert actors.names_of("identity") == ("person00", "person01")
        each = Counter((clip.action, clip.privacy["identity"]) for clip in actors.clips)
        assert set(each.values()) == {3}
        assert all(clip.length >= 16 for clip in actors.clips)
        assert actors.name == "actors"

    def test_whole_sessions_are_held_out(self, actors: Manifest) -> None:
        training, held_out = (actors.part(training=part) for part in (True, False))
        assert len(training) == 2 * 2 * 8
        assert len(held_out) == 2 * 1 * 8
        assert not {c.group for c in training} & {c.group for c in held_out}
        assert not {c.path for c in training} & {c.path for c in held_out}
        for part in (training, held_out):
            assert {c.action for c in part} == set(ACTIONS)
            assert {c.privacy["identity"] for c in part} == {"person00", "person01"}

    def test_videos_hold_every_clip(self, actors: Manifest) -> None:
        for path in {clip.path for clip in actors.clips}:
            ends = [clip.end for clip in actors.clips if clip.path == path]
            assert count_frames(actors.root / path) == max(ends)
        frames = read_clip(actors.root / actors.clips[0].path, 0, actors.clips[0].end)
        assert frames.dtype == np.uint8
        assert frames.shape == (20, 96, 96, 3)
        assert frames.min() < 60
        assert frames.max() > 160
        assert (frames == 0).mean() < 0.05, "too dark to tell"
        assert (frames == 255).mean() < 0.05, "burnt out"


class TestSeed:
    def test_made_twice_it_is_the_same(self, actors: Manifest, tmp_path: Path) -> None:
        again = make_actors(tmp_path, people=2, train_sessions=2, validation_sessions=1, workers=1)
        assert again.hash == actors.hash
        for path in ("person00/session00.mkv", "person01/session02.mkv"):
            assert np.array_equal(read_clip(again.root / path), read_clip(actors.root / path))

    def test_another_seed_is_other_people_in_other_rooms(
        self, actors: Manifest, tmp_path: Path
    ) -> None:
        other = make_actors(tmp_path, seed=1, people=2, train_sessions=1, validation_sessions=1)
        films = [
            read_clip(found.root / found.clips[0].path).astype(float) for found in (actors, other)
        ]
        assert abs(films[0] - films[1]).mean() > 10

    def test_more_sessions_leave_the_first_as_they_are(
        self, actors: Manifest, tmp_path: Path
    ) -> None:
        fewer = make_actors(tmp_path, people=2, train_sessions=1, validation_sessions=1)
        path = "person01/session00.mkv"
        assert np.array_equal(read_clip(fewer.root / path), read_clip(actors.root / path))

    def test_another_number_of_people_is_another_cast(self, actors: Manifest) -> None:
        """They are drawn to differ from each other: films of one cast are no use to another."""
        path = "person00/session00.mkv"
        before = read_clip(actors.root / path)
        more = make_actors(actors.root.parent, people=3, train_sessions=1, validation_sessions=1)
        assert abs(read_clip(more.root / path).astype(float) - before).mean() > 1
        assert np.array_equal(read_clip(actors.root / path), before)


class TestResuming:
    def test_films_that_are_there_are_kept(self, actors: Manifest) -> None:
        kept = actors.root / "person00/session00.mkv"
        gone = actors.root / "person01/session01.mkv"
        frames = read_clip(gone)
        stamps = kept.stat().st_mtime_ns
        gone.unlink()
        again = make_actors(actors.root.parent, people=2, train_sessions=2, validation_sessions=1)
        assert kept.stat().st_mtime_ns == stamps
        assert np.array_equal(read_clip(gone), frames)
        assert again == actors

    @pytest.mark.parametrize("counts", [(1, 1, 1), (2, 0, 1), (2, 1, 0), (-3, 1, 1)])
    def test_wrong_counts_are_refused(self, tmp_path: Path, counts: tuple[int, int, int]) -> None:
        people, train, validation = counts
        with pytest.raises(ValueError, match=f"{people} people in {train}"):
            make_actors(
                tmp_path, people=people, train_sessions=train, validation_sessions=validation
            )
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(MotionveilError, match="cannot write here"):
            make_actors(tmp_path / "file", people=2, train_sessions=1, validation_sessions=1)


class TestPairs:
    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_share_every_frame_in_reverse(self, person: Person, first: str, second: str) -> None:
        """What one frame shows cannot tell the two: the same frames, the other way round."""
        still = dataclasses.replace(person, manner=dataclasses.replace(person.manner, sway=0.0))
        one, other = (
            film(still, action, quiet_session(), 12, np.random.default_rng(3))
            for action in (first, second)
        )
        assert np.array_equal(one, other[::-1])
        assert not np.array_equal(one, other)

    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_with_the_torso_s_sway_too(self, person: Person, first: str, second: str) -> None:
        """The sway runs forwards in both, from a phase drawn at random: match it frame by frame."""
        frames, tempo = 12, person.manner.tempo
        drawn = [Performance.draw(a, frames, np.random.default_rng(8)) for a in (first, second)]
        phases = [performance.phases(frames, tempo) for performance in drawn]
        assert np.array_equal(phases[0], phases[1][::-1])
        for phase, sway in zip(phases[0], np.linspace(0, 6, frames), strict=True):
            one, other = (
                pose(performance, person.build, person.manner, float(phase), float(sway))
                for performance in drawn
            )
            assert set(one) == set(JOINTS)
            for joint in JOINTS:
                assert np.array_equal(one[joint], other[joint])

    def test_noise_is_all_that_differs_in_a_second_take(self, person: Person) -> None:
        noisy = dataclasses.replace(quiet_session(), noise=0.01)
        takes = [
            film(person, "squat-down", session, 8, np.random.default_rng(1)).astype(float)
            for session in (quiet_session(), noisy)
        ]
        spread = (takes[1] - takes[0]).std()
        assert 0.7 * 2.55 < spread < 1.3 * 2.55


class TestActions:
    @pytest.mark.parametrize("action", ACTIONS)
    def test_move_without_jumps(self, person: Person, action: str) -> None:
        """Joints move, and from one frame to the next by less than a fifth of the body."""
        performance = Performance.draw(action, 20, np.random.default_rng(0))
        poses = [
            pose(performance, person.build, person.manner, float(phase), 0.0)
            for phase in performance.phases(20, person.manner.tempo)
        ]
        paths = np.array([[p[joint] for joint in JOINTS] for p in poses])  # (20, joints, 3)
        steps = np.linalg.norm(np.diff(paths, axis=0), axis=2)
        assert steps.max() < 0.2
        assert np.ptp(paths, axis=0).max() > 0.1
        assert np.isfinite(paths).all()
        feet = paths[:, [JOINTS.index("left_foot"), JOINTS.index("right_foot")], 1]
        assert np.allclose(feet.min(1), 0), "someone stands on the floor"

    @pytest.mark.parametrize("action", ACTIONS)
    def test_bones_keep_their_lengths(self, person: Person, action: str) -> None:
        performance = Performance.draw(action, 20, np.random.default_rng(0))
        lengths = []
        for phase in performance.phases(20, person.manner.tempo):
            p = pose(performance, person.build, person.manner, float(phase), 0.7)
            lengths.append(
                [
                    np.linalg.norm(p[f"{side}_{a}"] - p[f"{side}_{b}"])
                    for side in ("left", "right")
                    for a, b in (("shoulder", "elbow"), ("elbow", "hand"), ("hip", "knee"))
                ]
            )
        assert np.allclose(lengths, lengths[0])

    def test_circles_turn_as_they_are_called(self, person: Person) -> None:
        """Clockwise as the camera sees it: rows grow downwards, so angles there grow too."""
        for action, sign in (("circle-clockwise", 1), ("circle-counterclockwise", -1)):
            for left_arm in (True, False):
                side = "left" if left_arm else "right"
                performance = Performance(action, 0.1, 0.04, 0.0, left_arm)
                camera = Camera(x=0, floor=0, scale=1, yaw=0)
                angles = []
                for phase in performance.phases(20, 1.0):
                    p = pose(performance, person.build, person.manner, float(phase), 0.0)
                    shoulder = camera.project(p[f"{side}_shoulder"])
                    hand = camera.project(p[f"{side}_hand"])
                    angles.append(np.arctan2(hand[1] - shoulder[1], hand[0] - shoulder[0]))
                turned = np.diff(np.unwrap(angles))
                assert (np.sign(turned) == sign).all()


class TestPeople:
    def test_no_two_are_alike(self) -> None:
        people = make_people(10, seed=0)
        assert len({p.shirt.base for p in people}) == 10
        assert len({p.build for p in people}) == 10
        assert len({p.manner for p in people}) == 10
        assert make_people(10, seed=0) == people
        assert make_people(10, seed=1) != people

    def test_colours_are_colours(self) -> None:
        for p in make_people(12, seed=3):
            for colour in (p.shirt.base, p.trousers.accent, p.shoes, p.skin, p.hair):
                assert all(0 <= channel <= 1 for channel in colour)

    def test_one_looks_like_oneself(self) -> None:
        """The same pose and place: two people differ by more than the sensor's noise."""
        people = make_people(4, seed=0)
        films = [
            film(p, "raise-arms", quiet_session(), 4, np.random.default_rng(2)).astype(float)
            for p in people
        ]
        for i in range(4):
            for j in range(i):
                assert abs(films[i] - films[j]).mean() > 2


class TestRendering:
    def drawn(self, person: Person, x: float, floor: float = 60.0) -> NDArray[np.float32]:
        performance = Performance("raise-arms", 0.4, 0.0, 0.0, True)
        image = np.zeros((SIZE, SIZE, 3), np.float32)
        joints = pose(performance, person.build, person.manner, 0.4, 0.0)
        draw_person(image, person, joints, Camera(x=x, floor=floor, scale=50, yaw=0.3))
        return image

    def test_values_stay_in_range(self, person: Person) -> None:
        image = self.drawn(person, 32)
        assert image.min() >= 0
        assert image.max() <= 1
        assert 0.05 < (image.sum(2) > 0).mean() < 0.5

    @pytest.mark.parametrize("way", ["across", "down"])
    def test_a_fraction_of_a_pixel_changes_the_picture_by_as_much(
        self, person: Person, way: str
    ) -> None:
        """Hard edges would stand still and then jump by a whole contrast."""
        steps = np.arange(0, 2, 0.05)
        images = [
            self.drawn(person, 32 + s) if way == "across" else self.drawn(person, 32, 58 + s)
            for s in steps
        ]
        changes = [abs(b - a) for a, b in pairwise(images)]
        assert max(change.max() for change in changes) < 0.2
        totals = [change.sum() for change in changes]
        assert max(totals) < 1.6 * min(totals), "it moves evenly, not now and then"
        light = np.array([image.sum() for image in images])
        assert np.ptp(light) < 0.01 * light.mean()

    def test_a_whole_pixel_is_a_shift(self, person: Person) -> None:
        one, other = self.drawn(person, 30), self.drawn(person, 31)
        assert np.allclose(one[:, :-1], other[:, 1:], atol=1e-5)

    def test_edges_are_soft(self, person: Person) -> None:
        plain = dataclasses.replace(person.shirt, base=(1, 1, 1), accent=(1, 1, 1), pattern="plain")
        white = dataclasses.replace(
            person, shirt=plain, trousers=plain, shoes=(1, 1, 1), skin=(1, 1, 1), hair=(1, 1, 1)
        )
        image = self.drawn(white, 32)[..., 0]
        faint = (image > 0.02) & (image < 0.5)
        assert faint.sum() > 50, "pixels that are covered in part"

    def test_out_of_the_picture_is_no_trouble(self, person: Person) -> None:
        assert self.drawn(person, -500).sum() == 0
        assert 0 < self.drawn(person, -5).sum() < self.drawn(person, 32).sum()


class TestSessions:
    def test_rooms_and_light_differ(self) -> None:
        sessions = [Session.draw(SIZE, SIZE, np.random.default_rng(n)) for n in range(4)]
        for i in range(4):
            assert sessions[i].room.shape == sessions[i].light.shape == (SIZE, SIZE, 3)
            assert sessions[i].room.min() >= 0
            assert sessions[i].room.max() <= 1
            assert sessions[i].noise > 0
            for j in range(i):
                assert abs(sessions[i].room - sessions[j].room).mean() > 0.03
                assert abs(sessions[i].light - sessions[j].light).mean() > 0.01

    def test_the_room_stands_still(self, person: Person) -> None:
        clip = film(person, "raise-arms", quiet_session(), 10, np.random.default_rng(0))
        still = (clip == clip[0]).all(axis=(0, 3))
        assert still.mean() > 0.4
        assert clip.dtype == np.uint8


def test_no_temporary_file_is_left(actors: Manifest) -> None:
    names = [name for _, _, files in os.walk(actors.root) for name in files]
    assert sorted(set(names)) == [
        "manifest.csv",
        "manifest.json",
        "session00.mkv",
        "session01.mkv",
        "session02.mkv",
    ]


class TestPauses:
    def test_what_is_between_the_actions_is_background(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(actors_module, "FOOTAGE", {"strolling": strolling})
        manifest = make_actors(
            tmp_path, people=2, train_sessions=1, validation_sessions=1, pauses=True
        )
        assert (manifest.name, manifest.background) == ("actors-with-pauses", BACKGROUND)
        assert manifest.root.name == "seed0-people2-pauses"
        assert set(manifest.actions) == {BACKGROUND, *ACTIONS}
        assert BACKGROUND not in {clip.action for clip in manifest.part(training=False)}
        assert manifest.held_out_background()
        person = make_people(2, seed=0)[1]
        session = Session.draw(96, 96, np.random.default_rng([0, 1, 1, 0]))
        rng = np.random.default_rng([0, 3, 1, 0, 0])
        drawn = list(film_footage(person, strolling, session, rng))
        video = manifest.root / "person01/session00-strolling.mkv"
        frames = read_clip(video, 0, count_frames(video))
        assert np.array_equal(frames, np.stack([instant.image for instant in drawn]))
        clips = [clip for clip in manifest.clips if video == manifest.root / clip.path]
        assert {clip.action for clip in clips} == {BACKGROUND, "walk-forward"}
        for clip in clips:
            inside = [instant.label for instant in drawn[clip.start : clip.end]]
            assert Counter(inside).most_common(1)[0][0] == clip.action

    def test_every_action_once_and_nobody_at_both_ends(self, person: Person) -> None:
        labels = footage_labels(person, acting, np.random.default_rng(3))
        found = stretches(labels)
        assert found == stretches(footage_labels(person, acting, np.random.default_rng(3)))
        assert [stretch.label == BACKGROUND for stretch in found] == [True, False] * 10 + [True]
        told = Counter(stretch.label for stretch in found)
        assert told == {BACKGROUND: 11, "walk-forward": 3} | {
            action: 1 for action in ACTIONS if action != "walk-forward"
        }
        assert [found[0].start, found[-1].end] == [0, len(labels)]

    def test_a_person_moves_without_jumps(self, person: Person) -> None:
        """A frame differs from the next by a few percent of its pixels; from a cut by far more."""
        rng = np.random.default_rng(2)
        filmed = film_footage(person, acting, quiet_session(), rng)
        images = np.stack([instant.image for instant in islice(filmed, 300)]).astype(int)
        changed = (abs(np.diff(images, axis=0)).max(3) > 12).mean((1, 2))
        assert 0.01 < changed.max() < 0.15
        empty = (images == images[0]).all((1, 2, 3))
        assert empty[:30].all()
        assert not empty[100:].any()
