"""An audit's plan, its attacks, and what they leave."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from motionveil.audit_results import Audit, FaceSearch, Reconstruction, Retrieval
from motionveil.datasets.loaders.ut_interaction import index
from motionveil.datasets.manifest import Manifest
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import attack_kinds, read_attack
from motionveil.evaluation.attacks.faces import Faces
from motionveil.evaluation.audit import PLAN, AuditPlan, audit, job_of
from motionveil.evaluation.data import AuditData
from motionveil.evaluation.executors import Executor, in_processes, in_this_process
from motionveil.evaluation.suites import SUITES, beside, read_suite
from motionveil.geometry import Geometry
from motionveil.report import write_audit
from motionveil.spec import load_spec
from motionveil.training.distributed import make_fabric
from tiny import tiny_recipe, write_toys

pytestmark = pytest.mark.slow  # whole audits

CONSTANT = "def veil(frames):\n    return frames * 0 + 99\n"


PLUGIN = """
from __future__ import annotations
from typing import ClassVar
from motionveil.audit_results import CHANCE, Column, Finding
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import Attack
from motionveil.evaluation.data import AttackData

class Brightness(Attack):
    description: ClassVar[str] = "The mean brightness of all clips."
    kind: str = "brightness"
    fails: bool = False

    def run(self, data: AttackData) -> Finding:
        if self.fails:
            raise MotionveilError("nothing is bright")
        clips = data.clips(training=False, drawn=False)
        mean = float(clips.load([0], seed=0, epoch=0).clips.mean())
        columns = [Column.share("Brightness, %", mean), Column.share(CHANCE, 0.5)]
        return self.finding(data, columns=columns, seconds=0.1)
