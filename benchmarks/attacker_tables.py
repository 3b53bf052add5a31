"""Tables of the documentation, out of the results kept in docs/results.

    python benchmarks/attacker_tables.py keep runs/*/results.json docs/results/NAME.json.gz
    python benchmarks/attacker_tables.py draw README.md docs/*.md docs/*/*.md

`keep` stores a result small: without curves and pictures, probabilities to four digits; of several
results of the same data and recipe, the rows of all. `draw` replaces what stands between
`<!-- KIND: docs/results/NAME.json.gz ... -->` and the next `<!-- end -->`; several are pooled,
as in `motionveil report`. The kinds:

- `attackers`: what every attacker reads off each method;
- `summary`: the published network and the strongest attacker alone, of the methods named by `=NAME`
  or `=NAME:ALPHA` behind the files;
- `strongest`: action and strongest attacker of each method in each seed;
- `seeds`: each method's figures, and those of each seed;
- `folds`: those of each seed and fold;
- `findings`: what attackers found of each method and seed, whose rows need not be complete:

    python benchmarks/attacker_tables.py findings runs/seed*-validation/* docs/results/NAME.json
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from motionveil.audit_results import Recognition, read_finding
from motionveil.report.aggregate import Method, pool
from motionveil.results import Accuracy, Result, Row

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(<!-- (attackers|summary|strongest|seeds|folds|findings): (.*?) -->\n).*?(?=<!-- end -->)",
    re.DOTALL,
)


def keep(sources: Sequence[Path], to: Path) -> None:
    """Store results small, as one; their environments are told where they differ.

    Raises:
        SystemExit: They are of different data or recipes.
    """
    values: list[dict[str, Any]] = [json.loads(s.read_text(encoding="utf-8")) for s in sources]
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
                    prediction[name] = [round(p, 4) for p in found]
    text = json.dumps(value | {"media": {}}, separators=(",", ":"))
    to.write_bytes(gzip.compress(text.encode(), mtime=0))


def _compared(value: dict[str, Any]) -> dict[str, Any]:
    """Return what results must share; folds may differ, and where the networks' files lay."""
    dataset = {name: v for name, v in value["dataset"].items() if name != "parts"}
    networks = ("action", "privacy")
    recipe = {name: v for name, v in value["recipe"].items() if name not in networks}
    return {"dataset": dataset, "recipe": recipe}


def keep_findings(rows: Sequence[Path], to: Path) -> None:
    """Store what the attackers of some rows' folders recognised: how many clips, of how many."""
    found = []
    for row in rows:
        place = re.fullmatch(r"seed(\d+)-(.+)", row.parent.name)
        if place is None:
            raise SystemExit(f"{row}: no row of a trade-off, such as runs/seed0-validation/raw")
        for job in sorted(row.glob("attacks/*/job.json")):
            value = json.loads(job.read_text(encoding="utf-8"))["value"]
            finding = read_finding(value) if value else None
            if isinstance(finding, Recognition):
                where = {"row": row.name, "seed": int(place[1]), "split": place[2]}
                found.append(where | _shortened(finding))
    lines = ",\n ".join(json.dumps(one) for one in found)
    to.write_text(f"[{lines}]\n", encoding="utf-8")


def _shortened(finding: Recognition) -> dict[str, Any]:
    training = finding.trainings[0]
    return {
        "attacker": finding.name,
        "right": sum(answer.right for answer in finding.answers),
        "n": len(finding.answers),
        "training": round(training.accuracy, 4),
        "epochs": training.epochs,
    }


def findings_table(files: Sequence[Path]) -> str:
    """Return a table with a line for each method and seed, a column for each attacker."""
    found = [one for file in files for one in json.loads(file.read_text(encoding="utf-8"))]
    names = list(dict.fromkeys(one["attacker"] for one in found))
    lines = [f"| row | seed | {' | '.join(names)} |", "| --- " * (len(names) + 2) + "|"]
    for row, seed in dict.fromkeys((one["row"], one["seed"]) for one in found):
        own = [one for one in found if (one["row"], one["seed"]) == (row, seed)]
        cells = [_cell([one for one in own if one["attacker"] == name]) for name in names]
        lines.append(f"| {' | '.join([row, str(seed), *cells])} |")
    splits = ", ".join(dict.fromkeys(one["split"] for one in found))
    return "\n".join(
        [*lines, "", f"By clip, in %, of n; training clips in brackets; {splits}.", ""]
    )


