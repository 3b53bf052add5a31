"""A study's folder: what is in it, what it shows, and what it does not tell."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.datasets.actors import make_actors
from motionveil.datasets.manifest import Clip, Manifest
from motionveil.errors import MotionveilError
from motionveil.geometry import Geometry
from motionveil.spec import load_spec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.study.clips import ClipWriter
from motionveil.study.create import Plan, create_study
from motionveil.study.design import Condition, Key, Study, read_key, read_study
from motionveil.study.option_images import SIDE, marked
from motionveil.video import count_frames, read_clip, read_frames
from videos import moving_square, write_pictures

SPEC = load_spec("bdq")
PLAN = Plan(SPEC, "identity", numbers={"veiled": 3, "raw": 2}, options=3, checks=1, seed=4)


@pytest.fixture(scope="module")
def actors(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("actors")
    made = make_actors(folder, people=3, train_sessions=1, validation_sessions=1)
    short = tuple(replace(clip, end=clip.start + 8) for clip in made.clips)
    return Manifest(made.name, made.root, short)


@pytest.fixture(scope="module")
def made(actors: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "study"
    create_study(actors, PLAN, folder)
    return folder


@pytest.fixture(scope="module")
def study(made: Path) -> Study:
    return read_study(made)


@pytest.fixture(scope="module")
def key(made: Path, study: Study) -> Key:
    return read_key(made, study)


def averaged(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a square frame made smaller by averaging areas, rounded half up."""
    size = len(frame)
    low, high = np.arange(side)[:, None] * size, np.arange(size)[None] * side
    shared = np.minimum(low + size, high + side) - np.maximum(low, high)
    weights = np.maximum(shared, 0)
    sums = np.einsum("yh,hwc,xw->yxc", weights, frame.astype(np.int64), weights, optimize=True)
    return ((2 * sums + size**2) // (2 * size**2)).astype(np.uint8)


def clip_of(manifest: Manifest, source: str) -> Clip:
    return next(clip for clip in manifest.clips if clip.key == source)


class TestFolder:
    def test_is_for_its_owner_only(self, made: Path):
        for folder in (made, made / "media", made / "pictures"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not list(made.parent.glob(".*"))

    def test_has_every_file_that_the_study_names_and_no_other(self, made: Path, study: Study):
        clips = {f"{q.clip}{suffix}" for q in study.questions for suffix in (".mp4", ".webm")}
        assert {file.name for file in (made / "media").iterdir()} == clips
        images = {person.picture for person in study.people}
        assert {file.name for file in (made / "pictures").iterdir()} == images

    def test_no_name_and_no_order_tells_who_is_right(self, made: Path, study: Study, key: Key):
        text = (made / "study.json").read_text()
        assert not [name for name in {*key.names.values()} if name in text]
        for question in study.questions:
            assert question.options == sorted(question.options)
        assert [q.id for q in study.questions] == sorted(q.id for q in study.questions)
        stems = [q.clip for q in study.questions]
        assert all(re.fullmatch("[a-z0-9]{8}", stem) for stem in stems)

    def test_is_left_alone_when_it_is_there(self, actors: Manifest, made: Path):
        before = {file: file.stat().st_mtime_ns for file in made.rglob("*")}
        with pytest.raises(MotionveilError, match="already exists"):
            create_study(actors, PLAN, made)
        assert {file: file.stat().st_mtime_ns for file in made.rglob("*")} == before

    def test_appears_whole_or_not_at_all(self, actors: Manifest, tmp_path: Path):
        gone = [replace(clip, path=f"gone/{clip.path}") for clip in actors.clips]
        portraits = tmp_path / "portraits"
        portraits.mkdir()
        for name in actors.names_of("identity"):
            (portraits / f"{name}.png").write_bytes(png(np.zeros((9, 9, 3), np.uint8)))
        with pytest.raises(MotionveilError, match="gone/person"):
            create_study(
                Manifest("gone", actors.root, tuple(gone)),
                replace(PLAN, images=portraits),
                tmp_path / "study",
            )
        assert [file.name for file in tmp_path.iterdir()] == ["portraits"]


class TestKey:
    def test_names_whom_the_clip_shows(self, actors: Manifest, study: Study, key: Key):
        for question in study.of_kind("question"):
            answer = key.questions[question.id]
            clip = clip_of(actors, answer.source)
            assert [key.names[person] for person in answer.persons] == [clip.privacy["identity"]]
            assert answer.action == clip.action
            assert clip.split == "validation"

    def test_of_a_check_are_those_with_the_mark(self, study: Study, key: Key):
        marks = {person.id for person in study.people if person.marked}
        (check,) = study.of_kind("attention")
        assert marks & set(check.options) == set(key.questions[check.id].persons)
        for question in study.of_kind("question"):
            assert not marks & set(question.options)

    def test_no_picture_is_of_a_clip_that_is_asked_about(self, study: Study, key: Key):
        asked = {answer.source for answer in key.questions.values()}
        videos = {source.partition("#")[0] for source in asked}
        for source in key.portraits.values():
            assert source.partition(",")[0] not in videos

    def test_no_picture_is_of_a_clip_that_is_asked_about_where_all_parts_are(
        self, actors: Manifest, tmp_path: Path
    ):
        clips = [clip for clip in actors.clips if clip.split == "validation"]
        few = Manifest(actors.name, actors.root, tuple(clips[:3] + clips[8:11] + clips[16:19]))
        plan = replace(PLAN, numbers={"veiled": 5}, checks=0, split="all")
        _, key = create_study(few, plan, tmp_path / "study")
        asked = {answer.source for answer in key.questions.values()}
        assert len(asked) == 6  # with the example: all that are left
        for source in key.portraits.values():
            path, _, frame = source.partition(", frame ")
            clip = next(c for c in clips if c.path == path and c.start <= int(frame) < c.end)
            assert clip.key not in asked
        with pytest.raises(MotionveilError, match="only 6 clips"):
            create_study(few, replace(plan, numbers={"veiled": 6}), tmp_path / "more")

    def test_the_same_seed_asks_the_same(
        self, actors: Manifest, key: Key, study: Study, tmp_path: Path
    ):
        again, key_again = create_study(actors, PLAN, tmp_path / "again")
        asked, asked_again = (
            sorted((q.condition, q.kind, k.questions[q.id].source) for q in s.questions)
            for s, k in ((study, key), (again, key_again))
        )
        assert asked == asked_again
        assert {q.id for q in study.questions} != {q.id for q in again.questions}


class TestClips:
    @pytest.mark.parametrize("suffix", [".mp4", ".webm"])
    def test_play_in_every_browser(self, made: Path, study: Study, suffix: str):
        codec = {".mp4": "h264", ".webm": "vp9"}[suffix]
        with av.open(str(made / "media" / f"{study.questions[0].clip}{suffix}")) as container:
            (stream,) = container.streams
            assert stream.codec_context.name in (codec, "libvpx-vp9")
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert stream.width == stream.height == 320  # 64, five times as large
            assert not {*container.metadata} - {
                "major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER"
            }  # fmt: skip

    def test_show_what_their_condition_says(
        self, actors: Manifest, made: Path, study: Study, key: Key
    ):
        for question in study.questions:
            clip = clip_of(actors, key.questions[question.id].source)
            source = list(read_frames(actors.root / clip.path, clip.start, clip.end))
            # 96 x 96 pixels as they were filmed, the encoder works at 64 x 64, and at their rate.
            frames = np.stack([averaged(frame.image, 64) for frame in source])
            if question.condition == "veiled":
                encoder = StreamEncoder(SPEC, native=True, guard=Guard())
                veiled = [encoder(f, time=s.time) for f, s in zip(frames, source, strict=True)]
                frames = np.stack([image for image in veiled if image is not None])
            for suffix in (".mp4", ".webm"):
                shown = read_clip(made / "media" / f"{question.clip}{suffix}")
                assert len(shown) == clip.length - 1
                small = shown.reshape(len(shown), 64, 5, 64, 5, 3).mean((2, 4))
                assert np.abs(small - frames[1:]).mean() < 6

    @pytest.mark.parametrize("condition", ["veiled", "raw"])
    def test_are_at_the_encoder_s_size_and_rate(
        self, actors: Manifest, tmp_path: Path, condition: Condition
    ):
        spec = SPEC.model_copy(update={"geometry": Geometry(size=48, rate=5)})
        plan = replace(PLAN, spec=spec, numbers={condition: 1}, checks=0, options=None)
        study, _ = create_study(actors, plan, tmp_path / "study")
        (question,) = study.of_kind("question")
        file = tmp_path / "study" / "media" / f"{question.clip}.mp4"
        assert count_frames(file) == 2  # of 8 at 15 per second, each third but the first
        frames = list(read_frames(file))
        assert frames[0].image.shape == (336, 336, 3)
        assert frames[1].time - frames[0].time == pytest.approx(0.2)
        assert study.options == 3

    def test_of_an_encoder_without_a_geometry_are_refused(self, actors: Manifest, tmp_path: Path):
        plan = replace(PLAN, spec=SPEC.model_copy(update={"geometry": None}))
        with pytest.raises(MotionveilError, match=r'add "geometry": .* to its encoder.json'):
            create_study(actors, plan, tmp_path / "study")
        assert not (tmp_path / "study").exists()

    def test_of_one_frame_only_are_refused(self, actors: Manifest, tmp_path: Path):
        spec = SPEC.model_copy(update={"geometry": Geometry(size=64, rate=1)})
        plan = replace(PLAN, spec=spec, numbers={"veiled": 1}, checks=0)
        with pytest.raises(MotionveilError, match="one frame only; a clip needs two"):
            create_study(actors, plan, tmp_path / "study")

    def test_of_pictures_have_the_rate_of_the_data_set(self, tmp_path: Path):
        write_pictures(tmp_path / "shots", moving_square(9))
        clip = Clip("shots", 0, 9, "run", {"person": "p"}, "g", "train")
        for rate, every in ((15, 1), (30, 2)):
            stem = tmp_path / f"at{rate}"
            ClipWriter(tmp_path, SPEC, None, picture_rate=rate).write(clip, "raw", stem)
            times = [frame.time for frame in read_frames(stem.with_suffix(".mp4"))]
            assert len(times) == len(range(9)[::every]) - 1
            assert times[1] - times[0] == pytest.approx(1 / 15, abs=1e-4)


class TestPictures:
    def test_are_small_squares(self, made: Path, study: Study):
        for person in study.people:
            assert read_clip(made / "pictures" / person.picture).shape == (1, SIDE, SIDE, 3)

    def test_a_mark_is_plain_to_see(self):
        grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
        changed = (marked(grey) != grey).any(axis=2)
        assert 0.15 < changed.mean() < 0.6

    def test_of_the_users_own_are_taken(self, actors: Manifest, tmp_path: Path):
        for number, name in enumerate(actors.names_of("identity")):
            image = np.full((40, 60, 3), 80 * number, np.uint8)
            image[:, :10] = image[:, -10:] = 255  # cut off: the middle square is taken
            (tmp_path / f"{name}.png").write_bytes(png(image))
        plan = replace(PLAN, numbers={"veiled": 1}, checks=0, images=tmp_path)
        study, key = create_study(actors, plan, tmp_path / "study")
        for person in study.people:
            (image,) = read_clip(tmp_path / "study" / "pictures" / person.picture)
            number = actors.names_of("identity").index(key.names[person.id])
            assert np.abs(image.astype(int) - 80 * number).max() < 12

    def test_somebody_without_one_is_named(self, actors: Manifest, tmp_path: Path):
        with pytest.raises(MotionveilError, match="no image of 'person00'"):
            create_study(actors, replace(PLAN, images=tmp_path), tmp_path / "study")

    def test_are_cut_where_boxes_say(self, actors: Manifest, tmp_path: Path):
        lines = ["path,frame,person,x,y,width,height"]
        for name in actors.names_of("identity"):
            clip = next(c for c in actors.clips if c.privacy["identity"] == name)
            lines.append(f"{clip.path},3,{name},30,20,32,32")
        (tmp_path / "boxes.csv").write_text("\n".join(lines))
        plan = replace(PLAN, numbers={"veiled": 1}, checks=0, boxes=tmp_path / "boxes.csv")
        study, key = create_study(actors, plan, tmp_path / "study")
        person = study.people[0]
        source = key.portraits[key.names[person.id]].partition(",")[0]
        frame = read_clip(actors.root / source, 3, 4)[0]
        (image,) = read_clip(tmp_path / "study" / "pictures" / person.picture)
        small = image.reshape(32, 8, 32, 8, 3).mean((1, 3))
        assert np.abs(small - frame[20:52, 30:62]).mean() < 8

    @pytest.mark.parametrize(
        ("line", "fault"),
        [
            ("nowhere.mkv,3,person00,1,1,9,9", "has no such video"),
            ("{path},3,person00,1,1,nine,9", "a box is four numbers"),
            ("{path},x,person00,1,1,9,9", "frame is 'x'"),
            ("{path},3,person00,200,1,9,9", "is not in its frame of 96x96"),
            ("{path},3,somebody,1,1,9,9", "no box of 'person00'"),
        ],
    )
    def test_boxes_at_fault_are_named(
        self, actors: Manifest, tmp_path: Path, line: str, fault: str
    ):
        text = line.format(path=actors.clips[0].path)
        (tmp_path / "boxes.csv").write_text(f"path,frame,person,x,y,width,height\n{text}\n")
        with pytest.raises(MotionveilError, match=f"boxes.csv.*{fault}"):
            create_study(actors, replace(PLAN, boxes=tmp_path / "boxes.csv"), tmp_path / "study")


class TestPlan:
    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"options": 4}, "there are 3 people, 1 of them in a clip; choose 2 to 3"),
            ({"options": 1}, "choose 2 to 3"),
            ({"title": "x" * 201}, "--title: has 201 characters"),
            ({"numbers": {"veiled": 0}}, "no questions"),
            ({"numbers": {"face-blurred": 1}}, "--face-blurred needs --face-detector"),
            (
                {"numbers": {"veiled": 25}},
                "25 questions and a worked example requested, but only 24",
            ),
            ({"split": "fold7"}, "no split 'fold7'"),
            ({"label": "shoe"}, "no privacy label 'shoe'"),
            ({"spec": load_spec("raw")}, "passes video through unveiled"),
            ({"persons": 2}, "give --who"),
        ],
    )
    def test_that_does_not_fit_is_refused(
        self, actors: Manifest, tmp_path: Path, changes: dict[str, object], fault: str
    ):
        with pytest.raises(MotionveilError, match=fault):
            create_study(actors, replace(PLAN, **changes), tmp_path / "study")  # type: ignore[arg-type]
        assert not list(tmp_path.iterdir())


