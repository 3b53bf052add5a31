"""Pages out of templates and texts; every value is escaped."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from motionveil.study.design import Study
from motionveil.study.server.texts import Tree, fill

STATIC = {
    "icon.svg": "image/svg+xml",
    "study.css": "text/css; charset=utf-8",
    "study.js": "text/javascript; charset=utf-8",
}
"""The files that every page may ask for, with their types."""


class Pages:
    """Makes the pages of a study.

    Args:
        study: Its design.
        texts: All words.

    Attributes:
        static: The files of `STATIC` with their bytes.
        texts: All words.
    """

    def __init__(self, study: Study, texts: Tree) -> None:
        folder = resources.files(__package__).joinpath("static")
        self.static = {name: folder.joinpath(name).read_bytes() for name in STATIC}
        self.texts = texts
        self._environment = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["fill"] = fill_escaped
        self._environment.globals.update(
            study=study,
            t=texts,
            needed=("one", "two")[study.persons_per_question - 1],
            static={name: _address(name, content) for name, content in self.static.items()},
        )

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page.

        Args:
            template: Name of its file in `templates/`, without the suffix.
            status: Of HTTP.
            values: What the template asks for.
        """
        text = self._environment.get_template(f"{template}.html").render(values)
        return HTMLResponse(text, status)

    def problem(self, status: int, name: str) -> HTMLResponse:
        """Return a page that says what did not work.

        Args:
            status: Of HTTP.
            name: Of the text, in `errors`.
        """
        home = name not in ("no_session", "bad_link")  # else there is nothing to go on with
        return self.page("problem", status, problem=self.texts["errors"][name], home=home)


def fill_escaped(text: str, **values: object) -> Markup:
    """Put values into a text's words in braces, as the filter `fill`; what is HTML stays HTML."""
    return Markup(fill(escape(text), {name: escape(value) for name, value in values.items()}))


def _address(name: str, content: bytes) -> str:
    """Return an address that changes with the content, so that browsers may keep it for good."""
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"
