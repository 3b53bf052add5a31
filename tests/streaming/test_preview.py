from __future__ import annotations

import errno
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from fractions import Fraction
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.streaming.preview_buffer import Preview
from videos import frame_numbers, moving_square

FRAMES = moving_square(20)
NOISE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


def request(
    preview: Preview, path: str = "/", method: str = "GET", **headers: str
) -> tuple[HTTPResponse, bytes]:
    """Ask once, with `Sec_Fetch_Site` for Sec-Fetch-Site, and return the answer with its body."""
    with closing(connect(preview)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        response = connection.getresponse()
        return response, response.read()


def status(preview: Preview, path: str = "/", method: str = "GET", **headers: str) -> int:
    return request(preview, path, method, **headers)[0].status


def connect(preview: Preview, timeout: float = 5) -> HTTPConnection:
    url = urlsplit(preview.url)
    return HTTPConnection(url.hostname or "", url.port, timeout=timeout)


class Viewer:
    """Reads images as a browser does: each ends where the next is announced."""

    def __init__(self, response: HTTPResponse) -> None:
        self.response = response
        boundary = response.headers["Content-Type"].partition("boundary=")[2]
        self.announcement = f"--{boundary}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
        self.data = b""
        assert self.part() == b""

    def part(self) -> bytes:
        while self.announcement not in self.data:
            more = self.response.read1(1 << 16)
            if not more:
                raise EOFError
            self.data += more
        part, _, self.data = self.data.partition(self.announcement)
        return part.removesuffix(b"\r\n")

    def picture(self) -> NDArray[np.uint8]:
        with av.open(io.BytesIO(self.part()), format="image2pipe") as container:
            return next(container.decode(video=0)).to_ndarray(format="rgb24")

    def number(self) -> int:
        return frame_numbers(self.picture()[None])[0]


@contextmanager
def viewer(preview: Preview, path: str = "/stream") -> Iterator[Viewer]:
    with closing(connect(preview)) as connection:
        connection.request("GET", path)
        with closing(connection.getresponse()) as response:  # it keeps the connection otherwise
            assert response.status == 200
            yield Viewer(response)


@contextmanager
def events(preview: Preview) -> Iterator[Iterator[dict[str, object]]]:
    with closing(connect(preview)) as connection:
        connection.request("GET", "/stats", headers={"Accept": "text/event-stream"})
        with closing(connection.getresponse()) as response:
            lines = iter(response.readline, b"")
            yield (json.loads(line[5:]) for line in lines if line.startswith(b"data:"))


def watching(preview: Preview, name: str) -> bool:
    return json.loads(request(preview, f"/stats?viewer={name}")[1])["watching"]


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def preview() -> Iterator[Preview]:
    with Preview("127.0.0.1:0", rate=100) as preview:
        yield preview


class TestPictures:
    @pytest.mark.parametrize("size", [(48, 64), (47, 61), (1, 1)])
    def test_are_what_was_shown(self, preview: Preview, size: tuple[int, int]) -> None:
        frame = FRAMES[0][: size[0], : size[1]]
        with viewer(preview) as stream:
            preview.show(frame)
            picture = stream.picture()
        assert picture.shape == frame.shape
        assert np.abs(picture.astype(int) - frame).mean() < 2.5

    @pytest.mark.parametrize("colour", [(200, 30, 60), (20, 220, 90), (119, 119, 119)])
    def test_have_the_right_colours(self, preview: Preview, colour: tuple[int, int, int]) -> None:
        with viewer(preview) as stream:
            preview.show(np.full((32, 32, 3), colour, np.uint8))
            assert np.abs(stream.picture().astype(int) - colour).max() <= 2

    def test_keep_colours_as_sharp_as_brightness(self, preview: Preview) -> None:
        stripes = np.zeros((32, 32, 3), np.uint8)
        stripes[:, ::2] = (255, 0, 0)
        stripes[:, 1::2] = (0, 130, 0)  # of equal brightness: halved chroma would mix the two
        with viewer(preview) as stream:
            preview.show(stripes)
            assert np.abs(stream.picture().astype(int) - stripes).mean() < 10

    def test_survive_that_the_caller_reuses_the_array(self, preview: Preview) -> None:
        frame = FRAMES[7].copy()
        with viewer(preview) as stream:
            preview.show(frame)
            frame[:] = 0
            assert stream.number() == 7

    def test_may_change_their_size(self, preview: Preview) -> None:
        with viewer(preview) as stream:
            for frame in (FRAMES[0], FRAMES[0][:24, :32], FRAMES[0]):
                preview.show(frame)
                assert stream.picture().shape == frame.shape

    def test_have_square_pixels(self, preview: Preview) -> None:
        with viewer(preview) as stream:
            preview.show(np.zeros((72, 90, 3), np.uint8), Fraction(64, 45))
            assert stream.picture().shape == (72, 128, 3)
            preview.show(np.zeros((72, 90, 3), np.uint8))
            assert stream.picture().shape == (72, 90, 3)

    def test_of_a_view_are_right_too(self, preview: Preview) -> None:
        frame = FRAMES[3][:, ::-1]
        with viewer(preview) as stream:
            preview.show(frame)
            assert np.abs(stream.picture().astype(int) - frame).mean() < 2.5

    def test_are_the_newest(self) -> None:
        with Preview("127.0.0.1:0", rate=10) as preview, viewer(preview) as stream:
            for frame in FRAMES:
                preview.show(frame)
            numbers = [stream.number()]
            while numbers[-1] != 19:
                numbers.append(stream.number())
        assert len(numbers) <= 3

    def test_come_at_the_rate_at_most(self) -> None:
        with Preview("127.0.0.1:0", rate=10) as preview, viewer(preview) as stream:
            done = threading.Event()
            thread = threading.Thread(target=_keep_showing, args=(preview, done))
            thread.start()
            started = time.monotonic()
            for _ in range(6):
                stream.picture()
            seconds = time.monotonic() - started
            done.set()
            thread.join()
        assert seconds > 0.45

    def test_are_the_same_for_all(self, preview: Preview) -> None:
        with viewer(preview) as one, viewer(preview) as other:
            preview.show(FRAMES[4])
            assert one.part() == other.part()

    def test_of_when_nobody_watched_are_not_kept(self, preview: Preview) -> None:
        preview.show(FRAMES[1])
        with viewer(preview, "/stream?viewer=me") as stream:
            preview.show(FRAMES[2])
            assert stream.number() == 2
        wait_until(lambda: not watching(preview, "me"))
        preview.show(FRAMES[1])
        with viewer(preview) as stream:
            preview.show(FRAMES[3])
            assert stream.number() == 3

    def test_cost_nothing_while_nobody_watches(self, preview: Preview) -> None:
        wait_until(lambda: _costs_nothing(preview))
        assert status(preview) == status(preview, "/stats") == 200
        assert status(preview, "/stream", "HEAD") == 200
        wait_until(lambda: _costs_nothing(preview))

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((4, 4, 3), np.float32),
            np.zeros((0, 4, 3), np.uint8),
        ],
        ids=["grey", "rgba", "float", "empty"],
    )
    def test_must_be_rgb(self, preview: Preview, wrong: NDArray[np.uint8]) -> None:
        with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
            preview.show(wrong)

    def test_rate_is_above_zero(self) -> None:
        with pytest.raises(ValueError, match="rate"):
            Preview("127.0.0.1:0", rate=0)