class TestUtInteraction:
    """Real video of two people: the sides tell who is who, at the beginning of a clip."""

    @pytest.fixture
    def pairs(self, ut_interaction: Path) -> Manifest:
        names = {  # clip: pair, split
            "4_1_0": ("pair01", "train"),
            "2_1_1": ("pair01", "validation"),
            "8_2_0": ("pair02", "train"),
            "10_2_1": ("pair02", "validation"),
        }
        clips = [
            Clip(f"segmented_set1/{name}.avi", 0, 12, "hug", {"pair": pair}, pair, split)
            for name, (pair, split) in names.items()
        ]
        return Manifest("ut-interaction", ut_interaction, tuple(clips))

    def plan(self, **values: object) -> Plan:
        plan = Plan(load_spec("bdq-ut"), "pair", persons=2, options=4, checks=0)
        return replace(plan, numbers={"veiled": 1}, **values)  # type: ignore[arg-type]

    def test_both_people_are_asked_for(self, pairs: Manifest, tmp_path: Path):
        study, key = create_study(pairs, self.plan(), tmp_path / "study")
        (question,) = study.of_kind("question")
        pair = clip_of(pairs, key.questions[question.id].source).privacy["pair"]
        expected = {
            "pair01": {"grey T-shirt", "white T-shirt"},
            "pair02": {"white shirt", "dark stripes"},
        }
        names = {key.names[person] for person in key.questions[question.id].persons}
        assert names == expected[pair]
        assert set(key.names.values()) == expected["pair01"] | expected["pair02"]

    def test_faces_are_found_on_their_side(self, pairs: Manifest, tmp_path: Path, pretrained: Path):
        pytest.importorskip("onnxruntime")
        detector = pretrained / "yunet_n_640.onnx"
        plan = replace(self.plan(detector=detector), numbers={"face-blurred": 1})
        study, key = create_study(pairs, plan, tmp_path / "study")
        assert study.faces_found is not None
        assert study.faces_found > 0.5
        person = next(p for p in study.people if key.names[p.id] == "white shirt")
        (image,) = read_clip(tmp_path / "study" / "pictures" / person.picture)
        # Black hair above, skin in the middle, the white shirt below.
        assert image[:60, 40:120].mean() < 110
        assert image[-20:, 20:80].mean() > 150


def png(image: np.ndarray) -> bytes:
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = image.shape[1], image.shape[0], "rgb24"
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
