"""What tables of the documentation are drawn from: stored small, and read again."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motionveil.audit_results import Audit, Recognition, Retrieval, read_finding
from motionveil.report.model_card import published
from motionveil.results import Result


def keep(sources: Sequence[Path], to: Path) -> None:
    """Store results small, as one, or one audit; environments are told where they differ.

    Raises:
        SystemExit: They are of different data or recipes, or several audits.
    """
    values: list[dict[str, Any]] = [json.loads(s.read_text(encoding="utf-8")) for s in sources]
    if "findings" in values[0]:
        if len(values) > 1:
            raise SystemExit(f"{sources[1]}: an audit is kept in a file of its own")
        value = _shortened_audit(values[0])
    else:
        value = _joined(values, sources)
    text = json.dumps(published(value), separators=(",", ":"))
    to.write_bytes(gzip.compress(text.encode(), mtime=0))


def _joined(values: Sequence[dict[str, Any]], sources: Sequence[Path]) -> dict[str, Any]:
    value = values[0]
    for source, other in zip(sources, values, strict=True):
        if any(_compared(other)[name] != _compared(value)[name] for name in _compared(value)):
            raise SystemExit(f"{source}: other data or another recipe than {sources[0]}")
    for other in values:
        value["dataset"]["parts"] |= other["dataset"]["parts"]
    value["rows"] = [row for other in values for row in other["rows"]]
    value["seconds"] = sum(other["seconds"] for other in values)
    for name in value["environment"]:
        found = dict.fromkeys(other["environment"].get(name, "") for other in values)
        value["environment"][name] = "; ".join(found)
    for row in value["rows"]:
        row["curves"], row["picture"] = [], None
        for prediction in row["predictions"]:
            for name, found in prediction.items():
                if name.endswith("_probabilities"):
                    prediction[name] = _rounded(found)
    return value | {"media": {}}


def _compared(value: dict[str, Any]) -> dict[str, Any]:
    """Return what results must share; folds may differ, and where the networks' files lay."""
    dataset = {name: v for name, v in value["dataset"].items() if name != "parts"}
    networks = ("action", "privacy")
    recipe = {name: v for name, v in value["recipe"].items() if name not in networks}
    return {"dataset": dataset, "recipe": recipe}


def _shortened_audit(value: dict[str, Any]) -> dict[str, Any]:
    for finding in value["findings"]:
        curve = finding.get("curve", [])
        if curve:  # of a recognition its end is the training accuracy; of a search, the ROC curve
            finding["curve"] = curve[-1:] if finding["kind"] == "recognise" else []
        for name in ("picture", "picture_with_original"):
            finding[name] = ""
        for answer in finding.get("answers", []):
            answer["probabilities"] = _rounded(answer["probabilities"])
    return value


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]


def keep_findings(rows: Sequence[Path], to: Path) -> None:
    """Store what was recognised in some rows' folders: how many clips, of how many.

    The action too, where the row is complete.
    """
    found = []
    for row in rows:
        place = re.fullmatch(r"seed(\d+)-(.+)", row.parent.name)
        if place is None:
            raise SystemExit(f"{row}: no row of a trade-off, such as runs/seed0-validation/raw")
        where = {"row": row.name, "seed": int(place[1]), "split": place[2]}
        if action := (_stored(row / "job.json") or {}).get("action"):
            right = round(action["accuracy"] * action["n"])
            found.append(where | {"attacker": "action", "right": right, "n": action["n"]})
        for job in sorted(row.glob("attacks/*/job.json")):
            value = _stored(job)
            finding = read_finding(value) if value else None
            if isinstance(finding, Recognition | Retrieval):
                found.append(where | _shortened(finding))
    lines = ",\n ".join(json.dumps(one) for one in found)
    to.write_text(f"[{lines}]\n", encoding="utf-8")


def _stored(job: Path) -> Any:
    """Return what a job stored; None where there is none, or it failed."""
    return json.loads(job.read_text(encoding="utf-8"))["value"] if job.is_file() else None


def _shortened(finding: Recognition | Retrieval) -> dict[str, Any]:
    if isinstance(finding, Retrieval):
        n = len(finding.searches)
        right = round(finding.rank_1.value * n)
    else:
        n = len(finding.answers)
        right = sum(answer.right for answer in finding.answers)
    found: dict[str, Any] = {"attacker": finding.name, "right": right, "n": n}
    trainings = finding.trainings  # of re-identification one for each half of the people
    if trainings:
        found["training"] = round(sum(one.accuracy for one in trainings) / len(trainings), 4)
        found["epochs"] = max(one.epochs for one in trainings)
    return found


def read_result(file: Path) -> Result:
    """Read a result, kept small or whole."""
    return Result.model_validate_json(_text_of(file))


def read_audit(file: Path) -> Audit:
    """Read an audit, kept small or whole."""
    return Audit.model_validate_json(_text_of(file))


def read_json(file: Path) -> Any:
    """Read what a benchmark wrote."""
    return json.loads(_text_of(file))


def _text_of(file: Path) -> str:
    if file.suffix == ".gz":
        return gzip.decompress(file.read_bytes()).decode()
    return file.read_text(encoding="utf-8")
