import ast
import json
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from max_devices.amxd import read
from max_devices.build import BUILT, HOME, PICTURES, SHARED, build, freeze, join
from max_devices.devices import DEVICES, Device
from tests.bridge.conftest import ROOT

each_device = pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)


@each_device
def test_a_device_in_the_repository_is_what_its_sources_make(device: Device) -> None:
    assert (BUILT / device.file).read_bytes() == freeze(device), "run python -m max_devices.build"


def test_building_again_makes_the_same_bytes(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in build(tmp_path / "a", tmp_path / "b")]
    assert [path.read_bytes() for path in build(tmp_path / "a", tmp_path / "b")] == first


def test_building_makes_every_device_and_its_picture_and_nothing_else(tmp_path: Path) -> None:
    build(tmp_path / "built", tmp_path / "pictures")
    for folder, committed in ((tmp_path / "built", BUILT), (tmp_path / "pictures", PICTURES)):
        assert {path.name for path in folder.iterdir()} == {path.name for path in committed.iterdir()}


@each_device
def test_every_file_that_a_device_names_is_inside_it(device: Device) -> None:
    built = read((BUILT / device.file).read_bytes())
    patcher = json.loads(built.patcher)["patcher"]
    named = {
        box["box"]["text"].split()[1] for box in patcher["boxes"] if box["box"].get("text", "").startswith("js ")
    }
    assert named == {file.name for file in built.files} == {each["name"] for each in patcher["dependency_cache"]}


@each_device
def test_a_device_is_frozen_under_its_own_name_and_of_its_own_kind(device: Device) -> None:
    built = read((BUILT / device.file).read_bytes())
    assert (built.frozen, built.name, built.kind) == (True, device.file, device.kind)


@each_device
def test_a_script_is_as_new_as_the_release_that_the_changelog_tells(device: Device) -> None:
    heading = re.search(r"^## \S+ \((\d+-\d+-\d+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading is not None
    since = datetime.fromisoformat(f"{heading[1]}T00:00:00+00:00") - datetime(1904, 1, 1, tzinfo=timezone.utc)
    built = read((BUILT / device.file).read_bytes())
    assert built.modified == since.total_seconds()
    assert json.loads(built.patcher)["patcher"]["project"]["modificationdate"] == built.modified


@each_device
def test_the_js_inside_is_the_joined_code(device: Device) -> None:
    (script,) = read((BUILT / device.file).read_bytes()).files
    assert (script.kind, script.content) == ("TEXT", join(device))


def test_the_code_is_joined_with_what_is_shared_first(tmp_path: Path) -> None:
    names = (*SHARED, "bridge.js")
    for name in names:
        (tmp_path / name).write_text(f"// {name}\n", encoding="ascii")
    assert join(DEVICES[0], tmp_path).decode() == "\n".join(f"// {name}\n" for name in names)


def test_the_ends_of_lines_make_no_other_device(tmp_path: Path) -> None:
    for name in (*SHARED, DEVICES[0].code):
        (tmp_path / name).write_bytes(b"a;\r\nb;\r\n")
    assert b"\r" not in join(DEVICES[0], tmp_path)


def test_the_devices_know_neither_the_bridge_nor_the_engine() -> None:
    for path in HOME.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"bridge", "engine", "torch"}, path.name
