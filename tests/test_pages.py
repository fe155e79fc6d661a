"""The pages say what the code does: sections written from it, links, file names, addresses, codes, markers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.osc.table import TABLE
from tests.pages import ROOT, SECTIONS, written_anew

PAGES = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bridge/README.md", "engine/README.md", "weights/README.md"),
    *("max_devices/CHECKLIST.md", "max_devices/examples/README.md"),
]
PROTOCOL = (ROOT / "bridge/README.md").read_text()
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`((?:\.\./)?(?:bridge|engine|max_devices|tests|weights)/[\w./]+)`")
"""A file or folder of ours, as a page writes it."""


def told(page: str) -> str:
    """A page without its examples."""
    return re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)


def headings(page: Path) -> set[str]:
    """The names by which links find the headings of a page."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}


@pytest.mark.parametrize("name", SECTIONS)
def test_what_a_page_has_of_the_code_is_what_the_code_says(name: str) -> None:
    page = (ROOT / SECTIONS[name][0]).read_text()
    assert page == written_anew(page, name), "write it anew: python -m tests.pages"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in LINK.findall(told(page)):
        path, _, heading = link.replace("%20", " ").partition("#")
        if not path.startswith("http"):
            target = (ROOT / page).parent / path if path else ROOT / page
            assert target.exists(), link
            assert not heading or heading in headings(target), link


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "bridge/README.md", "engine/README.md"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    for name in FILE.findall(told(page)):
        assert ((ROOT / page).parent / name if name.startswith("..") else ROOT / name).exists(), name


def test_the_readme_is_one_that_is_read() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 250


def calls() -> Iterator[tuple[str, list[str]]]:
    """Each call in the bridge: the name that is called, and its arguments that are texts."""
    for path in sorted((ROOT / "bridge").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                values = (each.value for each in node.args if isinstance(each, ast.Constant))
                yield name, [each for each in values if isinstance(each, str)]


def test_the_protocol_has_every_address_that_the_daemon_sends() -> None:
    sent = {texts[0] for name, texts in calls() if name in ("format_message", "format_push") and texts}
    assert len(sent) > 10
    missing = [name for name in sorted(sent | {"done", "fail"}) if not re.search(rf"`/vae/{name}\b", PROTOCOL)]
    assert not missing


def test_the_protocol_has_every_code_of_a_fail_and_no_other() -> None:
    makers = ("RequestError", "Refused", "fail", "format_fail", "_end_lessons")
    code = re.compile(r"[a-z]+(_[a-z]+)*")
    used = {text for name, texts in calls() if name in makers for text in texts[:2] if code.fullmatch(text)}
    codes = PROTOCOL.partition("### Codes\n")[2].partition("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", codes, re.MULTILINE)) == used - set(TABLE)


def test_whoever_contributes_is_told_what_each_marker_needs() -> None:
    markers = set(re.findall(r'^  "(\w+): ', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == markers
