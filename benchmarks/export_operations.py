"""How many operations an encoder's exported C takes for a working frame, and its memory.

The C file is compiled with counters (`gcc -O0 --coverage`), veils frames in which a textured square
moves over a textured ground, and gcov tells how often each line ran in the last of them. The
operations of a line are counted in its text:

- `multiply`, `add` (and subtract, negate), `shift`, `bits` (and, or, exclusive or), `compare`,
  `divide`; all on whole numbers, of 64 bits for `flow` and `moments`;
- `access`: elements of arrays read or written, tables too;
- not counted: the control of `for` loops, what stands in brackets (addresses), casts, constants.

A division that the file does bit by bit counts as the steps that it takes. How many those are, and
where a velocity is scaled, depends on the film; all else does not.

    python benchmarks/export_operations.py [--json FILE]

Needs gcc and gcov.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from measuring import write_figures
from motionveil.export import write_c
from motionveil.export.integer import whole_numbers
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec, load_spec

KINDS = ("multiply", "add", "shift", "bits", "compare", "divide", "access")
FRAMES = 4

_OPERATORS = {
    "shift": r"<<=?|>>=?",
    "compare": r"[<>=!]=|[<>]",
    "divide": r"/=?|%=?",
    "multiply": r"\*=?",
    "add": r"\+\+|--|\+=?|-=?",
    "bits": r"[&|^]=?",
}
_TYPE = r"\b(?:const|static|unsigned|char|int|long|(?:u?int(?:8|16|32|64)|size)_t)\b"

DRIVER = """
int main(void)
{{
    static uint64_t state[{words}];
    static uint8_t frames[{frames}][{size}], out[{size}];
    FILE *file = fopen("frames.bin", "rb");
    int turn;
    if (fread(frames, 1, sizeof frames, file) != sizeof frames) return 1;
    motionveil_start((void *)state);
    for (turn = 0; turn < {frames}; turn++) {{
        if (turn == {frames} - 1) __gcov_reset();
        motionveil_veil((void *)state, frames[turn], out, {width}, {height});
    }}
    __gcov_dump();
    _Exit(0);
}}
"""


def lines_of(source: str) -> str:
    """Return C with macros expanded, a statement a line, the body of a loop or condition too."""
    words = ["gcc", "-std=c99", "-E", "-P", "-x", "c", "-"]
    source = re.sub(r"^#include.*$", "", source, flags=re.M)
    text = subprocess.run(words, input=source, capture_output=True, text=True, check=True).stdout
    found = []
    for line in re.sub(r"(?<![;{}])\n\s*", " ", text).splitlines():
        head = re.match(r"\s*(?:else )?(?:for|while|if) \(", line)
        while head:
            end = _closing(line, head.end() - 1) + 1
            found.append(line[:end])
            line = line[end:]
            head = re.match(r"\s*(?:else )?(?:for|while|if) \(", line)
        found.append(line)
    return "\n".join(found)


def _closing(line: str, start: int) -> int:
    """Return where the bracket that opens at `start` closes; the line's end if it does not."""
    depth = 0
    for place in range(start, len(line)):
        depth += {"(": 1, ")": -1}.get(line[place], 0)
        if not depth:
            return place
    return len(line)


def _expression_end(line: str, start: int) -> int:
    """Return where an argument or operand ends: before a comma or what closes around it."""
    place = start
    while place < len(line) and line[place] not in ",);?:":
        place = _closing(line, place) + 1 if line[place] == "(" else place + 1
    return place


def operations_in(source: str) -> list[Counter[str]]:
    """Return the operations of each line of C; names are pointers in one function only."""
    found, pointers = [], set[str]()
    for line in source.splitlines():
        if line[:1].strip():
            pointers.clear()
        pointers |= set(re.findall(r"_t \*(?:const )?(\w+)", line))
        pointers |= set(re.findall(r", \*(\w+)(?=[;,])", line)) if "_t *" in line else set()
        found.append(operations_of(line.strip(), pointers))
    return found


