import re
from itertools import combinations

import pytest
from py2max.core.patcher import Patcher as Judge

from bridge.config import Config
from engine.representation.drum_map import INSTRUMENTS
from max_devices.amxd import kind_code
from max_devices.build import join
from max_devices.controls import DAEMON_PORT, LAST_REPLY_PORT, REPLY_PORT
from max_devices.devices import DEVICES, FOLDERS, MIDI_EFFECT, PADS, Device
from max_devices.parameter import AUTOMATED, BLOB, HIDDEN, STORED
from max_devices.patcher import DEVICE_HEIGHT, Box, Patcher, Rect
from max_devices.picture import CHARACTER_WIDTH

LONGEST_LONG_NAME, LONGEST_SHORT_NAME = 24, 8
PADDING = 4
each_device = pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)


def shown(patcher: Patcher) -> list[tuple[Box, Rect]]:
    return [(box, box.shown) for box in patcher.boxes if box.shown]


def js_of(patcher: Patcher) -> Box:
    return next(box for box in patcher.boxes if box.object_name == "js")


def heard(patcher: Patcher, box: Box) -> list[str]:
    """What the boxes between a control and the js say."""
    said = [line.destination for line in patcher.lines if line.source is box and line.outlet == 0]
    js = js_of(patcher)
    into_js = {id(line.source) for line in patcher.lines if line.destination is js and line.inlet == 0}
    return [each.attributes.get("text", each.what) for each in said if id(each) in into_js]


@each_device
def test_an_independent_judge_finds_no_fault(device: Device) -> None:
    assert [str(finding) for finding in Judge.from_dict(device.patcher().to_json()["patcher"]).lint()] == []


def controls(patcher: Patcher) -> list[Box]:
    """What a person can move or press, and not what the set keeps beside it."""
    return [box for box in patcher.boxes if box.parameter and not box.parameter.is_list]


@each_device
def test_every_parameter_says_its_name_and_value_to_the_js(device: Device) -> None:
    patcher = device.patcher()
    for box in controls(patcher):
        if box.attributes.get("mode") != 0:
            assert f"prepend {box.name}" in heard(patcher, box), box.name


@each_device
def test_what_the_set_keeps_is_a_list_that_is_saved_and_said_to_the_js(device: Device) -> None:
    patcher = device.patcher()
    for box in patcher.boxes:
        if box.parameter and box.parameter.is_list:
            assert box.parameter.visibility == STORED
            assert box.parameter.attributes()["parameter_type"] == BLOB
            assert heard(patcher, box) == [f"prepend kept {box.name.removeprefix('kept_')}"]


@each_device
def test_the_names_of_a_menu_that_the_daemon_fills_are_kept_and_not_their_places(device: Device) -> None:
    patcher = device.patcher()
    for name in {"model", "style"} & {box.name for box in patcher.boxes}:
        parameter = patcher.named(name).parameter
        assert parameter is not None
        assert parameter.visibility == HIDDEN
        assert patcher.named(f"kept_{name}")


@each_device
def test_every_button_says_its_press_to_the_js(device: Device) -> None:
    patcher = device.patcher()
    for box in patcher.boxes:
        if box.attributes.get("mode") == 0:
            assert heard(patcher, box) == [f"press {box.name}"], box.name


@each_device
def test_every_name_is_there_once(device: Device) -> None:
    names = [box.name for box in device.patcher().boxes if box.name]
    assert len(names) == len(set(names))


@each_device
def test_every_device_shows_its_connection_and_has_ports_of_its_own(device: Device) -> None:
    assert {"light", "line", "advice", "port", "daemon_port"} <= {box.name for box in device.patcher().boxes}


@each_device
def test_live_can_tell_the_parameters_apart_and_show_their_names(device: Device) -> None:
    parameters = [box.parameter for box in device.patcher().boxes if box.parameter]
    assert len({each.long_name for each in parameters}) == len(parameters)
    for each in parameters:
        assert 0 < len(each.long_name) <= LONGEST_LONG_NAME
        assert 0 < len(each.short_name) <= LONGEST_SHORT_NAME


@each_device
def test_a_key_or_midi_can_be_mapped_to_every_button(device: Device) -> None:
    buttons = [box for box in device.patcher().boxes if box.attributes.get("mode") == 0]
    assert all(box.parameter and box.parameter.visibility == AUTOMATED for box in buttons)


@each_device
def test_the_script_finds_a_button_among_lives_parameters_by_its_name(device: Device) -> None:
    for box in device.patcher().boxes:
        if box.attributes.get("mode") == 0:
            assert box.parameter
            assert box.parameter.long_name.lower() == f"press {box.name.replace('_', ' ', 1)}"


@each_device
def test_the_ports_are_behind_the_gear(device: Device) -> None:
    patcher = device.patcher()
    for name in ("port", "daemon_port", "port_text", "daemon_text"):
        assert patcher.named(name).to_json()["hidden"] == 1
    assert patcher.named("gear").shown


