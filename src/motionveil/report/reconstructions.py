"""Reconstructions from several encoders' video side by side (the paper's figure 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from motionveil.audit_results import Column, Finding, ImageQuality, Measured, Reconstruction
from motionveil.report.audit_view import stored_image


@dataclass(frozen=True)
class Cell:
    """A clip in a column: its image, as a data URI, and its figures; None for none."""

    uri: str | None
    psnr: float | None = None
    ssim: float | None = None


@dataclass(frozen=True)
class Rebuilt:
    """A table of images: a row for each clip, a column for each encoder.

    Attributes:
        names: The columns: the original where it is shown, each encoder, the mean frame.
        lines: For each clip whether the U-Nets have learned from its person, and its cells.
        figures: Means over all clips held out: the figure's name, and a cell for each column.
    """

    names: list[str]
    lines: list[tuple[bool, list[Cell]]]
    figures: list[tuple[str, list[Column | None]]]


ORIGINAL, MEAN = "original", "mean frame"


def side_by_side(
    found: Sequence[tuple[str, Sequence[Finding], Path]], *, show_raw: bool
) -> Rebuilt | None:
    """Return the reconstructions of several audits that have stored frames of the same clips.

    Args:
        found: Of each audit the encoder's name, the findings and the folder. The first
            reconstruction counts.
        show_raw: Show the original and the mean frame of the training clips, both as filmed.

    Returns:
        None where no two audits have frames of one clip.

    Raises:
        MotionveilError: An image is no plain file of an attack's folder.
    """
    columns = [
        (name, finding, folder)
        for name, findings, folder in found
        if (finding := _reconstruction(findings)) is not None
    ]
    clips = [{sample.clip: sample for sample in finding.samples} for _, finding, _ in columns]
    shared = [clip for clip in clips[0] if all(clip in of_one for of_one in clips)] if clips else []
    if len(columns) < 2 or not shared:
        return None
    _, first, there = columns[0]
    lines = []
    for clip in shared:
        sample = clips[0][clip]
        cells = [
            Cell(
                stored_image(finding, of_one[clip].picture, folder),
                of_one[clip].psnr,
                of_one[clip].ssim,
            )
            for (_, finding, folder), of_one in zip(columns, clips, strict=True)
        ]
        mean = stored_image(first, first.mean_picture, there) if show_raw else None
        cells.append(Cell(mean, sample.baseline_psnr, sample.baseline_ssim))
        if show_raw:
            cells.insert(0, Cell(stored_image(first, sample.original, there)))
        lines.append((sample.known, cells))
    names = [*([ORIGINAL] if show_raw else []), *(name for name, _, _ in columns), MEAN]
    findings = [finding for _, finding, _ in columns]
    figures = [(name, cells if show_raw else cells[1:]) for name, cells in _figures(findings)]
    return Rebuilt(names, lines, figures)


def _reconstruction(findings: Sequence[Finding]) -> Reconstruction | None:
    made = (f for f in findings if isinstance(f, Reconstruction) and f.samples)
    return next(made, None)


def _figures(findings: Sequence[Reconstruction]) -> list[tuple[str, list[Column | None]]]:
    """Return the figures over all clips: of the original, each encoder and the mean frame."""
    lines: list[tuple[str, list[Column | None]]] = []
    for group in ("known", "unseen"):
        qualities: list[ImageQuality] = [getattr(finding, group) for finding in findings]
        count = qualities[0].clips
        for what, digits, baseline in (
            ("psnr", 1, qualities[0].baseline_psnr),
            ("ssim", 3, qualities[0].baseline_ssim),
        ):
            cells: list[Column | None] = [
                _column(getattr(quality, what), digits) for quality in qualities
            ]
            unit = ", dB" if what == "psnr" else ""
            name = f"{what.upper()}{unit}, {group} people (n = {count})"
            lines.append((name, [None, *cells, Column(name="", value=baseline, digits=digits)]))
        lines += _recognised(group, qualities)
    for name, values in (
        ("U-Net converged", [finding.convergence for finding in findings]),
        ("Epochs", [str(len(finding.losses)) for finding in findings]),
    ):
        lines.append((name, [None, *(Column(name="", value=value) for value in values), None]))
    return lines


def _recognised(
    group: str, qualities: Sequence[ImageQuality]
) -> list[tuple[str, list[Column | None]]]:
    """Return in what share of frames the person is recognised and, if asked, a face is found."""
    first = qualities[0]
    who = f"{group} people (n = {first.clips})"
    chance = f"chance level {100 * first.chance_level:.1f}"
    shares = [Column.share("", quality.recognised) for quality in qualities]
    original = Column.share("", first.original_recognised)
    lines: list[tuple[str, list[Column | None]]] = [
        (f"Identity recognised, % of frames, {who}; {chance}", [original, *shares, None])
    ]
    faces = [None if q.faces is None else Column.share("", q.faces) for q in qualities]
    if any(faces):
        known = next((q.original_faces for q in qualities if q.faces is not None), None)
        lines.append((f"Faces found, % of frames, {who}", [Column.share("", known), *faces, None]))
    return lines


def _column(figure: Measured, digits: int) -> Column:
    return Column(name="", value=figure.value, interval=figure.interval, digits=digits)
