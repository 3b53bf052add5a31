"""Tables of the documentation, out of the figures kept in the repository.

    python benchmarks/tables.py keep runs/*/results.json docs/results/NAME.json.gz
    python benchmarks/tables.py draw README.md docs/*.md docs/*/*.md

`keep` stores a result small: without curves and pictures, probabilities to four digits; of several
results of the same data and recipe, the rows of all. It stores an `audit.json` too. `draw`
replaces what stands between `<!-- KIND: docs/results/NAME.json.gz ... -->` and the next
`<!-- end -->`; several results are pooled, as in `motionveil report`. The kinds:

- `attackers`: what every attacker reads off each method;
- `summary`: the published network and the strongest attacker alone, of the methods named by `=NAME`
  or `=NAME:ALPHA` behind the files;
- `strongest`: action and strongest attacker of each method in each seed;
- `tradeoff`: action, both readings of the published network, the attackers, what BDQ learned;
- `seeds`: each method's figures, and those of each seed;
- `folds`: those of each seed and fold;
- `orders`: validations of the same encoders in both orders;
- `rates`: validations of BDQs whose numbers learned at several rates;
- `motion`: what `flow_ablation.py` found of the parts of the motion field;
- `attacks`, `faces`, `reconstructions`: what the attacks of an audit found, and the faces and the
  reconstructions of several audits;
- `cost`, `test-bed`, `encoder-training`, `step`, `loader`, `threads`: what `motionveil complexity`
  and the benchmarks wrote with `--json`;
- `findings`: what attackers found of each method and seed, whose rows need not be complete:

    python benchmarks/tables.py findings runs/seed*-validation/* docs/results/NAME.json
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import tables_of_audits
import tables_of_results
import tables_of_speeds
from kept import keep, keep_findings

ROOT = Path(__file__).resolve().parents[1]
KINDS = tables_of_results.KINDS | tables_of_audits.KINDS | tables_of_speeds.KINDS
BLOCK = re.compile(
    rf"(<!-- ({'|'.join(KINDS)}): (.*?) -->\n).*?(?=<!-- end -->)",
    re.DOTALL,
)


def drawn(text: str) -> str:
    """Return a page with its tables drawn anew."""

    def redrawn(block: re.Match[str]) -> str:
        kind, words = KINDS[block[2]], block[3].split()
        files = [ROOT / word for word in words if not word.startswith("=")]
        only = [word[1:] for word in words if word.startswith("=")]
        table = kind.table([kind.read(file) for file in files], *([only] if only else []))
        return f"{block[1]}\n{table}\n"

    return BLOCK.sub(redrawn, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("keep", "sources"), ("findings", "rows")):
        command = commands.add_parser(name)
        command.add_argument(what, type=Path, nargs="+")
        command.add_argument("to", type=Path)
    commands.add_parser("draw").add_argument("pages", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "keep":
        keep(arguments.sources, arguments.to)
    elif arguments.command == "findings":
        keep_findings(arguments.rows, arguments.to)
    else:
        for page in arguments.pages:
            page.write_text(drawn(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
