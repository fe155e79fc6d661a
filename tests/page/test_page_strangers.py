"""Who may speak to the page, and how much: other origins and hosts, paths outside, uploads, slow browsers."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.page.app import BROWSER, LARGEST_UPLOAD_BYTES
from bridge.page.main import listening, why_not
from engine.clip import Clip, Note
from engine.midi.clips import clip_as_midi
from engine.midi.events import format_midi
from engine.midi.song import parse_song
from tests.bridge.conftest import Starts
from tests.page.conftest import ADDRESS, Page, page_of

CLIP = Clip(tuple(Note(36, float(beat), 0.25, 100) for beat in range(8)), 8.0, tempo_bpm=99.0)


def ask(
    page: Page, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """The answer to a request as it is written, status, body and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}


def talk(conversation: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(conversation(), 60))


def to(page: Page, **settings: Any) -> connect:
    return connect(f"ws://127.0.0.1:{page.port}/ws", proxy=None, **settings)


async def answer(browser: ClientConnection, number: int) -> list[list[Any]]:
    """All messages until the done or fail of an id."""
    came: list[list[Any]] = []
    while True:
        came += json.loads(await browser.recv())
        if any(each[0] in ("/vae/done", "/vae/fail") and each[1] == number for each in came):
            return came


def test_each_file_of_the_page_comes_with_headers_that_keep_others_out(fake_page: Page) -> None:
    for file in sorted(BROWSER.iterdir()):
        status, content, headers = ask(fake_page, f"/{file.name}")
        assert (status, content) == (200, file.read_bytes())
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert ask(fake_page, "/")[1] == (BROWSER / "index.html").read_bytes()


def test_nothing_is_loaded_from_elsewhere() -> None:
    for file in BROWSER.iterdir():
        text = file.read_text()
        assert "https://" not in text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "path",
    [
        *("/../app.py", "/..%2fapp.py", "/%2e%2e/app.py", "/%2e%2e%2fapp.py", "//etc/passwd", "/..\\app.py"),
        *(
            "/....//app.py",
            "/%252e%252e/app.py",
            "/browser/../../app.py",
            "/./../../config.py",
            "/%00",
            "/index.html/../../app.py",
        ),
    ],
)
def test_no_path_leads_outside_the_folder(fake_page: Page, path: str) -> None:
    status, content, _ = ask(fake_page, path)
    assert status in (400, 404)
    assert b"import" not in content


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1",
        "http://127.0.0.1",
        "http://localhost:1",
        "http://[bad",
        "",
    ],
)
def test_a_page_from_another_origin_reads_and_sends_nothing(fake_page: Page, origin: str) -> None:
    for path, method in (("/table", "GET"), ("/midi/clips", "POST"), ("/", "GET")):
        status, content, headers = ask(fake_page, path, method=method, body=b"", Origin=origin)
        assert (status, content) == (403, b"a page from elsewhere may not speak to this one")
        assert "access-control-allow-origin" not in headers

    async def attack() -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with to(fake_page, origin=origin):
                pass
        assert refused.value.response.status_code == 403

    talk(attack)


def test_a_name_that_somebody_has_made_point_here_is_refused(fake_page: Page) -> None:
    host = f"evil.example:{fake_page.port}"
    assert ask(fake_page, "/table", Host=host, Origin=f"http://{host}")[0] == 403
    assert ask(fake_page, "/table", Host=f"127.0.0.1.evil.example:{fake_page.port}")[0] == 403
    for name in ("127.0.0.1", "localhost", "[::1]"):
        host = f"{name}:{fake_page.port}"
        assert ask(fake_page, "/table", Host=host, Origin=f"http://{host}")[0] == 200


