"""The model card of an encoder and its recogniser: what was stored of them, and nothing else."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from motionveil._version import __version__
from motionveil.audit_results import AttributeRecognition, Audit, Finding, Measured, Retrieval
from motionveil.errors import one_line
from motionveil.limits import packaged_text
from motionveil.recognition.artefact import RecogniserSpec
from motionveil.report.method_style import label
from motionveil.results import Accuracy, Result, Row
from motionveil.secret import without_paths
from motionveil.spec import EncoderSpec

NOT_MEASURED = "not measured"
_NUMBERS = ("Accuracy, %", "95 % interval", "Chance, %", "n", "Training accuracy, %")
_TOLD = ("data", "split", "privacy_label", "alpha", "epochs", "seed", "motionveil")


def model_card(
    repository: str,
    spec: EncoderSpec,
    recogniser: RecogniserSpec | None,
    results: Sequence[Result],
    audits: Sequence[Audit],
    license_id: str | None = None,
) -> str:
    """Return the card, Markdown with the hub's metadata in front.

    Args:
        repository: `owner/name`.
        recogniser: The recogniser beside the encoder; None without one.
        results: Each has at least one row of this encoder; other rows are left out.
        audits: Of this encoder.
        license_id: As the hub names licences, such as `apache-2.0`.
    """
    rows = [(result, row) for result in results for row in rows_of(result, spec)]
    environment = Environment(
        finalize=lambda value: value if isinstance(value, Markup) else _text(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["command"] = _command
    environment.filters["share"] = lambda value: Markup(f"{value:.1%}")
    template = environment.from_string(packaged_text("motionveil.report", "model_card.md"))
    return template.render(
        repository=repository,
        name=repository.partition("/")[2],
        front=Markup(_front_matter(repository, spec, recogniser, rows, license_id)),
        label=label(spec.name, _alpha(spec)),
        trained=bool(spec.provenance.get("alpha")) or not spec.kind.learned,
        facts=list(_facts(spec)),
        rows=rows,
        measured=_measured,
        audits=audits,
        audited=_audited,
        numbers=list(_NUMBERS),
        recogniser=recogniser,
        recogniser_facts=[] if recogniser is None else list(_recogniser_facts(recogniser)),
        missing=NOT_MEASURED,
        table=_table,
        version=__version__,
    )


def rows_of(result: Result, spec: EncoderSpec) -> list[Row]:
    """Return a result's rows that are of an encoder."""
    return [row for row in result.rows if is_of(row.encoder, spec)]


def is_of(measured: EncoderSpec, spec: EncoderSpec) -> bool:
    """Tell whether what was measured is this encoder, not only one of the same settings."""
    if measured.fingerprint != spec.fingerprint:  # of method, settings, geometry and file name
        return False
    if spec.weights is None or hash_in(spec.weights):
        return True
    return _history(measured) == _history(spec)


def hash_in(weights: str) -> str:
    """Return the first digits of the SHA-256 that a file name of weights ends with; or nothing."""
    found = re.search(r"-([0-9a-f]{12,64})\.safetensors$", weights)
    return "" if found is None else found[1]


def _history(spec: EncoderSpec) -> Any:
    """Return what tells an encoder whose weights' name has no hash, as `push` publishes it."""
    return published({k: v for k, v in spec.provenance.items() if k != "hub"})


