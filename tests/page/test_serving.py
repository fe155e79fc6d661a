"""`vaebridge serve --page`, as it is typed."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bridge.cli.serve import serve_command
from bridge.config import PAGE_PORT
from bridge.page.app import BROWSER
from tests.bridge.conftest import ROOT, free_port


@pytest.mark.parametrize(
    ("typed", "port"),
    [
        (["--page"], PAGE_PORT),
        (["--page", "--no-midi"], PAGE_PORT),
        (["--no-midi", "--page"], PAGE_PORT),
        (["--page", "8123"], 8123),
        (["--page=8123", "-q"], 8123),
        (["--page", "0"], 0),
        ([], None),
    ],
)
def test_the_flag_stands_with_a_port_or_without(typed: list[str], port: int | None) -> None:
    command = serve_command()
    told = command.make_context("serve", list(typed)).params["page"]
    assert told == port


def test_serve_page_opens_a_page(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "VAEBRIDGE_CONTROLS": str(tmp_path / "controls.toml"),
        "VAEBRIDGE_MODELS": "drummer",
    }
    log = tmp_path / "log"
    command = [
        sys.executable,
        "-m",
        "bridge.entry",
        "serve",
        "--no-midi",
        "--osc-port",
        str(free_port()),
        "--page",
        "0",
    ]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + 30
        while not (found := re.findall(r"page on (http://127\.0\.0\.1:\d+)", log.read_text())):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        with urllib.request.urlopen(found[0], timeout=10) as page:
            assert page.read() == (BROWSER / "index.html").read_bytes()
    finally:
        process.terminate()
        process.wait(10)
    deadline = time.monotonic() + 5
    while True:  # and ends with the daemon
        try:
            urllib.request.urlopen(found[0], timeout=5).close()
        except OSError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_what_it_needs_the_page_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "from bridge.page.process import check_installed\n"
        "from bridge.errors import BridgeError\n"
        "try:\n    check_installed()\nexcept BridgeError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip().endswith("-m pip install 'vaebridge[page]'")