def operations_of(line: str, pointers: Iterable[str]) -> Counter[str]:
    """Return the operations in the text of a line of C; pointers plus something are addresses."""
    found: Counter[str] = Counter()
    if re.match(r"for \(|static const", line):
        return found
    line = re.sub(r"\bU?INT\d+_C\((\d+)\)", r"\1", line)
    for name in pointers:
        while head := re.search(rf"(?<!\*)\b{name} [-+] ", line):
            end = _expression_end(line, head.end())
            line = line[: head.start()] + name + line[end:]
    while re.search(r"\[[^][]*\]", line):  # addresses, from the inside out
        line, accesses = re.subn(r"\[[^][]*\]", "", line)
        found["access"] += accesses
    line = re.sub(_TYPE + r"(?:\s*\*)*(?:\s*const)?", "", line)
    line = re.sub(r"->", ".", line)
    line, accesses = re.subn(r"(^|[-=(,+*/%<>&|?:!]\s*)\*(?=\w)", r"\1", line)
    found["access"] += accesses
    line = line.replace(" ^ 0U", "")
    constant = r"\(?\b\d\w*(?:\s*(?:<<|[-+*])\s*\d\w*)+\)?"
    line = re.sub(constant, " 1 ", line)
    for kind, pattern in _OPERATORS.items():
        line, count = re.subn(pattern, " ", line)
        found[kind] += count
    return found


def counted(spec: EncoderSpec, height: int, width: int) -> dict[str, int]:
    """Return the operations that veiling a working frame takes, by kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_c(spec, folder / "encoder.c")
        source = lines_of((folder / "encoder.c").read_text())
        size = whole_numbers(spec).state_size(width, height)
        numbers = {"words": -(-size // 8), "frames": FRAMES, "size": 3 * width * height}
        driver = DRIVER.format(width=width, height=height, **numbers)
        heads = [
            f"#include <{head}.h>" for head in ("stddef", "stdint", "stdio", "stdlib", "string")
        ]
        own = "void __gcov_reset(void);\nvoid __gcov_dump(void);\n"
        # gcov is asked about the included file only
        (folder / "counted.h").write_text(source)
        program = [*heads, own, '#include "counted.h"', driver]
        (folder / "main.c").write_text("\n".join(program))
        film(height, width).tofile(folder / "frames.bin")
        for words in (
            ["gcc", "-O0", "--coverage", "-w", "-c", "main.c", "-o", "main.o"],
            ["gcc", "--coverage", "main.o", "-o", "main"],
            ["./main"],
            ["gcov", "--json-format", "main.o"],
        ):
            subprocess.run(words, cwd=folder, check=True, capture_output=True)
        told = json.loads(gzip.decompress(next(folder.glob("*.gcov.json.gz")).read_bytes()))
        (file,) = (f for f in told["files"] if f["file"] == "counted.h")
        operations = operations_in(source)
        total: Counter[str] = Counter()
        for line in file["lines"]:
            for kind, count in operations[line["line_number"] - 1].items():
                total[kind] += count * line["count"]
    return {kind: total[kind] for kind in KINDS}


def film(height: int, width: int) -> Any:
    """Return (FRAMES, height, width, 3): a textured square that moves by two pixels per frame."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (height, width, 3), dtype=np.uint8)
    square = rng.integers(100, 220, (height // 2, width // 4, 3), dtype=np.uint8)
    frames = np.repeat(ground[None], FRAMES, 0)
    for turn in range(FRAMES):
        left = width // 4 + 2 * turn
        frames[turn, height // 4 : height // 4 + height // 2, left : left + width // 4] = square
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the operations of exported encoders.")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print("thousands a working frame; bytes of state and table")
    print(f"{'':<10}{'frame':>10}" + "".join(f"{kind:>10}" for kind in KINDS) + f"{'all':>10}")
    for name, height, width in (("bdq", 64, 114), ("flow", 64, 80), ("moments", 64, 80)):
        known = name != "flow"
        geometry = Geometry(size=height, rate=15)
        spec = load_spec(name) if known else EncoderSpec.untrained(name, geometry=geometry)
        found, numbers = counted(spec, height, width), whole_numbers(spec)
        memory = {"state": numbers.state_size(width, height), "table": numbers.table.nbytes}
        total = sum(found.values()) - found["access"]
        cells = "".join(f"{found[kind] / 1000:>10.1f}" for kind in KINDS)
        print(f"{name:<10}{width:>6}x{height}{cells}{total / 1000:>10.1f}  {memory}")
        rows.append(
            {"encoder": name, "height": height, "width": width, "operations": found, **memory}
        )
    write_figures(arguments.json, {"frames": FRAMES, "rows": rows})


if __name__ == "__main__":
    main()