def _keep_showing(preview: Preview, done: threading.Event) -> None:
    while not done.wait(0.005):
        preview.show(FRAMES[0])


def _costs_nothing(preview: Preview) -> bool:
    """Show 100 frames of 25 MB: a third of a second if they were copied."""
    frame = np.zeros((2160, 3840, 3), np.uint8)
    started = time.monotonic()
    for _ in range(100):
        preview.show(frame)
    return time.monotonic() - started < 0.1


class TestNumbers:
    def test_are_those_of_the_caller(self) -> None:
        stats = {"source": "camera:0", "frames_in": 3, "fps": 29.97, "guard": None, "ended": False}
        with Preview("127.0.0.1:0", stats=lambda: stats) as preview:
            response, body = request(preview, "/stats")
        assert response.headers["Content-Type"] == "application/json"
        assert json.loads(body) == stats | {"watching": False, "room": True}

    def test_leave_out_what_the_page_does_not_know(self) -> None:
        with Preview("127.0.0.1:0", stats=lambda: {"password": "x"}) as preview:
            assert b"password" not in request(preview, "/stats")[1]

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_are_json_also_when_there_is_no_number(self, value: float) -> None:
        with Preview("127.0.0.1:0", stats=lambda: {"fps": value}) as preview:
            assert json.loads(request(preview, "/stats")[1])["fps"] is None

    def test_come_each_second_as_events_and_say_the_end(self) -> None:
        count = iter(range(100))
        with (
            Preview("127.0.0.1:0", stats=lambda: {"frames_in": next(count)}) as preview,
            events(preview) as messages,
        ):
            assert [next(messages)["frames_in"] for _ in range(2)] == [0, 1]
            preview.close()
            assert next(messages)["ended"] is True
            assert next(messages, None) is None

    def test_say_whether_the_page_is_being_served(self, preview: Preview) -> None:
        with viewer(preview, "/stream?viewer=me"):
            assert watching(preview, "me")
            assert not watching(preview, "you")
        wait_until(lambda: not watching(preview, "me"))


