"""An audit's plan, its attacks, and what they leave."""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from motionveil.audit.attack import Attack
from motionveil.audit.suites import SUITES, beside, faces
from motionveil.data.manifest import Manifest
from motionveil.data.ut_interaction import index
from motionveil.errors import MotionveilError
from motionveil.experiments.auditing.ground import Field
from motionveil.experiments.auditing.plan import FILE_NAME, AuditPlan, Job
from motionveil.experiments.auditing.run import FINDING, attack, audit
from motionveil.experiments.sweep.run import Submit
from motionveil.experiments.sweep.run_job import Task
from motionveil.findings import Audit, read_finding
from motionveil.geometry import Geometry
from motionveil.job_store import Record, Status
from motionveil.spec import load_spec
from motionveil.training.processes import make_fabric
from tiny import tiny_recipe, write_toys

CONSTANT = "def veil(frames):\n    return frames * 0 + 99\n"


class InThisProcess:
    """An engine that carries out each attack at once, in this process."""

    def __init__(self, failing: str = "", reason: str = "") -> None:
        self.failing, self.reason = failing, reason
        self.carried_out: list[str] = []

    def __enter__(self) -> Submit:
        return self.submit

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, task: Task) -> Future[Record | None]:
        asked = task.run
        _, plan_file, name, _, video, _, key = asked.words
        plan = AuditPlan.read(Path(plan_file))
        job = Job(plan.attack(name), video)  # type: ignore[arg-type]
        assert plan.key_of(job) == key
        self.carried_out.append(asked.name)
        failed = asked.name == self.failing
        if not failed:
            attack(plan, job, asked.folder, make_fabric("cpu"))
        status: Status = "failed" if failed else "done"
        ended = Record(status, reason=self.reason or None, seconds=2.0, attempts=1)
        future: Future[Record | None] = Future()
        future.set_result(asked.job.write(ended))
        return future


@pytest.fixture
def plan(tmp_path: Path) -> AuditPlan:
    manifest = write_toys(tmp_path / "toys", people=3)
    return plan_of(str(manifest.file))


def plan_of(manifest: str, encoder: str = "bdq", **changes: object) -> AuditPlan:
    recipe = tiny_recipe()
    values = {
        "encoder": encoder,
        "manifest": manifest,
        "recipe": recipe,
        "label": "person",
        "split": "validation",
        "device": "cpu",
        "suite": "quick",
        "attacks": tuple(
            a for a in SUITES["quick"](recipe) if a.name in ("frame", "clip", "h264-28", "action")
        ),
    }
    return AuditPlan.model_validate(values | changes)


def run(
    plan: AuditPlan, out: Path, engine: InThisProcess | None = None, raw_from: Path | None = None
) -> Audit:
    found, _ = audit(
        plan,
        out,
        engine or InThisProcess(),
        make_fabric("cpu"),
        command="test",
        workers=1,
        raw_from=raw_from,
    )
    return found


def test_every_attack_on_veiled_and_raw_video(plan: AuditPlan, tmp_path: Path) -> None:
    found = run(plan, tmp_path / "out")
    names = {(f.name, f.video) for f in found.attacks}
    assert names == {
        *((name, "veiled") for name in ("frame", "clip", "h264-28", "action")),
        *((name, "raw") for name in ("frame", "clip", "action")),
    }
    for finding in found.attacks:
        assert [a.clip for a in finding.answers] == [
            c.key
            for c in Field(plan, make_fabric("cpu")).manifest.part("validation", training=False)
        ]
        assert finding.label == ("action" if finding.name == "action" else "person")
        assert finding.trained_on == 18
    assert Audit.read(tmp_path / "out") == found
    assert found.spec is not None
    assert found.spec["method"] == "bdq"
    assert (found.order, found.geometry) == ("camera", Geometry(size=64, rate=15))
    assert found.seconds == 2.0 * 7
    assert found.strongest is not None
    rivals = {f.name: f.judgement.clip.value for f in found.attacks if f.video == "veiled"}
    del rivals["action"]
    assert found.strongest.naive == max(rivals.values()) >= found.strongest.accuracy.value
    assert set(found.strongest.chosen) <= set(rivals)