def _cell(findings: Sequence[dict[str, Any]]) -> str:
    """Return what an attacker found, its folds together."""
    if not findings:
        return ""
    right, n = (sum(one[name] for one in findings) for name in ("right", "n"))
    training = sum(one["training"] for one in findings) / len(findings)
    return f"{100 * right / n:.1f} of {n} ({100 * training:.0f})"


def read(file: Path) -> Result:
    """Read a result, kept small or whole."""
    if file.suffix != ".gz":
        return Result.read(file)
    return Result.model_validate_json(gzip.decompress(file.read_bytes()))


def table(results: Sequence[Result]) -> str:
    """Return the table of some results: a line for each method, a column for each attacker."""
    methods = sorted(pool(results), key=lambda method: -method.privacy.accuracy)
    names = list(dict.fromkeys(one.name for method in methods for one in method.attackers))
    head = f"| encoder | action | strongest | {' | '.join(names)} | strongest's training |"
    rule = "| --- " * (len(names) + 4) + "|"
    lines = [_line(method, names) for method in methods]
    return "\n".join([head, rule, *lines, "", _about(results, methods), ""])


def summary_table(results: Sequence[Result], only: Sequence[str] = ()) -> str:
    """Return a table with action, the published network by frame and the strongest attacker."""
    methods = sorted(pool(results), key=lambda method: -method.privacy.accuracy)
    label = results[0].dataset.privacy_label
    columns = ["encoder", "action", f"{label}, the paper's network by frame"]
    lines = [f"| {' | '.join([*columns, f'{label}, strongest attacker'])} |", "| --- " * 4 + "|"]
    for method in methods:
        best = method.strongest
        if best is None or (only and _key(method.rows[0]) not in only):
            continue
        figures = [_figure(one) for one in (method.action, method.frame, best.accuracy)]
        lines.append(f"| {' | '.join([method.label, *figures])} |")
    chance = [100 * one.chance_level for one in (methods[0].action, methods[0].privacy)]
    lines.append(f"| chance level | {chance[0]:.1f} | {chance[1]:.1f} | {chance[1]:.1f} |")
    return "\n".join([*lines, ""])


def _key(row: Row) -> str:
    return row.method if row.alpha is None else f"{row.method}:{row.alpha:g}"


def strongest_table(results: Sequence[Result]) -> str:
    """Return a table with the action and the strongest attacker of each method in each seed."""
    seeds = ", ".join(map(str, _seeds(results)))
    lines = [f"| encoder | action of seed {seeds} | strongest attacker of seed {seeds} |"]
    lines.append("| --- " * 3 + "|")
    for method in pool(results):
        actions, attackers = [], []
        for row in sorted(method.rows, key=lambda row: row.seed):
            best = pool([_only(results, row)])[0].strongest
            actions.append(f"{100 * row.action.accuracy:.1f}")
            if best is not None:
                attackers.append(f"{100 * best.accuracy.accuracy:.1f} ({best.name})")
        lines.append(f"| {method.label} | {', '.join(actions)} | {', '.join(attackers)} |")
    return "\n".join([*lines, ""])


def _only(results: Sequence[Result], row: Row) -> Result:
    """Return the result that has a row, with no other."""
    holder = next(result for result in results if row in result.rows)
    return holder.model_copy(update={"rows": [row]})


def seeds_table(results: Sequence[Result]) -> str:
    """Return a table with each method's figures, pooled over seeds and folds, and by seed."""
    methods, seeds = pool(results), _seeds(results)
    label, each = results[0].dataset.privacy_label, f"of seed {', '.join(map(str, seeds))}"
    head = f"| encoder | action | {label} by frame | {label} by clip | action {each} | {label} by"
    lines = [f"{head} frame {each} |", "| --- " * 6 + "|"]
    for method in methods:
        figures = [_figure(one) for one in (method.action, method.frame, method.clip)]
        rows = [[row for row in method.rows if row.seed == seed] for seed in seeds]
        by_seed = [", ".join(f"{_mean(of_one, axis):.1f}" for of_one in rows) for axis in AXES]
        lines.append(f"| {' | '.join([method.label, *figures, *by_seed])} |")
    return "\n".join([*lines, ""])