def test_our_own_page_speaks_to_the_daemon(fake_page: Page) -> None:
    async def conversation() -> None:
        async with to(fake_page, origin=fake_page.address) as browser:
            await browser.send(json.dumps([["/vae/ping", 1], ["/vae/sample", 2, "bars", 1]]))
            came = await answer(browser, 2)
        assert [each[0] for each in came][-1] == "/vae/done"
        assert any(each[:2] == ["/vae/done", 1] for each in came)

    talk(conversation)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        ("nonsense", "a frame is a JSON list of messages"),
        ('{"a": 1}', "a frame is a JSON list of messages"),
        ("[" * 100_000, "a frame is a JSON list of messages"),
        ("[7]", "a message is a list of an address and its arguments"),
        ("[[]]", "a message is a list of an address and its arguments"),
        ('[["/etc/passwd"]]', "there is no address /etc/passwd"),
        ('[["/vae/nonsense", 1]]', "there is no address /vae/nonsense"),
        ('[["/vae/ping", {"a": 1}]]', "an argument is a number or a text"),
        ('[["/vae/ping", 1e39]]', "an argument is a number or a text"),
        ('[["/vae/ping", 4294967296]]', "an argument is a number or a text"),
        ('[["/vae/ping", NaN]]', "an argument is a number or a text"),
        ('[["/vae/status", 1, null]]', "an argument is a number or a text, not None"),
        ('[["/vae/status", "\\ud800"]]', "an argument is a number or a text, not '\\ud800'"),
        ('[["/vae/\\ud800", 1]]', "there is no address /vae/?"),
        (b"\x00\xff", "a frame is a JSON list of messages"),
        (json.dumps([["/vae/ping", 1, *["a" * 4096] * 20]]), "a message may have 65507 bytes as OSC"),
        ('[["/page/session", {"a": NaN}]]', "a message holds what JSON has not"),
        ('[["/page/session", [-1e999]]]', "a message holds what JSON has not"),
    ],
)
def test_what_is_no_message_is_told_what_is_accepted_and_the_next_is_answered(
    fake_page: Page, frame: str | bytes, sentence: str
) -> None:
    async def conversation() -> None:
        async with to(fake_page) as browser:
            await browser.send(frame)
            ((address, number, _, code, text),) = json.loads(await browser.recv())
            assert (address, number, code) == ("/vae/fail", 0, "bad_packet")
            assert text.startswith(sentence)
            await browser.send('[["/vae/ping", 1]]')
            assert (await answer(browser, 1))[-1][:2] == ["/vae/done", 1]

    talk(conversation)


def test_what_browsers_say_to_each_other_reaches_the_others_alone(fake_page: Page) -> None:
    async def conversation() -> None:
        async with to(fake_page) as one, to(fake_page) as other:
            await one.send('[["/page/session", {"any": ["thing"]}], ["/vae/ping", 1]]')
            assert [each[0] for each in await answer(one, 1)] == ["/vae/done"]
            assert json.loads(await other.recv()) == [["/page/session", {"any": ["thing"]}]]

    talk(conversation)