"""


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
    plan: AuditPlan,
    out: Path,
    carried_out: list[str] | None = None,
    raw_from: Path | None = None,
    runner: Executor = in_this_process,
    **options: bool,
) -> Audit:
    """Carry out a plan; the names of the attacks that were carried out are added to a list."""
    lines: list[str] = [] if carried_out is None else carried_out
    return audit(
        plan,
        out,
        make_fabric("cpu"),
        command="test",
        workers=1,
        raw_from=raw_from,
        run=runner,
        progress=lambda line: lines.append(line.split()[0]),
        **options,
    )


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    """A kind of attack in a file of the user's own."""
    (tmp_path / "brightness.py").write_text(PLUGIN)
    return f"{tmp_path / 'brightness.py'}:Brightness"


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
            for c in AuditData(plan, make_fabric("cpu")).manifest.part("validation", training=False)
        ]
        assert finding.label == ("action" if finding.name == "action" else "person")
        assert finding.trained_on == 18
    assert Audit.read(tmp_path / "out") == found
    assert found.spec is not None
    assert found.spec["method"] == "bdq"
    assert (found.order, found.geometry) == ("camera", Geometry(size=64, rate=15))
    assert found.seconds > 0
    assert found.strongest is not None
    candidates = {f.name: f.scores.clip.value for f in found.attacks if f.video == "veiled"}
    del candidates["action"]
    assert found.strongest.naive == max(candidates.values()) >= found.strongest.accuracy.value
    assert set(found.strongest.chosen) <= set(candidates)


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
    manifest = AuditData(plan, make_fabric("cpu")).manifest
    further = beside(plan.recipe, manifest, "validation", "person")
    assert [a.name for a in further] == ["frame-hand", "clip-hand"]
    both = plan.model_copy(update={"attacks": (*plan.attacks[:1], *further)})
    found = run(both, tmp_path / "out")
    assert {(f.name, f.label, f.video) for f in found.other_labels} == {
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
    assert [a.name for a in further if getattr(a, "across", "")] == [
        f"{kind}-{way}-group" for way in ("across", "within") for kind in ("frame", "clip")
    ]
    frames = [a for a in further if getattr(a, "across", "") and not getattr(a, "temporal", True)]
    crossed = plan.model_copy(
        update={"attacks": (plan.attacks[0], *frames), "manifest": str(manifest)}
    )
    found = run(crossed, tmp_path / "out")
    assert {(f.name, f.video) for f in found.crossed} == {
        (a.name, video) for a in frames for video in ("veiled", "raw")
    }
    assert {f.name for f in found.attacks} == {"frame"}
    clips = {a.clip for a in found.crossed[0].answers}
    assert clips == {clip.key for clip in mixed if clip.split == "validation"}


def test_what_is_done_is_not_done_again(plan: AuditPlan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fewer = plan.model_copy(update={"attacks": plan.attacks[:1]})
    first: list[str] = []
    run(fewer, out, first)
    assert first == ["frame-veiled", "frame-raw"]
    second: list[str] = []
    found = run(plan, out, second)
    assert not set(first) & set(second)
    assert len(found.attacks) == 7
    third: list[str] = []
    assert run(plan, out, third) == found
    assert third == []


def test_an_interrupted_audit_keeps_what_is_done(plan: AuditPlan, tmp_path: Path) -> None:
    def stopped(work, calls):
        yield from in_this_process(work, calls[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "out", runner=stopped)
    rest: list[str] = []
    assert len(run(plan, tmp_path / "out", rest).attacks) == 7
    assert len(rest) == 5


def at_the_recipe_s(plan: AuditPlan, folder: Path) -> AuditPlan:
    """Return the plan with an encoder at the size and rate of an audit whose encoder has none."""
    spec = load_spec("bdq").model_copy(update={"geometry": Geometry(size=16, rate=25)})
    return plan.model_copy(update={"encoder": str(spec.save(folder / "encoder.json"))})


def test_raw_video_is_attacked_once_for_several_encoders(plan: AuditPlan, tmp_path: Path) -> None:
    plan = at_the_recipe_s(plan, tmp_path)
    first, fewer = tmp_path / "first", plan.model_copy(update={"attacks": plan.attacks[:2]})
    raw = {f.name: f for f in run(fewer, first).attacks if f.video == "raw"}
    carried_out: list[str] = []
    other = plan.model_copy(update={"encoder": "dvs-0.4"})
    found = run(other, tmp_path / "second", carried_out, raw_from=first)
    assert {name for name in carried_out if name.endswith("-raw")} == {"action-raw"}
    taken = {f.name: f for f in found.attacks if f.video == "raw"}
    assert taken.keys() == {"frame", "clip", "action"}
    assert all(taken[name] == raw[name] for name in raw)
    assert found.raw_from == str(first)
    # A custom attack would have found the same.
    alone = {f.name: f for f in run(other, tmp_path / "alone").attacks if f.video == "raw"}
    assert all(taken[name].answers == alone[name].answers for name in alone)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"seed": 1}, "in another way there: seed was 0, is 1"),
        (
            {"label": "hand", "split": "validation"},
            "in another way there: label was person, is hand",
        ),
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
    carried_out: list[str] = []
    found = run(changed, tmp_path / "second", carried_out, raw_from=tmp_path / "first")
    assert carried_out == ["frame-veiled", "frame-raw"]
    assert found.raw_from == ""


def test_another_audit_in_the_same_folder_is_refused(plan: AuditPlan, tmp_path: Path) -> None:
    fewer = plan.model_copy(update={"attacks": plan.attacks[:1]})
    run(fewer, tmp_path / "out")
    with pytest.raises(MotionveilError, match="the folder holds another job"):
        run(fewer.model_copy(update={"seed": 1}), tmp_path / "out")
    assert AuditPlan.read(tmp_path / "out" / PLAN) == fewer


def test_one_that_fails_is_named_and_stops_no_other(
    plan: AuditPlan, plugin: str, tmp_path: Path
) -> None:
    failing = read_attack({"kind": plugin, "name": "bright", "fails": True})
    some = plan.model_copy(update={"attacks": (failing, plan.attacks[0])})
    found = run(some, tmp_path / "out")
    assert found.failed == {f"bright-{v}": "nothing is bright" for v in ("veiled", "raw")}
    assert len(found.attacks) == 2
    # It is not tried again but by `retry`.
    again: list[str] = []
    assert run(some, tmp_path / "out", again).failed == found.failed
    assert again == []
    run(some, tmp_path / "out", again, retry=True)
    assert again == ["bright-veiled", "bright-raw"]


def test_a_kind_of_one_s_own_is_carried_out_stored_and_reported(
    plan: AuditPlan, plugin: str, tmp_path: Path
) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text("- {name: bright, kind: 'brightness.py:Brightness'}\n")
    attacks = read_suite(str(suite), plan.recipe)
    assert [attack.kind for attack in attacks] == [plugin]
    own = plan.model_copy(update={"attacks": (*attacks, plan.attacks[0])})
    found = run(own, tmp_path / "out")
    assert AuditPlan.read(tmp_path / "out" / PLAN) == own
    assert Audit.read(tmp_path / "out") == found
    bright = [f for f in found.findings if f.name == "bright"]
    assert [f.video for f in bright] == ["veiled", "raw"]
    page = write_audit(found, tmp_path / "out").read_text()
    assert "Brightness, %" in page
    assert "The mean brightness of all clips." in page
    assert bright[0].columns[0].text() in page


def test_a_kind_of_one_s_own_reaches_other_processes(
    plan: AuditPlan, plugin: str, tmp_path: Path
) -> None:
    """And nothing depends on the process that an attack runs in."""
    bright = read_attack({"kind": plugin, "name": "bright"})
    some = plan.model_copy(update={"attacks": (bright, plan.attacks[0])})
    found = run(some, tmp_path / "two", runner=in_processes(2, 1))
    alone = run(some, tmp_path / "one")
    assert found.failed == {}
    for one, other in zip(found.findings, alone.findings, strict=True):
        changes = {"seconds": 0.0}
        assert one.model_copy(update=changes) == other.model_copy(update=changes)


def test_what_is_wrong_in_a_suite_is_said(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    for text, fault in (
        ("name: x", "a suite is a list"),
        ("- {name: x, kind: guess}", "no kind of attack 'guess'; there are faces, recognise"),
        ("- {name: x, kind: recognise, epochs: 3}", "attack 'x': epochs"),
        ("- {name: ../x, kind: recognise}", "attack '../x': name"),
        ("- quick\n- {name: frame, kind: recognise}", "several attacks are called frame"),
        ("- {name: x, kind: 'os:sep'}", "os:sep: is no motionveil.evaluation.attack.Attack"),
    ):
        file.write_text(text)
        with pytest.raises(MotionveilError, match=fault):
            read_suite(str(file), tiny_recipe())
    with pytest.raises(MotionveilError, match="no such file, and no suite of ours"):
        read_suite("slow", tiny_recipe())


def test_every_file_of_attacks_is_a_kind() -> None:
    from motionveil.evaluation import attacks

    files = {file.stem for file in Path(attacks.__path__[0]).glob("[!_]*.py")}
    assert {kind.__module__.rsplit(".", 1)[1] for kind in attack_kinds().values()} == files


def test_an_encoder_that_outputs_nothing_is_at_chance_level(tmp_path: Path) -> None:
    """A custom function, whose frames do not depend on what was filmed."""
    manifest = write_toys(tmp_path / "toys", people=3)
    (tmp_path / "mine.py").write_text(CONSTANT)
    plan = plan_of(str(manifest.file), f"{tmp_path / 'mine.py'}:veil")
    found = run(plan, tmp_path / "out")
    assert found.spec is None
    for finding in found.attacks:
        if finding.video == "veiled":
            judged = finding.scores
            assert judged.clip.value == pytest.approx(judged.chance_level)
            assert judged.p == 1
            assert judged.bits.value < 0.05


def test_video_that_somebody_else_has_veiled(plan: AuditPlan, tmp_path: Path) -> None:
    """Here raw video under another name: it is attacked as it is."""
    theirs = plan.model_copy(
        update={"veiled": str(Path(plan.manifest).parent), "encoder": "theirs"}
    )
    field = AuditData(theirs, make_fabric("cpu"))
    assert field.frames == 6
    for clip in field.manifest.clips:
        assert np.array_equal(field.veiled.frames(clip), field.filmed.frames(clip))
        assert np.array_equal(field.original.frames(clip), field.filmed.frames(clip))


def test_attackers_see_the_frames_that_are_left(plan: AuditPlan) -> None:
    field = AuditData(plan, make_fabric("cpu"))
    assert field.frames == 5
    short = plan.model_copy(update={"recipe": tiny_recipe(frames=2)})
    with pytest.raises(MotionveilError, match=r"1 veiled frames are left .* set frames=3 or more"):
        _ = AuditData(short, make_fabric("cpu")).frames


def test_a_plan_is_read_as_it_was_written(plan: AuditPlan, tmp_path: Path) -> None:
    assert AuditPlan.read(plan.write(tmp_path)) == plan


@pytest.mark.parametrize("name", SUITES)
def test_the_attacks_of_a_suite_have_names_of_their_own(name: str) -> None:
    attacks = SUITES[name](tiny_recipe())
    assert len({attack.name for attack in attacks}) == len(attacks) >= 5


def test_people_are_re_identified(tmp_path: Path) -> None:
    manifest = write_toys(tmp_path / "toys", people=4)
    attacks = [a for a in SUITES["quick"](tiny_recipe()) if a.kind == "retrieve"]
    plan = plan_of(str(manifest.file), attacks=tuple(attacks))
    found = run(plan, tmp_path / "out")
    assert found.attacks == []
    assert {(f.name, f.video) for f in found.of(Retrieval)} == {
        (attack.name, video) for attack in attacks for video in ("veiled", "raw")
    }
    assert Audit.read(tmp_path / "out") == found


def test_the_original_is_reconstructed(tmp_path: Path) -> None:
    manifest = write_toys(tmp_path / "toys", people=4)
    attacks = [a for a in SUITES["quick"](tiny_recipe()) if a.kind == "reconstruct"]
    plan = plan_of(str(manifest.file), attacks=tuple(attacks))
    found = run(plan, tmp_path / "out")
    (finding,) = found.of(Reconstruction)
    assert finding.known.clips + finding.unseen.clips == 16
    for likeness in (finding.known, finding.unseen):
        assert likeness.psnr.interval[0] <= likeness.psnr.value <= likeness.psnr.interval[1]
    folder = tmp_path / "out" / "attacks" / "reconstruction-veiled"
    small, large = (
        imread(folder / name) for name in (finding.picture, finding.picture_with_original)
    )
    assert small.shape[0] == large.shape[0]
    assert small.shape[1] < large.shape[1]
    assert Audit.read(tmp_path / "out") == found


def test_real_faces_are_found_in_raw_video_and_hardly_in_veiled(
    ut_interaction: Path, pretrained: Path, tmp_path: Path
) -> None:
    whole = index(ut_interaction)
    some = tuple(clip for clip in whole.clips if clip.privacy["pair"] in ("pair01", "pair02"))
    manifest = replace(whole, clips=some).write(tmp_path / "manifest.csv")
    look = Faces(
        name="faces",
        detector=str(pretrained / "yunet_n_640.onnx"),
        recogniser=str(pretrained / "dlib_face_resnet29.safetensors"),
    )
    plan = plan_of(str(manifest), attacks=(look,), label="pair", split="fold0")
    (found,) = run(plan, tmp_path / "out").of(FaceSearch)
    assert found.original.value >= 0.8
    assert found.veiled.value <= 0.3
    assert found.naming is not None
    assert found.naming.original.value > found.naming.veiled.value


def test_the_jobs_of_two_attacks_differ(plan: AuditPlan, tmp_path: Path) -> None:
    data = AuditData(plan, make_fabric("cpu"))
    jobs = [job_of(data, attack, video, tmp_path) for attack, video in plan.jobs()]
    assert len({job.key for job in jobs}) == len({job.folder for job in jobs}) == len(jobs) == 7


def test_stored_findings_are_known_by_the_names_that_recipes_once_had(
    plan: AuditPlan, tmp_path: Path
) -> None:
    """A finding is found by a hash that contains the names of fields."""
    question = job_of(AuditData(plan, make_fabric("cpu")), *plan.jobs()[0], tmp_path).question
    expected = plan.recipe.model_dump(mode="json")
    expected["game"] = expected.pop("adversarial")
    assert expected.pop("weights") == {}  # left out where it says nothing
    assert question["plan"]["recipe"] == expected


def test_a_plan_from_before_a_field_was_renamed_is_read(plan: AuditPlan, tmp_path: Path) -> None:
    file = plan.write(tmp_path)
    values = json.loads(file.read_text())
    values["recipe"]["game"] = values["recipe"].pop("adversarial")
    file.write_text(json.dumps(values))
    assert AuditPlan.read(file) == plan


def test_another_encoder_in_the_same_file_is_another_audit(plan: AuditPlan, tmp_path: Path) -> None:
    few = at_the_recipe_s(plan, tmp_path).model_copy(update={"attacks": plan.attacks[:1]})
    run(few, tmp_path / "out")
    spec = load_spec(few.encoder).change(sigma=2.5)
    spec.save(tmp_path / "encoder.json")
    with pytest.raises(MotionveilError, match="the folder holds another job"):
        run(few, tmp_path / "out")
