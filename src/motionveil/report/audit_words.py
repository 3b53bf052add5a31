"""What each attack does, in words for people who have not read the paper."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, ValidationError

from motionveil.errors import MotionveilError
from motionveil.findings import Finding, Measured
from motionveil.report.templates import SPACE, percent


class _Network(BaseModel):
    name: str = "unknown"
    weights: str | None = None


class _Schedule(BaseModel):
    epochs: int = 0
    lr: float = 0.0


class Doing(BaseModel):
    """Of what an attacker did, the parts that a reader is told; see `motionveil.audit.Attack`."""

    model_config = ConfigDict(extra="ignore")

    kind: str = "recognise"
    view: str = "plain"
    temporal: bool = False
    quality: int | None = None
    across: str = ""
    control: bool = False
    rates: list[float] = []
    restarts: int = 1
    crops: int = 0
    network: _Network = _Network()
    schedule: _Schedule = _Schedule()

    @property
    def persistent(self) -> bool:
        """Whether it tries several learning rates or restarts."""
        return self.networks > 1

    @property
    def networks(self) -> int:
        """How many networks it trains on one kind of video."""
        if self.kind in ("retrieve", "reconstruct"):
            return 2  # one for each half of the people; one that computes and one that recognises
        return max(1, len(self.rates)) * self.restarts


def doing(finding: Finding) -> Doing:
    """Return what an attacker did.

    Raises:
        MotionveilError: It is not written down as attacks are.
    """
    try:
        return Doing.model_validate(finding.attack)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise MotionveilError(f"attack {finding.name!r}: {where}: {fault['msg']}") from error


FRAMES = "recognition in single frames"
SUMS = "recognition in running sums of the frames"
MOMENTS = "recognition in three moments shown as one picture"
MOTION = "recognition in the frames in which most moves"
CLIPS = "recognition in whole clips, by how somebody moves"
CLIP_SUMS = "recognition in whole clips of running sums"
AGAIN = "finding people again by single frames"
AGAIN_CLIPS = "finding people again by whole clips"
REBUILT = "reconstruction of the original video"
COMPRESSED = "recognition after H.264 compression"
PERSISTENT = "a persistent attacker, who tries several learning rates and restarts"
OTHER = "other attacks"

KINDS = (
    FRAMES, SUMS, MOMENTS, MOTION, CLIPS, CLIP_SUMS, AGAIN, AGAIN_CLIPS, REBUILT, COMPRESSED,
    PERSISTENT,
)  # fmt: skip
"""The kinds of attacks of the quick suite, in its order."""

_BY_VIEW = {
    ("plain", False): FRAMES,
    ("integrated", False): SUMS,
    ("stacked", False): MOMENTS,
    ("most-motion", False): MOTION,
    ("plain", True): CLIPS,
    ("integrated", True): CLIP_SUMS,
}


def kind_of(attack: Doing) -> str:
    """Return which kind of attack this is, one of `KINDS` or `OTHER`."""
    if attack.kind == "retrieve":
        return AGAIN_CLIPS if attack.temporal else AGAIN
    if attack.kind == "reconstruct":
        return REBUILT
    if attack.quality is not None:
        return COMPRESSED
    if attack.persistent:
        return PERSISTENT
    return _BY_VIEW.get((attack.view, attack.temporal), OTHER)


def describe(attack: Doing) -> str:
    """Return what an attack does, in a sentence."""
    if attack.kind == "reconstruct":
        return (
            "A network learns to compute the original video from the veiled one; another one, which"
            " knows the people from original video, is asked whom it sees in the result."
        )
    who = "A network for video" if attack.temporal else "A network for pictures"
    seen = _seen(attack)
    if attack.kind == "retrieve":
        return (
            f"{who} learns to tell half of the people apart, by {seen}; then it searches for clips"
            " of the other half, of whom it has learned nothing."
        )
    verb = "watches" if attack.temporal else "looks at"
    ways = (_compression(attack), _persistence(attack), _crossing(attack))
    further = [part for part in ways if part]
    return f"{who} {verb} {', '.join([seen, *further])}."


def _seen(attack: Doing) -> str:
    """Return what an attack's network is shown."""
    whole = "the whole clip at once, so that it can see how somebody moves"
    sums = "running sums of the frames, in which whatever has moved stands there again"
    frames = {
        "plain": "one frame after the other, and its answers are averaged over the clip",
        "integrated": sums,
        "stacked": (
            "three frames at once, from different moments, as the three colours of one picture"
        ),
        "most-motion": "the few frames of the clip in which most moves",
    }
    clips = {
        "plain": whole,
        "integrated": f"the whole clip at once, as {sums}",
    }
    if attack.kind == "retrieve" and attack.view == "plain":
        return "whole clips" if attack.temporal else "single frames"
    known = clips if attack.temporal else frames
    return known.get(attack.view, f"what the view “{attack.view}” makes of the clip")