def test_the_surest_frames_are_drawn(tmp_path: Path) -> None:
    """Raw video under another name: some of it is recognised, and the frames are those filmed."""
    manifest = write_toys(tmp_path / "toys", people=3)
    attacks = tuple(a for a in SUITES["quick"](tiny_recipe(epochs=16)) if a.name == "frame")
    found = run(plan_of(str(manifest.file), "raw", attacks=attacks), tmp_path / "out")
    veiled, raw = sorted(found.attacks, key=lambda f: f.video, reverse=True)
    assert (raw.picture, raw.picture_with_original) == ("", "")
    folder = tmp_path / "out/attacks/frame-veiled"
    small, large = (imread(folder / n) for n in (veiled.picture, veiled.picture_with_original))
    assert small.shape[1] == large.shape[1]
    assert large.shape[0] > 1.5 * small.shape[0]


def test_other_labels_are_attacked_beside(plan: AuditPlan, tmp_path: Path) -> None:
    manifest = Field(plan, make_fabric("cpu")).manifest
    further = beside(plan.recipe, manifest, "validation", "person")
    assert [a.name for a in further] == ["frame-hand", "clip-hand"]
    both = plan.model_copy(update={"attacks": (*plan.attacks[:1], *further)})
    found = run(both, tmp_path / "out")
    assert {(f.name, f.label, f.video) for f in found.beside} == {
        (name, "hand", video) for name in ("frame-hand", "clip-hand") for video in ("veiled", "raw")
    }
    assert {f.name for f in found.attacks} == {"frame"}
    assert found.strongest is not None
    assert found.strongest.chosen == ["frame"]
    assert [(c.column, c.shared) for c in found.confounds] == [("group", 0), ("hand", 12)]


def test_attacks_across_recordings_stand_apart(plan: AuditPlan, tmp_path: Path) -> None:
    """Where takes are in both parts, the recording tells the person, and is taken away."""
    toys = Manifest.read(plan.manifest)
    mixed = [
        replace(clip, split="validation" if clip.action == "left" else "train")
        for clip in toys.clips
    ]
    manifest = replace(toys, clips=tuple(mixed)).write(toys.root / "mixed.csv")
    further = beside(plan.recipe, Manifest.read(manifest), "validation", "person")
    assert [a.name for a in further if a.across] == [
        f"{kind}-{way}-group" for way in ("across", "within") for kind in ("frame", "clip")
    ]
    frames = [a for a in further if a.across and not a.temporal]
    crossed = plan.model_copy(
        update={"attacks": (plan.attacks[0], *frames), "manifest": str(manifest)}
    )
    found = run(crossed, tmp_path / "out")
    assert {(f.name, f.video) for f in found.crossings} == {
        (a.name, video) for a in frames for video in ("veiled", "raw")
    }
    assert {f.name for f in found.attacks} == {"frame"}
    clips = {a.clip for a in found.crossings[0].answers}
    assert clips == {clip.key for clip in mixed if clip.split == "validation"}


