"""The client that the page of the protocol shows, as it stands there."""

import re
import subprocess
import sys

from tests.bridge.conftest import ROOT, Daemon

PAGE = (ROOT / "bridge/README.md").read_text()


def test_the_client_in_the_page_uploads_a_clip_and_has_it_played(fake_daemon: Daemon) -> None:
    (client,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    code = client.replace("8710", str(fake_daemon.port))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert not run.stderr
    said = [line.split()[:3] for line in run.stdout.splitlines()]
    assert said[0] == ["/vae/done", "1", "clip"]
    assert said[-1] == ["/vae/done", "2", "humanize"]
