"""Tables of audits: what each attack recognised, and the faces found."""

from __future__ import annotations

from collections.abc import Sequence

from kept import read_audit
from markdown_table import Kind, markdown_table, measured, percent
from motionveil.audit_results import (
    Audit,
    Column,
    FaceSearch,
    ImageQuality,
    Recognition,
    Reconstruction,
    Retrieval,
)


def attacks_table(audits: Sequence[Audit]) -> str:
    """Return a table of one audit: a line for each attack, those that recognise most first."""
    (audit,) = audits
    found = [one for one in audit.of(Recognition) if one.video == "veiled"]
    found.sort(key=lambda one: (one.target == "action", -one.scores.clip.value))
    kind = audit.dataset.privacy_label
    heads = [
        "attack",
        "label",
        "veiled, by clip",
        "by frame",
        "training",
        "raw video, by clip",
        "p",
    ]
    rows = [_recognised(audit, one) for one in found]
    if audit.strongest is not None:
        strongest = ["**strongest**, corrected", kind, measured(audit.strongest.accuracy)]
        rows.append([*strongest, "", "", _strongest_raw(audit), ""])
    rows += [_searched(audit, one) for one in audit.of(Retrieval) if one.video == "veiled"]
    chance = ", ".join(
        f"{percent(level)} ({label})"
        for label, level in dict.fromkeys((one.label, one.scores.chance_level) for one in found)
    )
    below = (
        f"n = {len(found[0].answers)}; in %, 95 % intervals over recordings in brackets; chance"
        f" levels {chance}."
    )
    rebuilt = "".join(map(_rebuilt, audit.of(Reconstruction)))
    return markdown_table(heads, rows, below + rebuilt)


def _recognised(audit: Audit, one: Recognition) -> list[str]:
    raw = [r for r in audit.of(Recognition) if (r.name, r.video) == (one.name, "raw")]
    learned = one.training_accuracy
    return [
        f"`{one.name}`",
        one.label,
        measured(one.scores.clip),
        percent(one.scores.frame.value) if one.by_frame else "",
        "" if learned is None else percent(learned),
        *(percent(r.scores.clip.value) for r in raw or ()),
        *([] if raw else [""]),
        f"{one.scores.p:.4f}",
    ]


def _strongest_raw(audit: Audit) -> str:
    raw = audit.strongest_raw
    return "" if raw is None else percent(raw.accuracy.value)


def _searched(audit: Audit, one: Retrieval) -> list[str]:
    raw = [r for r in audit.of(Retrieval) if (r.name, r.video) == (one.name, "raw")]
    learned = one.training_accuracy
    chance = one.rank_1.chance_level
    return [
        f"`{one.name}`, rank 1" + ("" if chance is None else f", chance level {percent(chance)}"),
        one.label,
        measured(one.rank_1),
        "",
        "" if learned is None else percent(learned),
        percent(raw[0].rank_1.value) if raw else "",
        f"{one.p:.4f}",
    ]


def _rebuilt(one: Reconstruction) -> str:
    known = one.known
    return (
        f" Reconstruction: {known.psnr.value:.1f} dB, the mean of all clips"
        f" {known.baseline_psnr:.1f} dB."
    )


def reconstructions_table(audits: Sequence[Audit]) -> str:
    """Return a table of what U-Nets computed: a line for each audit's encoder (figure 7)."""
    heads = ["reconstructed from", "PSNR, dB", "SSIM", "unseen people: PSNR, dB", "SSIM"]
    heads += ["identity recognised, known people", "epochs", "converged"]
    found = [(audit, one) for audit in audits for one in audit.of(Reconstruction)]
    rows = [
        [
            f"`{audit.encoder}`",
            *_quality(one.known),
            *_quality(one.unseen),
            measured(one.known.recognised),
            str(len(one.losses)),
            one.convergence,
        ]
        for audit, one in found
    ]
    one = found[0][1]
    means = [c.text() for group in (one.known, one.unseen) for c in _similarity(group)[1::2]]
    rows.append(["nothing: the mean frame", *means, "", "", ""])
    rows.append(["the original itself", *[""] * 4, percent(one.known.original_recognised), "", ""])
    return markdown_table(
        heads,
        rows,
        f"n = {one.known.clips} clips of known people, {one.unseen.clips} of unseen ones; PSNR and"
        " SSIM with 95 % intervals over recordings; identity in % of frames, chance level"
        f" {percent(one.known.chance_level)}.",
    )


def _similarity(found: ImageQuality) -> list[Column]:
    """Return PSNR and SSIM, each followed by the mean frame's."""
    return found.columns()[:4]


def _quality(found: ImageQuality) -> list[str]:
    return [f"{one.text()} ({one.interval_text()})" for one in _similarity(found)[::2]]


def faces_table(audits: Sequence[Audit]) -> str:
    """Return a table of the faces found: a line for each audit, whose originals differ by rate."""
    heads = ["encoder", "original frames with a face", "veiled frames with a face"]
    heads += ["the original's faces detected", "named by faces, original", "veiled"]
    searches = [(audit.encoder, one) for audit in audits for one in audit.of(FaceSearch)]
    first = searches[0][1]
    chance = "" if first.naming is None else f"; chance level {percent(first.naming.chance_level)}"
    return markdown_table(
        heads,
        [_faces(encoder, one) for encoder, one in searches],
        f"n = {first.clips} clips, {first.with_faces} with faces; in %, 95 % intervals over"
        f" recordings in brackets{chance}.",
    )


def _faces(encoder: str, one: FaceSearch) -> list[str]:
    naming = one.naming
    found = [one.original, one.veiled, one.redetected]
    named = [None, None] if naming is None else [naming.original, naming.veiled]
    return [f"`{encoder}`", *map(measured, (*found, *named))]


KINDS = {
    "attacks": Kind(read_audit, attacks_table),
    "faces": Kind(read_audit, faces_table),
    "reconstructions": Kind(read_audit, reconstructions_table),
}
