"""Build and check what is published: `python3 dev.py release`, for which dev.py installs the tools.

    release.py build OUT            the source distribution and the wheel, checked
    release.py licences OUT PYTHON  SBOM and licences of what PYTHON's environment holds
    release.py page OUT FILE        the table of licences for the documentation

`OUT/*.cdx.json` is a CycloneDX software bill of materials, `OUT/THIRD-PARTY-LICENCES.txt` has the
licences' texts. The table has no versions, so that it changes only where a licence does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BESIDE = {
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "MANIFEST.in",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
    "setup.cfg",
}
"""What a source distribution holds beside the package, and nothing more."""

MARKS = "<!-- table of licences -->\n", "<!-- end of the table of licences -->\n"
"""The table stands between these lines."""

DIST_INFO = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt"}


def main() -> None:
    """Run one of the three jobs."""
    match sys.argv[1:]:
        case ["build", out]:
            build(Path(out))
        case ["licences", out, python]:
            licences(Path(out), python)
        case ["page", out, page]:
            write_page(Path(out), Path(page))
        case _:
            sys.exit(__doc__)


def build(out: Path) -> None:
    """Build both files, the wheel from the source distribution, and check them."""
    run("-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT))
    wheel, sdist = (newest(out, pattern) for pattern in ("*.whl", "*.tar.gz"))
    run("-m", "twine", "check", "--strict", str(wheel), str(sdist))
    tracked = subprocess.run(
        ["git", "ls-files", "src/motionveil"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    with zipfile.ZipFile(wheel) as archive:
        found = {n for n in archive.namelist() if not n.endswith("/")}
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info/"
    wanted = {f.removeprefix("src/") for f in tracked} | {info + f for f in DIST_INFO}
    same(wheel, found, wanted)
    with tarfile.open(sdist) as archive:
        files = (m.name.partition("/")[2] for m in archive.getmembers() if m.isfile())
        found = {name for name in files if ".egg-info/" not in name}
    same(sdist, found, set(tracked) | BESIDE)
    print(f"{wheel.name}: {len(tracked)} files of the package, {wheel.stat().st_size:,} bytes")


def newest(folder: Path, pattern: str) -> Path:
    """Return the file of a pattern that was written last."""
    return max(folder.glob(pattern), key=lambda file: file.stat().st_mtime)


def same(archive: Path, found: set[str], wanted: set[str]) -> None:
    """Exit with status 1 unless an archive holds what it should."""
    lacks, further = sorted(wanted - found), sorted(found - wanted)
    if lacks or further:
        sys.exit(f"{archive}: lacks {lacks or 'nothing'}, should not hold {further or 'nothing'}")


def licences(out: Path, python: str) -> None:
    """Write the bill of materials and the licences of an environment's packages."""
    bill = out / (newest(out, "*.whl").name.removesuffix("-py3-none-any.whl") + ".cdx.json")
    run(
        *("-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"),
        *("--pyproject", str(ROOT / "pyproject.toml"), "-o", str(bill), python),
    )
    count = len(json.loads(bill.read_text(encoding="utf-8")).get("components", []))
    if count < 5:
        sys.exit(f"{bill}: {count} packages; {python} has no motionveil installed")
    texts = ("--format=plain-vertical", "--with-license-file", "--no-license-path")
    for file, form in (("THIRD-PARTY-LICENCES.txt", texts), ("licences.json", ("--format=json",))):
        run(
            *("-m", "piplicenses", f"--python={python}", "--from=mixed", "--with-urls", *form),
            f"--output-file={out / file}",
        )


def write_page(out: Path, page: Path) -> None:
    """Write the table of licences between the page's two marks, and leave the rest as it is."""
    rows = json.loads((out / "licences.json").read_text(encoding="utf-8"))
    cells = [tuple(cell(row[key]) for key in ("Name", "License", "URL")) for row in rows]
    lines = [
        f"| [{name}]({url}) | {terms} |\n" if url.startswith("http") else f"| {name} | {terms} |\n"
        for name, terms, url in sorted(cells, key=lambda row: row[0].lower())
        if name != "motionveil"
    ]
    text, (begin, end) = page.read_text(encoding="utf-8"), MARKS
    if (text.count(begin), text.count(end)) != (1, 1) or text.index(end) < text.index(begin):
        sys.exit(
            f"{page}: must have the lines {begin.strip()} and {end.strip()} once, in this order"
        )
    table = "".join(["| package | licence |\n| --- | --- |\n", *lines])
    head, tail = text.partition(begin)[0], text.partition(end)[2]
    fresh = page.with_name(f"{page.name}.new")
    fresh.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")
    os.replace(fresh, page)


def cell(text: str) -> str:
    """Return a text as a cell of a Markdown table: one line, in which no bar ends the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def run(*arguments: str) -> None:
    """Run this environment's Python, and exit with its status if that is not 0."""
    status = subprocess.call([sys.executable, *arguments])
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
