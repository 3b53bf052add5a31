"""What `motionveil encode` says of an encoder and of what was veiled."""

from __future__ import annotations

from fractions import Fraction

from motionveil.cli.stream_options import describe_destinations
from motionveil.errors import one_line
from motionveil.spec import EncoderSpec
from motionveil.streaming import VeilSummary
from motionveil.streaming.folder import FolderSummary

_TOLD = ("data", "privacy_label", "alpha")
"""What of an encoder's provenance is printed."""


def describe_encoder(spec: EncoderSpec) -> str:
    """Return an encoder's method and what of its provenance tells where it fits, in one line."""
    known = spec.provenance
    facts = [one_line(f"{name} {known[name]}") for name in _TOLD if _is_short(known.get(name))]
    geometry = [] if spec.geometry is None else [str(spec.geometry)]
    origin = "of unknown provenance" if spec.kind.learned else "nothing is learned"
    return ", ".join([spec.name, *geometry, *(facts or [origin])])


def describe_summary(summary: VeilSummary) -> list[str]:
    """Say what was written, in lines for a person."""
    info, rate = summary.info, summary.rate
    reasons = ", ".join(f"{reason} {number}" for reason, number in summary.guarded.items())
    damaged = f", {summary.damaged} damaged" if summary.damaged else ""
    lines = describe_destinations(summary.destinations)
    lines.append(
        f"{summary.frames_in} frames in: {summary.taken} taken, {summary.left_out} left out by"
        f" rate, {summary.dropped} dropped{damaged}; {sum(summary.guarded.values())}"
        f" guarded{f' ({reasons})' if reasons else ''}; {summary.frames_out} written"
    )
    lines.append(
        f"{info.width}x{info.height} at {_told(info.rate)} in,"
        f" {summary.width}x{summary.height} at {_told(rate)} out, {summary.seconds:.1f} s"
    )
    if summary.latency_p50 is not None and summary.latency_p95 is not None:
        p50, p95 = summary.latency_p50 * 1e3, summary.latency_p95 * 1e3
        lines.append(f"latency p50 {p50:.3g} ms, p95 {p95:.3g} ms, from arrival to written")
    return lines


def describe_folder(summary: FolderSummary) -> list[str]:
    """Say what became of a folder's videos, in lines for a person."""
    lines = [
        line
        for veiled in summary.veiled.values()
        for line in describe_destinations(veiled.destinations)
    ]
    frames = sum(veiled.frames_out for veiled in summary.veiled.values())
    guarded = sum(sum(veiled.guarded.values()) for veiled in summary.veiled.values())
    lines.append(
        f"{len(summary.veiled)} videos veiled ({frames} frames, {guarded} guarded),"
        f" {len(summary.skipped)} there already, {len(summary.failed)} failed"
    )
    return lines


def _told(rate: Fraction | None) -> str:
    if rate is None:
        return "unknown frames/s"
    exact = f" ({rate})" if rate.denominator > 1 else ""
    return f"{float(rate):.6g}{exact} frames/s"


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float) and len(str(value)) <= 40