def test_a_browser_that_takes_nothing_holds_nobody_up_and_gets_the_newest(fake_page: Page) -> None:
    """Its socket is never read while thousands of answers come; another is answered at once meanwhile."""

    async def conversation() -> None:
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        wire.connect(("127.0.0.1", fake_page.port))
        slow = await to(fake_page, sock=wire)
        slow.transport.pause_reading()  # as a phone that has left the room
        notes = [atom for index in range(48) for atom in (36, index / 6, 0.1, 100, 0)]
        chunks = [["/vae/clip/notes", 1, first, 48, *notes] for first in range(0, 960, 48)]
        await slow.send(json.dumps([["/vae/clip/begin", 1, "slow", 960, 8.0], *chunks, ["/vae/clip/end", 1]]))
        for first in range(2, 602, 10):
            await slow.send(
                json.dumps([["/vae/clip/get", number, "slot", "slow"] for number in range(first, first + 10)])
            )
            await asyncio.sleep(0.03)
        async with to(fake_page) as quick:
            waits = []
            for number in range(1, 40):
                began = time.monotonic()
                await quick.send(json.dumps([["/vae/ping", number]]))
                await answer(quick, number)
                waits.append(time.monotonic() - began)
                await asyncio.sleep(0.05)
            assert sorted(waits)[len(waits) // 2] < 0.1
            assert max(waits) < 1.0
        slow.transport.resume_reading()
        await slow.send(json.dumps([["/vae/ping", 99_999]]))
        came = await answer(slow, 99_999)
        lost = [each for each in came if each[0] == "/page/lost"]
        assert lost, len(came)
        await slow.close()

    talk(conversation)


def test_a_large_upload_is_refused_before_it_has_come(fake_page: Page) -> None:
    for path in ("/midi/clips", "/midi/file"):
        with socket.create_connection(("127.0.0.1", fake_page.port), timeout=20) as wire:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{fake_page.port}\r\nContent-Length: {100 << 20}\r\n\r\n"
            )
            wire.sendall(head.encode())
            assert wire.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_large_upload_that_hides_its_size_is_cut_off(fake_page: Page) -> None:
    with socket.create_connection(("127.0.0.1", fake_page.port), timeout=20) as wire:
        head = (
            f"POST /midi/clips HTTP/1.1\r\nHost: 127.0.0.1:{fake_page.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        wire.sendall(head.encode())
        chunk, sent = b"10000\r\n" + bytes(0x10000) + b"\r\n", 0
        try:
            while sent < 100 << 20:
                wire.sendall(chunk)
                sent += 0x10000
        except OSError:
            pass
        assert sent < 4 * LARGEST_UPLOAD_BYTES
    assert ask(fake_page, "/table")[0] == 200


def test_a_frame_that_is_too_large_ends_its_browser_alone(fake_page: Page) -> None:
    async def conversation() -> None:
        async with to(fake_page) as other, to(fake_page) as browser:
            with contextlib.suppress(ConnectionClosed):
                await browser.send("[" + " " * (5 << 20))
                await browser.recv()
            with pytest.raises(ConnectionClosed):
                await browser.send("[]")
            await other.send('[["/vae/ping", 1]]')
            assert (await answer(other, 1))[-1][:2] == ["/vae/done", 1]

    talk(conversation)


def test_a_file_becomes_a_clip_and_a_clip_a_file(fake_page: Page) -> None:
    status, content, _ = ask(fake_page, "/midi/clips", method="POST", body=format_midi(clip_as_midi(CLIP)))
    assert status == 200
    (told,) = json.loads(content)["clips"]
    assert told["name"] == "drums"
    assert told["clip"]["notes"] == [[36, float(beat), 0.25, 100, 0] for beat in range(8)]
    assert (told["clip"]["beats"], round(told["clip"]["tempo"], 3)) == (8.0, 99.0)
    status, content, headers = ask(fake_page, "/midi/file", method="POST", body=json.dumps(told["clip"]).encode())
    assert (status, headers["content-type"]) == (200, "audio/midi")
    assert [note.start_beats for note in parse_song(content).clip.notes] == [float(beat) for beat in range(8)]


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/midi/clips", b"", "MIDI"),
        ("/midi/clips", b"RIFF no song", "MIDI"),
        ("/midi/file", b"nonsense", "a clip is a JSON object"),
        ("/midi/file", b"[]", "a clip is a JSON object"),
        ("/midi/file", b'{"notes": [[1]], "beats": 4}', "a clip has notes of five numbers"),
        ("/midi/file", b'{"notes": [], "beats": 1e300}', "a clip may have 16384 beats"),
        ("/midi/file", b'{"notes": [], "beats": 1e999}', "a clip may have 16384 beats"),
        ("/midi/file", b'{"notes": [], "beats": NaN}', "a clip may have 16384 beats"),
        ("/midi/file", b'{"notes": [[36, 1e300, 1, 1, 0]], "beats": 4}', "a clip may have 16384 beats"),
        ("/midi/file", b'{"notes": [[36, 0, 1e300, 1, 0]], "beats": 4}', "a clip may have 16384 beats"),
        ("/midi/file", b'{"notes": [], "beats": 4, "text": "\\ud800"}', "a text holds half a character"),
        (
            "/midi/file",
            b'{"notes": [], "beats": 4, "parts": [[1, 0, 0, 0, "\\udfff"]]}',
            "a text holds half a character",
        ),
        ("/midi/file", b'{"notes": [[999, 0, 1, 1, 0]], "beats": 4}', "pitch must be in 0..127, not 999"),
    ],
)
def test_what_is_no_file_or_clip_is_told_what_is_accepted(
    fake_page: Page, path: str, body: bytes, sentence: str
) -> None:
    status, content, _ = ask(fake_page, path, method="POST", body=body)
    assert status == 400
    assert sentence in content.decode()