def folds_table(results: Sequence[Result]) -> str:
    """Return a table with action and privacy by frame of each method in each seed and fold."""
    methods, seeds = pool(results), _seeds(results)
    splits = sorted({row.split for result in results for row in result.rows})
    places = [(seed, split) for seed in seeds for split in splits]
    named = [f"{seed}, {split.replace('fold', 'fold ')}" for seed, split in places]
    lines = [f"| encoder | {' | '.join(named)} |", "| --- " * (len(places) + 1) + "|"]
    for method in methods:
        rows = [[r for r in method.rows if (r.seed, r.split) == place] for place in places]
        cells = [", ".join(f"{_mean(of_one, axis):.0f}" for axis in AXES) for of_one in rows]
        lines.append(f"| {' | '.join([method.label, *cells])} |")
    return "\n".join([*lines, ""])


AXES: tuple[Callable[[Row], Accuracy], ...] = (
    lambda row: row.action,
    lambda row: row.privacy.frame,
)


def _seeds(results: Sequence[Result]) -> list[int]:
    return sorted({row.seed for result in results for row in result.rows})


def _mean(rows: Sequence[Row], axis: Callable[[Row], Accuracy]) -> float:
    """Return the accuracy over the clips of all rows, in %."""
    found = [axis(row) for row in rows]
    return 100 * sum(one.accuracy * one.n for one in found) / sum(one.n for one in found)


TABLES = {
    "attackers": table,
    "strongest": strongest_table,
    "seeds": seeds_table,
    "folds": folds_table,
}


def _line(method: Method, names: Sequence[str]) -> str:
    best = method.strongest
    strongest = "" if best is None else f"{_figure(best.accuracy)}, {best.name}"
    cells = [method.label, _figure(method.action), strongest]
    for name in names:
        attacker = method.attacker(name)
        shown = "" if attacker is None else _figure(attacker.accuracy)
        cells.append(f"**{shown}**" if best is not None and best.name == name else shown)
    return f"| {' | '.join([*cells, _training(method)])} |"


def _figure(accuracy: Accuracy) -> str:
    low, high = (100 * bound for bound in accuracy.interval)
    return f"{100 * accuracy.accuracy:.1f} ({low:.0f} to {high:.0f})"


def _training(method: Method) -> str:
    """Say how well the strongest attacker knew its own clips, and after how many epochs."""
    best = method.strongest
    named = "per frame" if best is None or best.name == "frames averaged" else best.name
    trainings = [t for row in method.rows for a in row.attackers if a.name == named
                 for t in a.trainings]  # fmt: skip
    if not trainings:
        return ""
    accuracy = sum(t.accuracy for t in trainings) / len(trainings)
    epochs = sorted({t.epochs for t in trainings})
    span = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    return f"{100 * accuracy:.1f}, {span} epochs"


def _about(results: Sequence[Result], methods: Sequence[Method]) -> str:
    first = methods[0]
    seeds = _seeds(results)
    n = sorted({method.action.n for method in methods})
    chance = [100 * first.action.chance_level, 100 * first.privacy.chance_level]
    return (
        f"n = {' or '.join(map(str, n))}, seeds {', '.join(map(str, seeds))}; in %, 95 % intervals"
        f" in brackets, the strongest attacker in bold; chance levels {chance[0]:.1f} (action)"
        f" and {chance[1]:.1f}."
    )


def drawn(text: str) -> str:
    """Return a page with its tables drawn anew."""

    def redrawn(block: re.Match[str]) -> str:
        words = block[3].split()
        if block[2] == "findings":
            return f"{block[1]}\n{findings_table([ROOT / word for word in words])}\n"
        results = [read(ROOT / word) for word in words if not word.startswith("=")]
        if block[2] == "summary":
            only = [word[1:] for word in words if word.startswith("=")]
            return f"{block[1]}\n{summary_table(results, only)}\n"
        return f"{block[1]}\n{TABLES[block[2]](results)}\n"

    return BLOCK.sub(redrawn, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    kept = commands.add_parser("keep")
    kept.add_argument("sources", type=Path, nargs="+")
    kept.add_argument("to", type=Path)
    found = commands.add_parser("findings")
    found.add_argument("rows", type=Path, nargs="+")
    found.add_argument("to", type=Path)
    commands.add_parser("draw").add_argument("pages", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "keep":
        keep(arguments.sources, arguments.to)
        return
    if arguments.command == "findings":
        keep_findings(arguments.rows, arguments.to)
        return
    for page in arguments.pages:
        page.write_text(drawn(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
