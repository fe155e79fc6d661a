import re
from xml.etree import ElementTree

import pytest

from max_devices.build import PICTURES
from max_devices.devices import DEVICES, Device
from max_devices.parameter import Parameter
from max_devices.patcher import DEVICE_HEIGHT, Patcher
from max_devices.picture import ARC, CHOSEN, DARK, GREEN, ON_CHOSEN, TITLE_HEIGHT, draw

each_device = pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> list[str]:
    return [str(each.text) for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@each_device
def test_a_picture_in_the_repository_is_what_its_device_looks_like(device: Device) -> None:
    picture = (PICTURES / f"{device.name}.svg").read_text(encoding="utf-8")
    assert picture == draw(device.patcher(), device.name), "run python -m max_devices.build"


@each_device
def test_a_picture_has_the_size_of_the_device_and_its_title(device: Device) -> None:
    root = ElementTree.fromstring(draw(device.patcher(), device.name))
    assert (root.get("width"), root.get("height")) == (str(device.width), str(DEVICE_HEIGHT + TITLE_HEIGHT))


@each_device
def test_every_button_is_in_the_picture(device: Device) -> None:
    patcher = device.patcher()
    buttons = {box.attributes["text"] for box in patcher.boxes if box.object_name == "live.text"}
    assert buttons <= set(words(draw(patcher, device.name)))


def test_a_control_shows_its_first_value() -> None:
    patcher = Patcher("mmmm", width=100, description="")
    place = {"shown": (0, 0, 50, 48)}
    patcher.add("live.dial", (0, 0, 9, 9), parameter=Parameter("Similarity", "Similar", initial=0.7), **place)
    patcher.add("live.menu", (0, 9, 9, 9), parameter=Parameter("A", "A", items=("x", "y"), initial=1), **place)
    patcher.add("live.numbox", (0, 9, 9, 9), parameter=Parameter("B", "B", 1, 64, 2, whole=True), **place)
    assert words(draw(patcher, "name")) == ["name", "Similar", "0.70", "y", "2"]


def test_a_long_text_is_broken_into_lines() -> None:
    patcher = Patcher("mmmm", width=100, description="")
    patcher.add("live.comment", (0, 0, 9, 9), shown=(0, 0, 60, 40), text="the daemon does not answer")
    assert words(draw(patcher, "name"))[1:] == ["the daemon", "does not", "answer"]


@each_device
def test_a_picture_has_every_colour_of_lives_surface_in_the_dark_too(device: Device) -> None:
    picture = draw(device.patcher(), device.name)
    used = set(re.findall(r'(?:fill|stroke)="(#\w+)"', picture.partition("</style>")[2]))
    assert used <= set(DARK) | {CHOSEN, ARC, GREEN, ON_CHOSEN}
    assert all(f'[fill="{light}"]{{fill:{dark}}}' in picture for light, dark in DARK.items())


@each_device
def test_what_is_behind_the_gear_is_not_in_the_picture(device: Device) -> None:
    assert "Reply Port" not in words(draw(device.patcher(), device.name))


def test_what_is_not_shown_is_not_drawn() -> None:
    patcher = Patcher("mmmm", width=100, description="")
    patcher.add("live.text", (0, 0, 9, 9), text="unseen", mode=0)
    assert words(draw(patcher, "name")) == ["name"]