@each_device
def test_replies_are_heard_without_a_word_in_the_console_and_after_what_is_urgent(device: Device) -> None:
    (receive,) = (box.what for box in device.patcher().boxes if box.object_name == "udpreceive")
    assert receive == f"udpreceive {REPLY_PORT} @quiet 1 @defer 1"


def test_a_midi_tool_is_as_wide_as_lives_own() -> None:
    assert all(152 <= device.width <= 182 for device in DEVICES if device.tool)


@each_device
def test_what_is_no_button_begins_with_a_value_in_its_range(device: Device) -> None:
    for box in controls(device.patcher()):
        if box.parameter:
            low, high = (0, len(box.parameter.items) - 1) if box.parameter.items else (None, None)
            assert box.parameter.initial is not None, box.name
            assert (low if low is not None else box.parameter.low) <= box.parameter.initial, box.name
            assert box.parameter.initial <= (high if high is not None else box.parameter.high), box.name


@each_device
def test_every_automated_parameter_is_on_one_page_of_a_push(device: Device) -> None:
    patcher = device.patcher()
    banked = [name for _, names in patcher.banks for name in names if name != "-"]
    automated = [
        box.parameter.long_name for box in patcher.boxes if box.parameter and box.parameter.visibility == AUTOMATED
    ]
    assert sorted(banked) == sorted(automated)


@each_device
def test_every_control_explains_itself(device: Device) -> None:
    assert all(box.attributes["annotation"].endswith(".") for box in controls(device.patcher()))


@each_device
def test_nothing_reaches_out_of_the_device(device: Device) -> None:
    patcher = device.patcher()
    for box, (left, top, width, height) in shown(patcher):
        assert left >= 8, box.what
        assert top >= 5, box.what
        assert left + width <= patcher.width - 8, box.what
        assert top + height <= DEVICE_HEIGHT, box.what


@each_device
def test_nothing_stands_on_anything_else(device: Device) -> None:
    for (one, (x, y, w, h)), (other, (left, top, width, height)) in combinations(shown(device.patcher()), 2):
        if {one.name, other.name} & {"line", "advice"} and "hidden" in one.attributes | other.attributes:
            continue
        apart = x + w <= left or left + width <= x or y + h <= top or top + height <= y
        assert apart, (one.name or one.attributes, other.name or other.attributes)


@each_device
def test_every_word_fits_where_it_stands(device: Device) -> None:
    for box, (_, _, width, _) in shown(device.patcher()):
        words = box.attributes.get("text", "")
        assert len(words) * CHARACTER_WIDTH + PADDING <= width, words


@each_device
def test_the_project_names_the_kind_of_the_device(device: Device) -> None:
    assert device.patcher().to_json()["patcher"]["project"]["amxdtype"] == kind_code(device.kind)


@each_device
def test_the_js_object_has_the_ports_that_its_file_asks_for(device: Device) -> None:
    code, js = join(device).decode(), js_of(device.patcher())
    asked = {name: int(number) for name, number in re.findall(r"^(inlets|outlets) = (\d+);", code, re.MULTILINE)}
    assert asked == {"inlets": js.inlets, "outlets": len(js.outlets)}


@each_device
def test_an_effect_passes_midi_on_and_a_tool_has_none(device: Device) -> None:
    patcher = device.patcher()
    passed = [(line.source.what, line.destination.what) for line in patcher.lines if line.source.what == "midiin"]
    assert passed == ([("midiin", "midiout")] if device.kind == MIDI_EFFECT else [])


@each_device
def test_live_looks_for_the_device_somewhere(device: Device) -> None:
    assert device.kind in FOLDERS


def test_the_pads_are_the_drum_classes_in_their_order() -> None:
    assert [pad.lower().replace(" ", "_") for pad in PADS] == list(INSTRUMENTS)


def test_the_daemon_is_sought_where_it_listens_and_answers_beside_it() -> None:
    assert Config.model_fields["osc_port"].default == DAEMON_PORT
    assert DAEMON_PORT < REPLY_PORT < LAST_REPLY_PORT


def test_a_drag_on_the_pad_reaches_the_js_at_once_and_the_dials_when_it_rests() -> None:
    patcher = next(device for device in DEVICES if device.name == "VAE Morph").patcher()
    lines = {(line.source.what, line.destination.what) for line in patcher.lines}
    assert {("/ 1000.", "prepend pad_x"), ("prepend pad_x", "js vae_morph.js"), ("/ 1000.", "t b f")} <= lines
    assert {("t b f", "delay 300"), ("delay 300", "f"), ("f", "live.dial")} <= lines
    assert {("live.dial", "* 1000."), ("pak 0 0", "prepend set"), ("prepend set", "pictslider")} <= lines