def test_beyond_this_machine_only_with_the_token_that_the_terminal_prints(start: Starts) -> None:
    daemon = start("fake", page=0, page_host="0.0.0.0")
    daemon.wait_until_ready()
    page = page_of(daemon)
    address, _, token = page.address.partition("/?token=")
    assert len(token) > 16
    assert ask(page, "/")[0] == 401
    assert ask(page, "/?token=wrong")[0] == 401
    assert ask(page, "/table", Cookie="vaebridge_token=wrong")[0] == 401
    status, _, headers = ask(page, f"/?token={token}")
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly" in headers["set-cookie"]
    assert "samesite=strict" in headers["set-cookie"].lower()
    cookie = headers["set-cookie"].partition(";")[0]
    host = f"192.168.1.7:{page.port}"
    assert ask(page, "/", Cookie=cookie, Host=host)[0] == 200
    for odd in ('j={"a":1}', "a b=c", "=", 'k\\[="', 'x="a'):
        assert ask(page, "/", Cookie=f"{odd}; {cookie}; {odd}", Host=host)[0] == 200, odd
    assert ask(page, "/", Cookie=f"x{cookie}", Host=host)[0] == 401
    assert ask(page, "/", Cookie=cookie, Host=host, Origin="http://evil.example")[0] == 403

    async def conversation() -> None:
        with pytest.raises(InvalidStatus):
            async with to(page):
                pass
        with pytest.raises(InvalidStatus):
            async with to(page, additional_headers={"Cookie": cookie}, origin="http://evil.example"):
                pass
        async with to(page, additional_headers={"Cookie": cookie}, origin=address) as browser:
            await browser.send('[["/vae/ping", 1]]')
            assert (await answer(browser, 1))[-1][:2] == ["/vae/done", 1]

    talk(conversation)


def test_a_port_that_is_taken_is_told_and_the_daemon_goes_on(start: Starts) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        daemon = start("fake", page=port)
        daemon.wait_until_ready()
        deadline = time.monotonic() + 20
        while "--page 0 takes any that is free" not in daemon.log.read_text():
            assert time.monotonic() < deadline, daemon.tell()
            time.sleep(0.05)
    assert "no page: TCP port" in daemon.log.read_text()
    assert page_of(daemon).port == port  # free again, it is taken after a while


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 100])
def test_a_host_that_is_not_here_is_told_as_such_and_no_port_is_advised(host: str) -> None:
    with pytest.raises((OSError, UnicodeError)) as refused:
        listening(host, 0)
    assert why_not(host, 0, refused.value).startswith(
        f"{host} is no address of this machine; --page-host takes one"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the page's process is found in /proc")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_page_whose_process_dies_has_the_same_port_and_token_again(start: Starts, host: str) -> None:
    daemon = start("fake", page=0, page_host=host)
    daemon.wait_until_ready()
    address = page_of(daemon).address
    assert ("?token=" in address) == (host != "127.0.0.1")
    os.kill(daemon.pid_of("bridge.page.main"), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while len(found := ADDRESS.findall(daemon.log.read_text())) < 2:
        assert time.monotonic() < deadline, daemon.tell()
        time.sleep(0.05)
    assert found == [address] * 2
    assert ask(page_of(daemon), address.partition(str(page_of(daemon).port))[2] or "/")[0] in (200, 303)
