"""The plan of an audit: what decides its findings, in a file that every process reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from motionveil.audit.attack import Attack
from motionveil.experiments.sweep.run_job import Run
from motionveil.files import write_text_atomically
from motionveil.results import read_stored
from motionveil.training.recipe import Recipe

FILE_NAME = "plan.json"
Video = Literal["veiled", "raw"]
VIDEOS: tuple[Video, ...] = ("veiled", "raw")


class AuditPlan(BaseModel):
    """What is attacked, and how.

    Attributes:
        encoder: As `motionveil.training.veiling.veil_of` takes it; its name only, where `veiled` is
            given.
        veiled: A folder of video that somebody else has veiled, instead of the encoder.
        manifest: The data set's `manifest.csv`.
        recipe: Sizes, networks and schedules.
        label: The privacy label attacked.
        split: The part held out.
        seed: Decides everything that is drawn.
        device, precision: As Fabric takes them.
        suite: The suite's name.
        attacks: The attacks; a name stands for one of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    veiled: str | None = None
    manifest: str
    recipe: Recipe
    label: str
    split: str
    seed: int = 0
    device: str = "auto"
    precision: str = "32-true"
    suite: str
    attacks: tuple[Attack, ...]

    def attack(self, name: str) -> Attack:
        """Return the attack of a name.

        Raises:
            KeyError: There is none.
        """
        return {attack.name: attack for attack in self.attacks}[name]

    @property
    def key(self) -> str:
        """What tells this plan's trainings from another's: a hash of all but the list of attacks.

        An attack that is added later leaves those that are done as they are.
        """
        text = self.model_dump_json(exclude={"attacks", "suite"})
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def write(self, folder: Path) -> Path:
        """Write `plan.json` into a folder, whole or not at all, and return its path."""
        return write_text_atomically(folder / FILE_NAME, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> AuditPlan:
        """Read a plan.

        Raises:
            MotionveilError: The file is missing or is no plan; names the file and the fault.
        """
        return read_stored(cls, file, "plan")

    def runs(self, out: Path) -> list[Run]:
        """Return a run for each attack on each video, the quickest to start first."""
        return [self._run(out, job) for job in self.jobs()]

    def jobs(self) -> Iterator[Job]:
        """Yield each attack on each video.

        Only veiled video is compressed or reconstructed; who looks for faces looks at both at once.
        """
        for video in VIDEOS:
            for attack in self.attacks:
                of_both = attack.quality is None and attack.kind not in ("reconstruct", "faces")
                if video == "veiled" or of_both:
                    yield Job(attack, video)

    def key_of(self, job: Job) -> str:
        """Return what tells an attack of this plan from every other."""
        attack = hashlib.sha256(job.attack.model_dump_json().encode()).hexdigest()[:8]
        return f"{self.key}-{attack}"

    def _run(self, out: Path, job: Job) -> Run:
        plan = str((out / FILE_NAME).absolute())
        words = (plan, job.attack.name, "--video", job.video, "--key", self.key_of(job))
        return Run(out / "attacks" / job.name, ("attack", *words))


@dataclass(frozen=True)
class Job:
    """One attack on one kind of video."""

    attack: Attack
    video: Video

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.attack.name}-{self.video}"