def test_what_is_done_is_not_done_again(plan: AuditPlan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fewer = plan.model_copy(update={"attacks": plan.attacks[:1]})
    first = InThisProcess()
    run(fewer, out, first)
    assert first.carried_out == ["frame-veiled", "frame-raw"]
    second = InThisProcess()
    found = run(plan, out, second)
    assert not set(first.carried_out) & set(second.carried_out)
    assert len(found.attacks) == 7


def at_the_recipe_s(plan: AuditPlan, folder: Path) -> AuditPlan:
    """Return the plan with an encoder at the size and rate of an audit whose encoder has none."""
    spec = load_spec("bdq").model_copy(update={"geometry": Geometry(size=16, rate=25)})
    return plan.model_copy(update={"encoder": str(spec.save(folder / "encoder.json"))})


def test_raw_video_is_attacked_once_for_several_encoders(plan: AuditPlan, tmp_path: Path) -> None:
    plan = at_the_recipe_s(plan, tmp_path)
    first, fewer = tmp_path / "first", plan.model_copy(update={"attacks": plan.attacks[:2]})
    raw = {f.name: f for f in run(fewer, first).attacks if f.video == "raw"}
    engine = InThisProcess()
    other = plan.model_copy(update={"encoder": "dvs-0.4"})
    found = run(other, tmp_path / "second", engine, raw_from=first)
    assert {name for name in engine.carried_out if name.endswith("-raw")} == {"action-raw"}
    taken = {f.name: f for f in found.attacks if f.video == "raw"}
    assert taken.keys() == {"frame", "clip", "action"}
    assert all(taken[name] == raw[name] for name in raw)
    assert (found.raw_from, found.seconds) == (str(first), 2.0 * 5)
    # It is what an attack of one's own would have found.
    alone = {f.name: f for f in run(other, tmp_path / "alone").attacks if f.video == "raw"}
    assert all(taken[name].answers == alone[name].answers for name in alone)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"seed": 1}, "the audits differ in seed"),
        ({"label": "hand", "split": "validation"}, "the audits differ in label"),
        ({"encoder": "raw"}, "its attackers saw 5 frames of a clip, this audit's see 6"),
        (
            {"encoder": "bdq"},
            "is at 16 pixels, 25 frames/s, this one at 64 pixels, 15 frames/s",
        ),
    ],
)
def test_other_findings_on_raw_video_are_refused(
    plan: AuditPlan, tmp_path: Path, changes: dict[str, object], fault: str
) -> None:
    few = at_the_recipe_s(plan, tmp_path).model_copy(update={"attacks": plan.attacks[:1]})
    run(few, tmp_path / "first")
    other = few.model_copy(update=changes)
    with pytest.raises(MotionveilError, match=fault):
        run(other, tmp_path / "second", raw_from=tmp_path / "first")


def test_an_attack_that_is_another_is_not_taken_over(plan: AuditPlan, tmp_path: Path) -> None:
    few = plan.model_copy(update={"attacks": plan.attacks[:1]})
    run(few, tmp_path / "first")
    changed = few.model_copy(update={"attacks": (few.attacks[0].model_copy(update={"crops": 1}),)})
    engine = InThisProcess()
    found = run(changed, tmp_path / "second", engine, raw_from=tmp_path / "first")
    assert engine.carried_out == ["frame-veiled", "frame-raw"]
    assert found.raw_from == ""


def test_another_audit_in_the_same_folder_is_refused(plan: AuditPlan, tmp_path: Path) -> None:
    fewer = plan.model_copy(update={"attacks": plan.attacks[:1]})
    run(fewer, tmp_path / "out")
    with pytest.raises(MotionveilError, match="the folder holds another job"):
        run(fewer.model_copy(update={"seed": 1}), tmp_path / "out")
    assert AuditPlan.read(tmp_path / "out" / FILE_NAME) == fewer


def test_one_that_fails_is_named_and_stops_no_other(plan: AuditPlan, tmp_path: Path) -> None:
    engine = InThisProcess(failing="clip-veiled", reason="loss_privacy is nan")
    found = run(plan, tmp_path / "out", engine)
    assert found.failed == {"clip-veiled": "loss_privacy is nan"}
    assert len(found.attacks) == 6


def test_a_veil_that_leaves_nothing_gives_the_floor(tmp_path: Path) -> None:
    """A function of one's own, whose frames do not depend on what was filmed."""
    manifest = write_toys(tmp_path / "toys", people=3)
    (tmp_path / "mine.py").write_text(CONSTANT)
    plan = plan_of(str(manifest.file), f"{tmp_path / 'mine.py'}:veil")
    found = run(plan, tmp_path / "out")
    assert found.spec is None
    for finding in found.attacks:
        if finding.video == "veiled":
            judged = finding.judgement
            assert judged.clip.value == pytest.approx(judged.floor)
            assert judged.p == 1
            assert judged.bits.value < 0.05


def test_video_that_somebody_else_has_veiled(plan: AuditPlan, tmp_path: Path) -> None:
    """Here raw video under another name: it is attacked as it is."""
    theirs = plan.model_copy(
        update={"veiled": str(Path(plan.manifest).parent), "encoder": "theirs"}
    )
    field = Field(theirs, make_fabric("cpu"))
    assert field.frames == 6
    for clip in field.manifest.clips:
        assert np.array_equal(field.veiled.frames(clip), field.filmed.frames(clip))
        assert np.array_equal(field.original.frames(clip), field.filmed.frames(clip))


