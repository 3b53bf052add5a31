"""The benchmark that counts the operations of exported C, against a count by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmark_code import import_benchmark
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec, load_spec

benchmark = import_benchmark("export_operations")
STORED = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "export_operations.json"

needs_compiler = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("gcov")), reason="needs gcc and gcov"
)


def test_operators_are_told_apart() -> None:
    source = (
        "int f(const uint8_t *now, uint32_t a)\n{\n"
        "    const int64_t half = ((int64_t)1 << a) >> 1;\n"
        "    return now[3 * a + 1] * (a - -*now) + f(now + 3 * a, a) / (a < 2 ? 3 : a % 7);\n}\n"
    )
    lines = benchmark.operations_in(benchmark.lines_of(source))
    assert [+line for line in lines if sum(line.values())] == [
        {"shift": 2},
        {"access": 2, "multiply": 1, "add": 3, "divide": 2, "compare": 1},
    ]


@needs_compiler
def test_the_difference_takes_what_was_counted_by_hand() -> None:
    """Per value 6 multiplications, 12 additions, 2 shifts, 2 comparisons; one more at the edge."""
    height, width = 48, 64
    found = benchmark.counted(load_spec("bdq"), height, width)
    values = 3 * height * width
    for kind, each in {"multiply": 6, "add": 13, "shift": 2, "compare": 2, "divide": 0}.items():
        assert found[kind] == pytest.approx(each * values, rel=0.02, abs=10)


@needs_compiler
def test_moments_take_little_more_than_their_field() -> None:
    spec = EncoderSpec.untrained("flow", geometry=Geometry(size=32, rate=15))
    field, moments = (benchmark.counted(s, 32, 48) for s in (spec, load_spec("moments")))
    assert all(moments[kind] >= field[kind] > 0 for kind in benchmark.KINDS)
    assert sum(moments.values()) < 1.5 * sum(field.values())


def test_the_stored_figures_are_of_the_documented_encoders() -> None:
    rows = json.loads(STORED.read_text())["rows"]
    assert [(row["encoder"], row["width"], row["height"]) for row in rows] == [
        ("bdq", 114, 64), ("flow", 80, 64), ("moments", 80, 64)
    ]  # fmt: skip
