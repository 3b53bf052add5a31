"""A study that is served within the test, and browsers without scripts that follow its pages."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from motionveil.study.server.app import make_app
from motionveil.study.server.context import Context, read_texts

URL = "http://127.0.0.1:8000"
TOKEN = "the administrator's token"
TEXTS = read_texts()


class Browser:
    """Follows links and forms as a browser does."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.page = ""
        self.status = 0

    def get(self, path: str, **headers: str) -> Any:
        return self._note(self.client.get(path, headers=headers))

    def post(self, path: str, **fields: Any) -> Any:
        return self._note(self.client.post(path, data=fields))

    def _note(self, answer: Any) -> Any:
        self.page, self.status = html.unescape(answer.text), answer.status_code
        return answer

    @property
    def heading(self) -> str:
        text = re.sub(r"<.*?>", " ", re.search(r"(?s)<h1>(.*?)</h1>", self.page)[1])
        return " ".join(text.split())

    @property
    def question(self) -> str:
        return re.search(r'name="question" value="(\w+)"', self.page)[1]

    @property
    def options(self) -> list[str]:
        return re.findall(r'name="chosen" value="(\w+)"', self.page)

    @property
    def media(self) -> list[str]:
        return re.findall(r'src="(/media/[^"]+)"', self.page)

    def begin(self) -> None:
        """Come by a link to the first question."""
        self.post("/consent", agree="yes")
        self.post("/go-on", answered=0)

    def answer(self, chosen: int = 2) -> Any:
        return self.post("/answer", question=self.question, chosen=self.options[:chosen])

    def go_on(self) -> None:
        self.post("/go-on", answered=re.search(r'name="answered" value="(\d+)"', self.page)[1])


class World:
    """A study that is served, and browsers."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.site = Context(folder, URL, TOKEN, **options)
        self.client = TestClient(make_app(self.site), base_url=URL, raise_server_exceptions=False)

    def browser(self, *, invited: bool = True) -> Browser:
        client = TestClient(self.client.app, base_url=URL, raise_server_exceptions=False)
        browser = Browser(client)
        if invited:
            self.token = self.site.store.enrol().result()
            browser.post("/join", token=self.token)
        return browser

    def answers(self) -> list[Any]:
        return [answer for person in self.site.store.participants() for answer in person.answers]
