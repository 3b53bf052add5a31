"""The model card of an encoder and its recogniser: what was stored of them, and nothing else."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from motionveil._version import __version__
from motionveil.audit_results import AttributeRecognition, Audit, Finding, Measured, Retrieval
from motionveil.errors import one_line
from motionveil.recognition.artefact import RecogniserSpec
from motionveil.report.method_style import label
from motionveil.results import Accuracy, Attacker, Result, Row
from motionveil.secret import without_paths
from motionveil.spec import EncoderSpec

NOT_MEASURED = "not measured"
_NUMBERS = ("Accuracy, %", "95 % interval", "Chance, %", "n", "Training accuracy, %")
_TOLD = ("data", "split", "privacy_label", "alpha", "epochs", "seed", "motionveil")

_USE = """\
```sh
pip install 'motionveil[hub,recognise]'
{lines}
```

Name a commit after `@` to get these bytes and no others: `hf:{repository}@COMMIT`.
"""

_UNTRAINED = (
    "This encoder was **not trained against an adversary**. Nothing was done to hide who is seen."
)
_DRAWN = "It was trained on **drawn people only**. What it says of real people means nothing."
_LIMITS = """\
- The figures hold for the data, the size and the rate named above, and for the attackers named
  above. Other people, other labels and stronger attackers may give others.
- An accuracy near the chance level shows that these attackers failed, not that all do. A training
  accuracy far below 100 % says that the attacker itself had not learned its own clips.
