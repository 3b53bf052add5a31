"""What the site shows beside the files in docs/: generated pages, other files of the repository.

Pages link to files of the repository by relative paths, which work in a checkout and on a code host
alike. Here each such file becomes a page of the site, and the links follow.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from motionveil.cli import COMMANDS
from motionveil.methods import method, method_names

ROOT = Path(__file__).resolve().parents[2]
MOVED = {
    "CONTRIBUTING.md": "project/CONTRIBUTING.md",
    "CHANGELOG.md": "project/CHANGELOG.md",
    "benchmarks/README.md": "benchmarks/README.md",
}
"""Pages that stand outside docs/, and where they are in the site."""

LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".service": "ini", ".toml": "toml"}
LINK = re.compile(r"(?<=\]\()(?![a-z+]+:|#|/)([^)#\s]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2$", re.MULTILINE | re.DOTALL)

SCHEMAS = {
    "encoder": "motionveil.spec:EncoderSpec",
    "recogniser": "motionveil.recognition:RecogniserSpec",
    "service": "motionveil.service.config:ServiceFile",
    "results": "motionveil.results:Result",
    "audit": "motionveil.audit_results:Audit",
    "study": "motionveil.study.design:Study",
    "study-results": "motionveil.study.findings:StudyFindings",
}
"""Files whose JSON schemas the site has, with their models."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, what pages link to, and the schemas."""
    for origin, place in MOVED.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / origin)))
    for file in list(files.documentation_pages()):
        for target in linked(file):
            place = in_site(target)
            if files.get_file_from_path(place) is None and (ROOT / target).exists():
                files.append(File.generated(config, place, content=source_page(target)))
    for name in SCHEMAS:
        text = json.dumps(schema(model(name)), indent=2) + "\n"
        files.append(File.generated(config, f"schemas/{name}.json", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at pages of the site, and fill in what is generated."""
    here = posixpath.dirname(page.file.src_uri)
    origin = posixpath.dirname(origin_of(page.file))

    def moved(link: re.Match[str]) -> str:
        target = in_site(posixpath.normpath(posixpath.join(origin, link[1])))
        return posixpath.relpath(target, here or ".") + (link[2] or "")

    markdown = outside_code(markdown, lambda text: LINK.sub(moved, text))
    markdown = markdown.replace("<!-- commands -->", commands())
    markdown = markdown.replace("<!-- settings -->", settings())
    return re.sub(r"<!-- schema: (\S+) -->", lambda found: schema_text(found[1]), markdown)


def outside_code(markdown: str, change: Any) -> str:
    """Apply a change to all of a page but its blocks of code."""
    parts, at = [], 0
    for block in FENCE.finditer(markdown):
        parts += [change(markdown[at : block.start()]), block[0]]
        at = block.end()
    return "".join([*parts, change(markdown[at:])])


def origin_of(file: File) -> str:
    """Return where a page of the site stands in the repository."""
    return next((o for o, place in MOVED.items() if place == file.src_uri), f"docs/{file.src_uri}")


def in_site(path: str) -> str:
    """Return where a file of the repository stands in the site."""
    if path in MOVED:
        return MOVED[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}.md"


def linked(file: File) -> list[str]:
    """Return the files outside docs/ that a page links to, by their paths in the repository."""
    origin = posixpath.dirname(origin_of(file))
    found: list[str] = []

    def note(text: str) -> str:
        paths = (posixpath.normpath(posixpath.join(origin, m[1])) for m in LINK.finditer(text))
        found.extend(p for p in paths if not p.startswith("docs/") and p not in MOVED)
        return text

    if not file.src_uri.startswith("source/"):
        outside_code(file.content_string, note)
    return found


def source_page(path: str) -> str:
    """Return a page that shows a file of the repository, or names the files of a folder."""
    head = f"---\ntitle: {path}\nsearch:\n  exclude: true\n---\n# `{path}`\n\n"
    place = ROOT / path
    if place.is_dir():
        names = sorted(one.name for one in place.iterdir() if one.is_file())
        return head + "\n\n".join(f"## {name}\n\n{fenced(place / name)}" for name in names)
    return head + fenced(place)


def fenced(file: Path) -> str:
    """Return a file's text as a block of code."""
    language = LANGUAGES.get(file.suffix, "text")
    return f"`````{language}\n{file.read_text(encoding='utf-8').rstrip()}\n`````\n"


def commands() -> str:
    """Return a section for each command, from its parser."""
    return "\n".join(command(name, line) for name, line in COMMANDS.items())


def command(name: str, line: str) -> str:
    """Return a command's section: usage, arguments, notes and examples."""
    parser = argparse.ArgumentParser(prog=f"motionveil {name}", formatter_class=Formatter)
    import_module(f"motionveil.cli.{name}").add_arguments(parser)
    text = [f"## {name}", "", f"{line[0].upper()}{line[1:]}.", "", *arguments(parser)]
    tasks = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for task in tasks:
        for title, below in task.choices.items():
            below.formatter_class = Formatter
            text += [f"### {name} {title}", "", *arguments(below)]
    return "\n".join(text)


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Usage of a width that a page has."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=76)


def arguments(parser: argparse.ArgumentParser) -> list[str]:
    """Return a parser's usage, its table of arguments, and what its help ends with."""
    lines = ["```text", parser.format_usage().strip(), "```", "", "| argument | |", "| --- | --- |"]
    formatter = Formatter(parser.prog)
    for action in parser._actions:
        if action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        if isinstance(action, argparse._SubParsersAction):
            lines += [f"| `{c.dest}` | {cell(c.help or '')} |" for c in action._choices_actions]
            continue
        shown = formatter._format_action_invocation(action)
        told = formatter._expand_help(action) if action.help else ""
        lines.append(f"| `{shown.replace('|', chr(92) + '|')}` | {cell(told)} |")
    if parser.epilog:
        lines += ["", "```text", parser.epilog.strip(), "```"]
    return [*lines, ""]


def cell(text: str, *, code: bool = False) -> str:
    """Return text as a cell of a table, in which nothing is markup, but code if that is wanted."""
    text = " ".join(text.split())
    plain = re.split(r"(`[^`]*`)", text) if code else [text]
    plain[::2] = [re.sub(r"([\\|*_<`\[{])", r"\\\1", part) for part in plain[::2]]
    return "".join(part.replace("|", r"\|") if n % 2 else part for n, part in enumerate(plain))


def model(name: str) -> Any:
    """Return the model of a file."""
    module, _, kind = SCHEMAS[name].partition(":")
    return getattr(import_module(module), kind)


def schema(model: Any) -> dict[str, Any]:
    """Return a model's JSON schema, with what its docstrings say of its fields."""
    found: dict[str, Any] = model.model_json_schema()
    for part in (found, *found.get("$defs", {}).values()):
        described = attributes(part.get("description", ""))
        if "description" in part:
            part["description"] = part["description"].partition("\n\nAttributes:")[0]
        for field, value in part.get("properties", {}).items():
            if field in described:
                value.setdefault("description", described[field])
    return found


def attributes(docstring: str) -> dict[str, str]:
    """Return what a docstring's section Attributes says of each."""
    section = docstring.partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}


def schema_text(name: str) -> str:
    """Return a table of a file's fields, and its whole schema, folded."""
    found = schema(model(name))
    text = "\n".join("    " + line for line in json.dumps(found, indent=2).splitlines())
    folded = f'??? note "JSON schema"\n\n    ```json\n{text}\n    ```\n'
    download = f"[{name}.json, its JSON schema](../schemas/{name}.json)"
    return "\n".join([*fields(found), "", download, "", folded])


def settings() -> str:
    """Return a table of the settings of each method that has any."""
    lines = []
    for name in method_names():
        of = method(name)
        if of.settings is not None:
            lines += [f"**`{name}`**: {cell(of.help)}", "", *fields(schema(of.settings)), ""]
    return "\n".join(lines)


def fields(found: dict[str, Any]) -> list[str]:
    """Return the lines of a table of a schema's fields."""
    lines = ["| field | type | |", "| --- | --- | --- |"]
    for field, value in found["properties"].items():
        needed = "" if field in found.get("required", ()) else ", optional"
        told = cell(value.get("description", ""), code=True)
        lines.append(f"| `{field}` | {kind(value)}{needed} | {told} |")
    return lines


def kind(value: dict[str, Any]) -> str:
    """Return a field's type in words."""
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2]
    if "const" in value or "enum" in value:
        return " or ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    options = value.get("anyOf") or value.get("oneOf") or value.get("allOf")
    if options:
        return " or ".join(kind(one) for one in options)
    if value.get("type") == "array":
        return f"list of {kind(value['items'])}" if "items" in value else "list"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"object of {kind(value['additionalProperties'])}"
    return str(value.get("type", "any"))