def published(value: Any) -> Any:
    """Return a value as JSON has it with the paths and addresses in its texts cut."""
    if isinstance(value, dict):
        return {without_paths(key): published(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [published(inner) for inner in value]
    return without_paths(value) if isinstance(value, str) else value


def _alpha(spec: EncoderSpec) -> float | None:
    alpha = spec.provenance.get("alpha")
    return float(alpha) if isinstance(alpha, int | float) else None


def _front_matter(
    repository: str,
    spec: EncoderSpec,
    recogniser: RecogniserSpec | None,
    rows: Sequence[tuple[Result, Row]],
    license_id: str | None,
) -> str:
    """Return the metadata; JSON is YAML but for characters beyond 16 bits, which it pairs."""
    fields: dict[str, Any] = {
        "library_name": "motionveil",
        "tags": ["motionveil", "privacy", "video", "action-recognition", spec.method],
    }
    if license_id is not None:
        fields["license"] = license_id
    if recogniser is not None:
        fields["pipeline_tag"] = "video-classification"
    if rows:
        entries = [_indexed(result, row) for result, row in rows]
        fields["model-index"] = [{"name": repository.partition("/")[2], "results": entries}]
    dumped = {name: json.dumps(value, ensure_ascii=False) for name, value in fields.items()}
    lines = [f"{name}: {one_line(text)}" for name, text in dumped.items()]
    return "\n".join(["---", *lines, "---\n"])


def _indexed(result: Result, row: Row) -> dict[str, Any]:
    label_name = result.dataset.privacy_label
    figures = {
        "action accuracy, by clip": row.action,
        f"{label_name} accuracy, by frame": row.privacy.frame,
        f"{label_name} accuracy, by clip": row.privacy.clip,
    }
    if row.strongest is not None:
        figures[f"{label_name} accuracy, strongest attacker"] = row.strongest[1]
    return {
        "task": {"type": "video-classification", "name": "action recognition in veiled video"},
        "dataset": {"type": result.dataset.name, "name": result.dataset.name, "split": row.split},
        "metrics": [
            {"type": "accuracy", "name": name, "value": round(accuracy.accuracy, 4)}
            for name, accuracy in figures.items()
        ],
    }


def _facts(spec: EncoderSpec) -> Iterator[tuple[str, str]]:
    yield "Method", label(spec.name, None)
    yield "Geometry", str(spec.geometry) if spec.geometry else "any size and rate"
    for name, value in ({} if spec.settings is None else spec.settings.model_dump()).items():
        if isinstance(value, int | float | str):
            yield name, f"{value:g}" if isinstance(value, float) else str(value)
    for name in _TOLD:
        if name in spec.provenance:
            yield f"Training: {name}", str(spec.provenance[name])
    yield "Fingerprint", spec.fingerprint


def _measured(label_name: str, row: Row) -> list[tuple[str, ...]]:
    """Return the lines of a row's table: networks, and what they recognise."""
    found: list[tuple[str, str, Accuracy, float | None]] = [
        ("action", "by clip", row.action, None),
        (label_name, "per frame, as published", row.privacy.frame, None),
        (label_name, "by clip, as published", row.privacy.clip, None),
    ]
    for attacker in row.attackers:
        runs = attacker.trainings
        training = sum(run.accuracy for run in runs) / len(runs) if runs else None
        found.append((label_name, attacker.name, attacker.accuracy, training))
    return [
        (of, network, *_numbers(a.accuracy, a.interval, a.chance_level, a.n, training))
        for of, network, a, training in found
    ]


def _numbers(
    accuracy: float,
    interval: tuple[float, float],
    chance: float | None,
    n: int,
    training: float | None,
) -> tuple[str, ...]:
    span = f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
    return _percent(accuracy), span, _percent(chance), str(n), _percent(training)


def _percent(share: float | None) -> str:
    return NOT_MEASURED if share is None else f"{100 * share:.1f}"


def _audited(audit: Audit) -> list[tuple[str, ...]]:
    """Return the lines of an audit's table: attacks on veiled video."""
    found: list[tuple[Finding, Measured, int]] = [
        (each, each.headline, len(each.answers)) for each in audit.attacks
    ]
    found += [(each, each.headline, len(each.answers)) for each in audit.of(AttributeRecognition)]
    found += [(each, each.rank_1, len(each.searches)) for each in audit.of(Retrieval)]
    return [
        (
            each.label,
            each.name + (", cMAP" if isinstance(each, AttributeRecognition) else ""),
            *_numbers(figure.value, figure.interval, each.chance_level, n, each.training_accuracy),
        )
        for each, figure, n in found
        if each.video == "veiled"
    ]


def _recogniser_facts(spec: RecogniserSpec) -> Iterator[tuple[str, str]]:
    yield "Actions", ", ".join(spec.actions)
    yield "Window", f"{spec.frames} frames, {spec.seconds:g} s"
    yield "Network", spec.network.architecture
    yield "SHA-256 of action.onnx", spec.network.sha256
    if spec.scores is None:
        yield "Accuracy", NOT_MEASURED
        return
    found = spec.scores.accuracy
    low, high = found.interval
    yield "Accuracy", f"{found.accuracy:.1%} of {found.n} clips ({low:.1%} to {high:.1%})"
    yield "Chance", f"{found.chance_level:.1%}"
    yield "Calibration error", f"{spec.scores.calibration_error:.1%}"


def _command(line: str) -> Markup:
    """Return a command line for a code span, in which only a backtick means something."""
    return Markup(one_line(without_paths(line)).replace("`", "'"))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    lines = [headings, ["---"] * len(headings), *([_text(cell) for cell in row] for row in rows)]
    return Markup("".join(f"| {' | '.join(line)} |\n" for line in lines))


def _text(value: str) -> str:
    """Return a text that a manifest or a file gave, so that it stays one cell of plain text."""
    plain = html.escape(one_line(without_paths(value)), quote=False)
    return re.sub(r"[\\`*_\[\]()!|~]", r"\\\g<0>", plain)