- A veiled frame may still show shape, gait and height.
"""


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
    trained = bool(spec.provenance.get("alpha")) or not spec.kind.learned
    parts = [
        _front_matter(repository, spec, recogniser, rows, license_id),
        f"# {_text(repository.partition('/')[2])}\n",
        f"A {_text(label(spec.name, _alpha(spec)))} encoder of motionveil: it maps video to veiled"
        " video, from which networks recognise actions.\n",
        "" if trained else f"{_UNTRAINED}\n",
        "## Use\n",
        _use(repository, recogniser),
        "## Encoder\n",
        _table(("", ""), _facts(spec)),
        "## Accuracies of networks trained on veiled video\n",
        _measured(rows),
        "## Audit\n",
        "\n".join(_audited(audit) for audit in audits) or f"{NOT_MEASURED}\n",
        "## Recogniser\n",
        f"{NOT_MEASURED}\n" if recogniser is None else _recogniser(recogniser),
        "## Limits\n",
        _LIMITS,
        f"Written by motionveil {__version__} from stored results.\n",
    ]
    return "\n".join(part for part in parts if part)


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


def _use(repository: str, recogniser: RecogniserSpec | None) -> str:
    lines = [f"motionveil encode VIDEO --encoder hf:{repository}"]
    if recogniser is not None:
        lines.append(f"motionveil recognise VIDEO --model hf:{repository}")
    return _USE.format(lines="\n".join(lines), repository=repository)


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


def _measured(rows: Sequence[tuple[Result, Row]]) -> str:
    if not rows:
        return f"{NOT_MEASURED}\n"
    return "\n".join(_measured_row(result, row) for result, row in rows)


def _measured_row(result: Result, row: Row) -> str:
    data = result.dataset
    train, held_out = data.parts.get(row.split, (0, 0))
    lines = [
        _line("action", "by clip", row.action),
        _line(data.privacy_label, "per frame, as published", row.privacy.frame),
        _line(data.privacy_label, "by clip, as published", row.privacy.clip),
    ]
    lines += [_attacker(data.privacy_label, attacker) for attacker in row.attackers]
    strongest = NOT_MEASURED
    if row.strongest is not None:
        name, accuracy = row.strongest
        strongest = f"{name}, {accuracy.accuracy:.1%} of {accuracy.n} clips"
    return (
        f"Data: {_text(data.name)}, {len(data.actions)} actions,"
        f" {len(data.privacy_names)} values of {_text(data.privacy_label)};"
        f" {train} clips to train on, {held_out} held out (split {_text(row.split)}, seed"
        f" {row.seed}).\n\n"
        + _table(("Label", "Network", *_NUMBERS), lines)
        + f"\nStrongest attacker on {_text(data.privacy_label)}: {_text(strongest)}.\n\n"
        f"Command: `{_command(result.command)}`\n"
    )


def _attacker(label_name: str, attacker: Attacker) -> tuple[str, ...]:
    runs = attacker.trainings
    training = sum(run.accuracy for run in runs) / len(runs) if runs else None
    return _line(label_name, attacker.name, attacker.accuracy, training)


def _line(
    label_name: str, network: str, found: Accuracy, training: float | None = None
) -> tuple[str, ...]:
    numbers = _numbers(found.accuracy, found.interval, found.chance_level, found.n, training)
    return label_name, network, *numbers


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


def _audited(audit: Audit) -> str:
    found: list[tuple[Finding, Measured, int]] = [
        (each, each.headline, len(each.answers)) for each in audit.attacks
    ]
    found += [(each, each.headline, len(each.answers)) for each in audit.of(AttributeRecognition)]
    found += [(each, each.rank_1, len(each.searches)) for each in audit.of(Retrieval)]
    lines = [
        (
            each.label,
            each.name + (", cMAP" if isinstance(each, AttributeRecognition) else ""),
            *_numbers(figure.value, figure.interval, each.chance_level, n, each.training_accuracy),
        )
        for each, figure, n in found
        if each.video == "veiled"
    ]
    said = NOT_MEASURED
    if audit.strongest is not None:
        figure = audit.strongest.accuracy
        low, high = figure.interval
        said = (
            f"{_text(' and '.join(audit.strongest.chosen))},"
            f" {'cMAP ' if audit.strongest.attributes else ''}{figure.value:.1%}"
            f" (95 % interval {low:.1%} to {high:.1%})"
        )
    return (
        f"Suite {_text(audit.suite)} on {_text(audit.dataset.name)}, split {_text(audit.split)},"
        f" seed {audit.seed}, {audit.frames} frames a clip.\n\n"
        + _table(("Label", "Attack", *_NUMBERS), lines)
        + f"\nStrongest attack on {_text(audit.dataset.privacy_label)}: {said}.\n\n"
        f"Command: `{_command(audit.command)}`\n"
    )


def _recogniser(spec: RecogniserSpec) -> str:
    facts = [
        ("Actions", ", ".join(spec.actions)),
        ("Window", f"{spec.frames} frames, {spec.seconds:g} s"),
        ("Network", spec.network.architecture),
        ("SHA-256 of action.onnx", spec.network.sha256),
    ]
    if spec.scores is None:
        facts.append(("Accuracy", NOT_MEASURED))
    else:
        found = spec.scores.accuracy
        low, high = found.interval
        facts += [
            ("Accuracy", f"{found.accuracy:.1%} of {found.n} clips ({low:.1%} to {high:.1%})"),
            ("Chance", f"{found.chance_level:.1%}"),
            ("Calibration error", f"{spec.scores.calibration_error:.1%}"),
        ]
    drawn = f"\n{_DRAWN}\n" if spec.knows_drawn_people_only else ""
    return _table(("", ""), facts) + drawn


def _command(line: str) -> str:
    """Return a command line for a code span, in which only a backtick means something."""
    return one_line(without_paths(line)).replace("`", "'")


def _table(headings: Sequence[str], rows: Any) -> str:
    lines = [headings, ["---"] * len(headings), *([_text(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(value: str) -> str:
    """Return a text that a manifest or a file gave, so that it stays one cell of plain text."""
    plain = html.escape(one_line(without_paths(value)), quote=False)
    return re.sub(r"[\\`*_\[\]()!|~]", r"\\\g<0>", plain)