class TestAddress:
    @pytest.mark.parametrize(
        ("address", "url"),
        [
            ("127.0.0.1:0", r"http://127\.0\.0\.1:\d+/"),
            ("127.1.2.3:0", r"http://127\.1\.2\.3:\d+/"),
            ("localhost:0", r"http://127\.0\.0\.1:\d+/"),
            (":0", r"http://127\.0\.0\.1:\d+/"),
            ("0", r"http://127\.0\.0\.1:\d+/"),
            ("[::1]:0", r"http://\[::1\]:\d+/"),
        ],
    )
    def test_of_this_machine_needs_no_token(self, address: str, url: str) -> None:
        try:
            preview = Preview(address)
        except MotionveilError:
            if "::1" not in address or _has_ipv6():
                raise
            pytest.skip("this machine has no IPv6")
        with preview:
            assert re.fullmatch(url, preview.url)
            assert status(preview) == 200

    @pytest.mark.parametrize("address", ["0.0.0.0:8080", "[::]:8080", "192.168.1.2:8080", "cam:80"])
    def test_that_others_reach_needs_a_token(self, address: str) -> None:
        with pytest.raises(MotionveilError, match=re.escape(address) + ".*--preview-token"):
            Preview(address)

    def test_that_others_reach_works_with_a_token(self) -> None:
        with Preview("0.0.0.0:0", token="a b&c/é0123456789") as preview:
            assert re.fullmatch(
                r"http://127\.0\.0\.1:\d+/\?token=a%20b%26c%2F%C3%A90123456789", preview.url
            )
            assert preview.shown == preview.url.partition("?")[0] + "?token=..."
            path = preview.url.partition("/?")[2]
            assert status(preview, f"/?{path}", Host="camera.example:8080") == 200

    @pytest.mark.parametrize(
        "address",
        ["", "localhost", "127.0.0.1:", "127.0.0.1:x", ":65536", ":-1", "::1:80", "[::1]", ":８０"],
    )
    def test_that_is_none_says_what_would_be_one(self, address: str) -> None:
        with pytest.raises(MotionveilError, match=r"127\.0\.0\.1:8080"):
            Preview(address)
        with pytest.raises(MotionveilError, match=r"127\.0\.0\.1:8080"):
            Preview(f"http://{address}/")

    def test_that_is_not_this_machines(self) -> None:
        with pytest.raises(MotionveilError, match=r"192\.0\.2\.1 is no address of this machine"):
            Preview("192.0.2.1:8080", token="0123456789abcdef")

    def test_that_is_taken_names_the_port(self, preview: Preview) -> None:
        port = urlsplit(preview.url).port
        with pytest.raises(MotionveilError, match=f"port {port} is in use"):
            Preview(f":{port}")

    def test_is_free_again_after_the_end(self) -> None:
        with Preview("0") as preview:
            port = urlsplit(preview.url).port
            assert status(preview) == 200
        with Preview(f"{port}") as preview:
            assert status(preview) == 200

    def test_is_given_back_by_one_that_never_ran(self) -> None:
        preview = Preview("0")
        preview.close()
        Preview(f"{urlsplit(preview.url).port}").close()


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class TestAdmission:
    PATHS = pytest.mark.parametrize("path", ["/", "/stream", "/stats", "/nothing"])

    @PATHS
    def test_needs_the_token_everywhere(self, path: str, capfd: pytest.CaptureFixture[str]) -> None:
        with Preview("127.0.0.1:0", token="sesame") as preview:
            found = 404 if path == "/nothing" else 200
            assert status(preview, path) == 403
            assert status(preview, f"{path}?token=") == 403
            assert status(preview, f"{path}?token=sesam") == 403
            assert status(preview, path, Authorization="Bearer wrong") == 403
            assert status(preview, path, Authorization="Basic sesame") == 403
            assert status(preview, f"{path}?token=sesame", "HEAD") == found
            assert status(preview, path, "HEAD", Authorization="Bearer sesame") == found
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        ("address", "token"),
        [("0.0.0.0:0", "hunter2"), ("[::]:0", "hunter2 " * 2), ("0.0.0.0:0", ""), ("0", "  ")],
    )
    def test_with_a_short_token_is_refused(self, address: str, token: str) -> None:
        with pytest.raises(MotionveilError, match=r"characters; give 16 .*token_urlsafe") as error:
            Preview(address, token=token)
        assert "hunter" not in str(error.value)

    def test_with_a_short_token_is_enough_on_this_machine(self) -> None:
        Preview("127.0.0.1:0", token="x").close()

    @PATHS
    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:80", "127.0.0.1.evil:1", "", "["]
    )
    def test_refuses_a_name_that_was_bent_to_this_machine(
        self, preview: Preview, path: str, host: str
    ) -> None:
        assert status(preview, path, Host=host) == 403

    @pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:80", "LOCALHOST"])
    def test_knows_the_names_of_this_machine(self, preview: Preview, host: str) -> None:
        assert status(preview, "/stats", Host=host) == 200

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_lets_no_other_site_show_the_picture(self, preview: Preview, site: str) -> None:
        assert status(preview, "/stream", Sec_Fetch_Site=site) == 403
        assert status(preview, "/stats", Sec_Fetch_Site=site) == 403
        assert status(preview, "/", Sec_Fetch_Site=site) == 200  # a link
        assert status(preview, "/stats", Sec_Fetch_Site="same-origin") == 200

    @PATHS
    def test_head_is_get_without_the_body(self, preview: Preview, path: str) -> None:
        response, body = request(preview, path, "HEAD")
        assert response.status == (404 if path == "/nothing" else 200)
        assert body == b""

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
    def test_takes_no_other_method(self, preview: Preview, method: str) -> None:
        response, _ = request(preview, "/", method)
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"

    @pytest.mark.parametrize("method", ["HEAD", "POST"])
    @PATHS
    def test_every_answer_has_the_headers(self, preview: Preview, path: str, method: str) -> None:
        headers = request(preview, path, method)[0].headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert not {"Server", "Set-Cookie", "Access-Control-Allow-Origin"} & set(headers)

    def test_the_page_runs_its_own_script_only(self, preview: Preview) -> None:
        response, body = request(preview)
        nonces = re.findall(r"nonce-([\w-]+)", response.headers["Content-Security-Policy"])
        assert len(set(nonces)) == 1
        assert body.decode().count(f'nonce="{nonces[0]}"') == 2
        assert nonces[0] not in request(preview)[1].decode()
        assert b"{{" not in body

    @pytest.mark.parametrize(
        "line",
        [
            b"GET /\r\n\r\n",
            b"\x00\xff\r\n\r\n",
            b"GET http://[ HTTP/1.0\r\n\r\n",
            b"GET /" + b"x" * 70000,
        ],
        ids=["old", "binary", "url", "long"],
    )
    def test_outlives_nonsense(
        self, preview: Preview, line: bytes, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with closing(connect(preview)) as connection:
            connection.connect()
            connection.sock.sendall(line)
            try:
                connection.sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                if error.errno != errno.ENOTCONN:  # the server has reset the connection already
                    raise
            with suppress(ConnectionResetError):  # what was not read of a line too long
                assert b" 200 " not in connection.sock.recv(1000)
        assert status(preview) == 200
        assert capfd.readouterr().err == ""


class TestViewers:
    def test_more_than_eight_are_refused(self, preview: Preview) -> None:
        with ExitStack() as stack:
            streams = [stack.enter_context(viewer(preview)) for _ in range(7)]
            with viewer(preview) as last:
                response, body = request(preview, "/stream")
                assert response.status == 503
                assert b"8 others watch" in body
                assert json.loads(request(preview, "/stats")[1])["room"] is False
                preview.show(FRAMES[5])
                assert {stream.number() for stream in [*streams, last]} == {5}
            wait_until(lambda: status(preview, "/stream", "HEAD") == 200)

    def test_many_connections_do_not_become_many_threads(self, preview: Preview) -> None:
        before = threading.active_count()
        url = urlsplit(preview.url)
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(socket.create_connection((url.hostname, url.port)))
            time.sleep(0.2)
            assert threading.active_count() - before <= 32
        wait_until(lambda: threading.active_count() <= before)
        assert status(preview) == 200

    def test_one_that_left_is_forgotten(self, preview: Preview) -> None:
        with viewer(preview, "/stream?viewer=me") as stream:
            preview.show(FRAMES[0])
            stream.number()
        wait_until(lambda: _costs_nothing(preview))

    @pytest.mark.slow
    def test_one_that_does_not_read_holds_nobody_up(
        self, preview: Preview, capfd: pytest.CaptureFixture[str]
    ) -> None:
        url = urlsplit(preview.url)
        with socket.socket() as dead, viewer(preview) as alive:
            dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            dead.connect((url.hostname, url.port))
            dead.sendall(b"GET /stream?viewer=dead HTTP/1.0\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: watching(preview, "dead"))
            slowest, pictures = 0.0, 0
            while watching(preview, "dead"):  # it is given 3 s
                started = time.monotonic()
                preview.show(NOISE)
                alive.part()
                slowest = max(slowest, time.monotonic() - started)
                pictures += 1
        assert slowest < 2, "nobody waits for those 3 s"
        assert pictures > 10
        assert capfd.readouterr() == ("", "")

    def test_a_slow_one_gets_few_old_pictures(self, preview: Preview) -> None:
        url = urlsplit(preview.url)
        with socket.socket() as slow:
            slow.settimeout(60)
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect((url.hostname, url.port))
            slow.sendall(b"GET /stream?viewer=slow HTTP/1.0\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: watching(preview, "slow"))
            began = time.monotonic()
            while time.monotonic() - began < 1:  # some 100 kB each; after 3 s it would be cut
                preview.show(NOISE)
                time.sleep(0.01)
            preview.show(FRAMES[9])
            with closing(HTTPResponse(slow)) as response:
                response.begin()
                stream = Viewer(response)
                sizes = [stream.picture().shape]
                while sizes[-1] != FRAMES[9].shape:
                    sizes.append(stream.picture().shape)
        assert len(sizes) < 10

    @pytest.mark.slow
    def test_one_that_says_nothing_is_cut(self, preview: Preview) -> None:
        with closing(connect(preview)) as connection:
            connection.connect()
            assert connection.sock.recv(1) == b""


class TestEnd:
    def test_ends_the_connections_at_once(self) -> None:
        with ExitStack() as stack:
            preview = stack.enter_context(Preview("127.0.0.1:0"))
            streams = [stack.enter_context(viewer(preview)) for _ in range(3)]
            idle = stack.enter_context(closing(connect(preview)))
            idle.connect()
            started = time.monotonic()
            preview.close()
            for stream in streams:
                with pytest.raises(EOFError):
                    stream.part()
            with suppress(ConnectionResetError):  # not even accepted yet
                assert idle.sock.recv(1) == b""
            assert time.monotonic() - started < 2.5, "the idle one would be given 3 s"
            with pytest.raises((ConnectionError, HTTPException)):
                request(preview)

    def test_leaves_no_thread_behind(self) -> None:
        before = threading.active_count()
        with Preview("127.0.0.1:0") as preview, viewer(preview):
            preview.show(FRAMES[0])
        wait_until(lambda: threading.active_count() <= before)

    def test_twice_is_once(self, preview: Preview) -> None:
        preview.close()
        preview.close()

    def test_show_does_nothing_afterwards(self, preview: Preview) -> None:
        preview.close()
        preview.show(FRAMES[0])

    def test_comes_with_an_exception_too(self) -> None:
        with pytest.raises(KeyError), Preview("127.0.0.1:0") as preview:
            raise KeyError
        with pytest.raises(ConnectionError):
            request(preview)


def test_capture_loads_no_web_server_until_asked() -> None:
    code = "import motionveil.streaming, sys; sys.exit('http.server' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
