"""An attack: how bright a veiled clip is."""

from typing import ClassVar

from motionveil.audit_results import Column
from motionveil.evaluation.attack import Attack


class Brightness(Attack):
    """The mean brightness of the first clip held out."""

    description: ClassVar[str] = "The mean brightness of a veiled clip."
    kind: str = "brightness"

    def run(self, data):
        """Return the brightness as a share."""
        clips = data.clips(training=False, drawn=False)
        mean = float(clips.load([0], seed=0, epoch=0).clips.mean())
        return self.finding(data, columns=[Column.share("Brightness, %", mean)], seconds=0.1)