def _compression(attack: Doing) -> str:
    if attack.quality is None:
        return ""
    like = "a poor connection's quality"
    if attack.quality <= 32:
        like = "a usual camera's quality" if attack.quality > 22 else "hardly visible loss"
    return f"after the veiled video went through H.264 (crf {attack.quality}, {like})"


def _crossing(attack: Doing) -> str:
    if not attack.across:
        return ""
    if attack.control:
        return f"having learned from as many clips as one across {thing(attack.across)}, but any"
    return f"having learned from clips under other values of {thing(attack.across)} only"


def thing(column: str) -> str:
    """Return what a column of the manifest is called in a sentence."""
    return "the recording" if column == "group" else f"the {column}"


def _persistence(attack: Doing) -> str:
    if not attack.persistent:
        return ""
    rates = max(1, len(attack.rates))
    return (
        f"with {count(rates, 'learning rate')} and {count(attack.restarts, 'start')} of each; what"
        " works best on other recordings counts"
    )


def equipment(attack: Doing) -> str:
    """Return an attack's network and how long it was trained, such as `resnet50, 20 epochs`."""
    weights = "trained elsewhere before" if attack.network.weights else "from scratch"
    cuts = f"; {attack.crops + 1} cuts of each clip averaged" if attack.crops else ""
    return f"{attack.network.name}, {weights}, {count(attack.schedule.epochs, 'epoch')}{cuts}"


def figure(measured: Measured) -> str:
    """Return a share and its interval as `31 % (25 to 38)`."""
    return between(measured.value, measured.interval)


def count(number: int, thing: str) -> str:
    """Return `1 clip` or `2 clips`, with a space that does not break."""
    plural = "" if number == 1 else "es" if thing.endswith("ch") else "s"
    return f"{number}{SPACE}{thing}{plural}"


def span(numbers: Iterable[int]) -> str:
    """Return `8` or `8 to 16`.

    Args:
        numbers: At least one.
    """
    found = sorted(numbers)
    return f"{found[0]}" if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


def short_name(encoder: str) -> str:
    """Return what a heading calls an encoder: of a path, the last two parts."""
    return "/".join(encoder.replace("\\", "/").rstrip("/").split("/")[-2:])


def between(share: float, interval: tuple[float, float]) -> str:
    """Return a share in [0, 1] and its interval as `31 % (25 to 38)`."""
    low, high = interval
    return f"{percent(share)} ({100 * low:.0f} to {100 * high:.0f})"


def compare(a: Measured, b: Measured) -> int:
    """Return -1 where a is below b by more than their intervals, 1 above, 0 where they overlap."""
    if a.interval[1] < b.interval[0]:
        return -1
    return 1 if a.interval[0] > b.interval[1] else 0


def beside_raw(veiled: Measured, raw: Measured) -> str:
    """Return how a figure of veiled video stands to raw video's."""
    return {
        -1: "lower than raw video's by more than the intervals",
        0: "not different from raw video's beyond the intervals",
        1: "higher than raw video's by more than the intervals",
    }[compare(veiled, raw)]
