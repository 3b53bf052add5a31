"""What reconstruction stores of what it found: image quality, some clips, the U-Net's training."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from motionveil.audit_results.finding import CHANCE, Column, Finding, Measured, Renamed
from motionveil.results import Stored


class ImageQuality(Renamed):
    """How similar reconstructed clips are to their originals; means over clips.

    Attributes:
        clips: Number of clips.
        psnr: Peak signal to noise ratio of the mean square error, in dB.
        ssim: Structural similarity, 1 for equal images.
        gmsd: Gradient magnitude similarity deviation, 0 for equal images.
        recognised: Share of frames in which a network trained on original video names the person.
        baseline_psnr, baseline_ssim, baseline_gmsd: Of the mean of the training clips, which
            depends on no clip: a reconstruction that is no better has shown nothing.
        original_recognised: `recognised` of the original frames.
        faces: Share of frames in which a face is detected; None if there was no detector.
        original_faces: The same of the original frames.
        chance_level: Share of the commonest person.
    """

    clips: int
    psnr: Measured
    ssim: Measured
    gmsd: Measured
    recognised: Measured
    baseline_psnr: float
    baseline_ssim: float
    baseline_gmsd: float
    original_recognised: float
    faces: Measured | None = None
    original_faces: float | None = None
    chance_level: float

    def columns(self) -> list[Column]:
        """Return its figures, each followed by its reference."""
        found = []
        for name, figure, baseline, digits in (
            ("PSNR, dB", self.psnr, self.baseline_psnr, 1),
            ("SSIM", self.ssim, self.baseline_ssim, 3),
            ("GMSD", self.gmsd, self.baseline_gmsd, 3),
        ):
            value, interval = figure.value, figure.interval
            found.append(Column(name=name, value=value, interval=interval, digits=digits))
            found.append(Column(name="mean clip", value=baseline, digits=digits))
        found += [
            Column.share("Recognised, %", self.recognised),
            Column.share("original", self.original_recognised),
            Column.share(CHANCE, self.chance_level),
        ]
        if self.faces is not None:
            found += [
                Column.share("Faces, %", self.faces),
                Column.share("original", self.original_faces),
            ]
        return [*found, Column(name="n", value=self.clips, digits=0)]


class RebuiltClip(Stored):
    """A reconstructed clip of which a frame is stored.

    Attributes:
        clip: As in `ClipAnswer`.
        known: Whether the U-Net has learned from clips of the same person.
        psnr: Peak signal to noise ratio of the whole clip, in dB.
        ssim: Structural similarity, mean over its frames.
        baseline_psnr, baseline_ssim: Of the mean of the training clips, see `ImageQuality`.
        picture, original: Names of PNGs in the attack's folder: its middle frame as reconstructed,
            and as filmed.
    """

    clip: str
    known: bool
    psnr: float
    ssim: float
    baseline_psnr: float
    baseline_ssim: float
    picture: str
    original: str


CONVERGED = 0.02
"""Share by which a U-Net's loss may fall in the third quarter of a fixed number of epochs."""

_EPOCHS_TO_JUDGE = 8


class Reconstruction(Finding):
    """The original video computed from the veiled one.

    Attributes:
        known: Of clips held out, of people whom the U-Net has learned from.
        unseen: Of clips of people whom it never saw.
        losses: The U-Net's loss in each epoch; empty in older files.
        held_out: Its error on clips kept back from its training, after each epoch; empty where it
            was trained for a fixed number of epochs.
        stopped: With `held_out`, whether that had stopped falling when the training ended; False
            where the limit of epochs ended it.
        held_out_mean: The error of the mean training frame on the same clips.
        samples: Clips held out of which a frame is stored; empty in older files.
        mean_picture: Name of a PNG, the mean frame of the training clips as filmed.
    """

    title: ClassVar[str] = "Reconstruction"
    kind: str = "reconstruct"
    known: ImageQuality
    unseen: ImageQuality
    losses: list[float] = Field(default_factory=list)
    held_out: list[float] = Field(default_factory=list)
    stopped: bool | None = None
    held_out_mean: float | None = None
    samples: list[RebuiltClip] = Field(default_factory=list)
    mean_picture: str = ""

    @property
    def still_falling(self) -> float | None:
        """Share by which the loss fell in the third quarter of the epochs; None for few epochs.

        In that quarter the learning rate falls from a half to a seventh of its maximum. A share
        over `CONVERGED` means that the training ended before the U-Net had converged.
        """
        epochs = len(self.losses)
        if epochs < _EPOCHS_TO_JUDGE:
            return None
        return 1 - self.losses[3 * epochs // 4 - 1] / self.losses[epochs // 2 - 1]

    @property
    def converged(self) -> bool | None:
        """Whether the U-Net had learned what it can; None where that is not known.

        By the clips kept back where there are any, else by `still_falling`. One that stopped at the
        error of the mean frame may have had nothing to learn, or not have begun.
        """
        if self.held_out:
            blank = self.held_out_mean is not None and min(self.held_out) >= self.held_out_mean
            return None if self.stopped and blank else self.stopped
        falling = self.still_falling
        return None if falling is None else falling <= CONVERGED

    @property
    def convergence(self) -> str:
        """`converged` in a word."""
        return {True: "yes", False: "no", None: "unknown"}[self.converged]

    def rows(self) -> list[tuple[str, list[Column]]]:
        """Return a row for each group of people."""
        training = [
            Column(name="Converged", value=self.convergence),
            Column(name="Epochs", value=len(self.losses) or None, digits=0),
        ]
        groups = (("known people", self.known), ("unseen people", self.unseen))
        return [(name, [*found.columns(), *training]) for name, found in groups]