def test_attackers_see_the_frames_that_are_left(plan: AuditPlan) -> None:
    field = Field(plan, make_fabric("cpu"))
    assert field.frames == 5
    short = plan.model_copy(update={"recipe": tiny_recipe(frames=2)})
    with pytest.raises(MotionveilError, match=r"1 veiled frames are left .* set frames=3 or more"):
        _ = Field(short, make_fabric("cpu")).frames


def test_a_plan_is_read_as_it_was_written(plan: AuditPlan, tmp_path: Path) -> None:
    assert AuditPlan.read(plan.write(tmp_path)) == plan


def test_a_finding_lies_in_its_folder(plan: AuditPlan, tmp_path: Path) -> None:
    job = Job(plan.attack("frame"), "raw")
    found = attack(plan, job, tmp_path / "alone", make_fabric("cpu"))
    assert read_finding(tmp_path / "alone" / FINDING) == found
    assert json.loads((tmp_path / "alone" / FINDING).read_text())["finding"]["video"] == "raw"


@pytest.mark.parametrize("name", SUITES)
def test_the_attacks_of_a_suite_have_names_of_their_own(name: str) -> None:
    attacks: list[Attack] = SUITES[name](tiny_recipe())
    assert len({attack.name for attack in attacks}) == len(attacks) >= 5


def test_people_are_found_again(tmp_path: Path) -> None:
    manifest = write_toys(tmp_path / "toys", people=4)
    attacks = [a for a in SUITES["quick"](tiny_recipe()) if a.kind == "retrieve"]
    plan = plan_of(str(manifest.file), attacks=tuple(attacks))
    found = run(plan, tmp_path / "out")
    assert found.attacks == []
    assert {(f.name, f.video) for f in found.retrievals} == {
        (attack.name, video) for attack in attacks for video in ("veiled", "raw")
    }
    assert Audit.read(tmp_path / "out") == found


def test_the_original_is_reconstructed(tmp_path: Path) -> None:
    manifest = write_toys(tmp_path / "toys", people=4)
    attacks = [a for a in SUITES["quick"](tiny_recipe()) if a.kind == "reconstruct"]
    plan = plan_of(str(manifest.file), attacks=tuple(attacks))
    found = run(plan, tmp_path / "out")
    (finding,) = found.reconstructions
    assert finding.known.clips + finding.strangers.clips == 16
    for likeness in (finding.known, finding.strangers):
        assert likeness.psnr.interval[0] <= likeness.psnr.value <= likeness.psnr.interval[1]
    folder = tmp_path / "out" / "attacks" / "reconstruction-veiled"
    small, large = (
        imread(folder / name) for name in (finding.picture, finding.picture_with_original)
    )
    assert small.shape[0] == large.shape[0]
    assert small.shape[1] < large.shape[1]
    assert Audit.read(tmp_path / "out") == found


@pytest.mark.slow
def test_real_faces_are_found_in_raw_video_and_hardly_in_veiled(
    ut_interaction: Path, pretrained: Path, tmp_path: Path
) -> None:
    whole = index(ut_interaction)
    some = tuple(clip for clip in whole.clips if clip.privacy["pair"] in ("pair01", "pair02"))
    manifest = replace(whole, clips=some).write(tmp_path / "manifest.csv")
    recipe = tiny_recipe()
    look = faces(
        recipe,
        str(pretrained / "yunet_n_640.onnx"),
        str(pretrained / "dlib_face_resnet29.safetensors"),
    )
    plan = plan_of(str(manifest), attacks=(look,), label="pair", split="fold0")
    (found,) = run(plan, tmp_path / "out").faces
    assert found.original.value >= 0.8
    assert found.veiled.value <= 0.3
    assert found.naming is not None
    assert found.naming.original.value > found.naming.veiled.value


def test_the_jobs_of_two_attacks_differ(plan: AuditPlan, tmp_path: Path) -> None:
    runs = plan.runs(tmp_path)
    assert len({run.job.key for run in runs}) == len(runs) == 7
