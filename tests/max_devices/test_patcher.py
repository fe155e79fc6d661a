from typing import Any

import pytest
from py2max.maxref import get_object_info
from py2max.maxref.porttypes import box_port_counts

from max_devices.amxd import kind_code
from max_devices.parameter import ENUM, FLOAT, INT, Parameter
from max_devices.patcher import PORTS, SHOWN, Patcher


@pytest.fixture
def patcher() -> Patcher:
    return Patcher("mmmm", width=100, description="a device")


def made(patcher: Patcher) -> dict[str, Any]:
    whole: dict[str, Any] = patcher.to_json()["patcher"]
    return whole


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [
        (Parameter("A", "A"), FLOAT),
        (Parameter("A", "A", 1, 64, whole=True), INT),
        (Parameter("A", "A", 8711, 8799, whole=True), FLOAT),
        (Parameter("A", "A", -1, 1, whole=True), FLOAT),
        (Parameter("A", "A", items=("x", "y")), ENUM),
    ],
)
def test_a_whole_number_beyond_a_byte_is_a_float_to_live(parameter: Parameter, kind: int) -> None:
    assert parameter.attributes()["parameter_type"] == kind


def test_the_range_of_a_menu_is_that_of_its_items() -> None:
    values = Parameter("A", "A", items=("x", "y", "z")).attributes()
    assert (values["parameter_mmin"], values["parameter_mmax"]) == (0, 2)


def test_a_parameter_without_a_first_value_has_none() -> None:
    assert "parameter_initial_enable" not in Parameter("A", "A").attributes()


def test_an_object_of_its_own_class_has_no_text_and_another_has(patcher: Patcher) -> None:
    patcher.add("led", (0, 0, 10, 10))
    patcher.add("prepend x", (0, 20, 10, 10))
    led, prepend = (each["box"] for each in made(patcher)["boxes"])
    assert (led["maxclass"], "text" in led) == ("led", False)
    assert (prepend["maxclass"], prepend["text"]) == ("newobj", "prepend x")


def test_only_what_has_a_place_in_the_device_is_shown_there(patcher: Patcher) -> None:
    patcher.add("led", (0, 0, 10, 10), shown=(1, 2, 3, 4))
    patcher.add("led", (0, 20, 10, 10))
    shown, hidden = (each["box"] for each in made(patcher)["boxes"])
    assert (shown["presentation"], shown["presentation_rect"]) == (1, [1, 2, 3, 4])
    assert "presentation" not in hidden


def test_a_line_goes_from_an_outlet_to_an_inlet(patcher: Patcher) -> None:
    patcher.connect(
        patcher.add("pictslider", (0, 0, 9, 9)), patcher.add("pak 0 0", (0, 9, 9, 9)), outlet=1, inlet=1
    )
    assert made(patcher)["lines"] == [{"patchline": {"source": ["obj-1", 1], "destination": ["obj-2", 1]}}]


def test_a_line_to_a_port_that_is_not_there_is_a_bug(patcher: Patcher) -> None:
    light, midi = patcher.add("led", (0, 0, 9, 9)), patcher.add("midiout", (0, 9, 9, 9))
    with pytest.raises(AssertionError, match="midiout has no inlet 1"):
        patcher.connect(light, midi, inlet=1)
    with pytest.raises(AssertionError, match="midiout has no outlet 0"):
        patcher.connect(midi, light)


def test_a_bank_has_eight_encoders(patcher: Patcher) -> None:
    patcher.bank("Play", "X", "Y")
    banks = made(patcher)["parameters"]["parameterbanks"]
    assert banks == {"0": {"index": 0, "name": "Play", "parameters": ["X", "Y", "-", "-", "-", "-", "-", "-"]}}


def test_parameters_are_listed_by_the_key_of_their_box(patcher: Patcher) -> None:
    patcher.add("live.dial", (0, 0, 9, 9), parameter=Parameter("Temperature", "Temp"))
    assert made(patcher)["parameters"]["obj-1"] == ["Temperature", "Temp", 0]


def test_what_the_js_needs_is_named_where_max_looks_for_it(patcher: Patcher) -> None:
    patcher.add_js("a.js", (0, 0, 9, 9), inlets=2, outlets=3, arguments="x")
    whole = made(patcher)
    box = whole["boxes"][0]["box"]
    assert (box["text"], box["numinlets"], box["numoutlets"]) == ("js a.js x", 2, 3)
    assert box["saved_object_attributes"]["filename"] == "a.js"
    assert [each["name"] for each in whole["dependency_cache"]] == ["a.js"]


def test_the_project_says_what_kind_of_device_it_is(patcher: Patcher) -> None:
    patcher.add("led", (0, 0, 9, 9))
    assert made(patcher)["project"]["amxdtype"] == kind_code("mmmm")


@pytest.mark.parametrize("name", sorted(PORTS))
def test_an_object_has_the_ports_that_its_reference_lists(name: str, patcher: Patcher) -> None:
    reference = get_object_info(name)
    assert reference is not None
    box = patcher.add(f"{name} b f" if name == "t" else name, (0, 0, 9, 9))
    inlets, outlets = box_port_counts(type("Box", (), box.to_json()), name)
    assert inlets in (None, box.inlets) or not reference["inlets"]
    assert outlets in (None, len(box.outlets)) or not reference["outlets"]


def test_what_is_shown_is_an_object_with_ports_we_know() -> None:
    assert set(PORTS) >= SHOWN


def test_a_cord_among_many_runs_down_a_trunk(patcher: Patcher) -> None:
    control, js = patcher.add("prepend x", (100, 20, 50, 22)), patcher.add("prepend y", (30, 90, 50, 22))
    patcher.connect(control, js, trunk=14)
    (line,) = made(patcher)["lines"]
    assert line["patchline"]["midpoints"] == [109.5, 47, 14, 47, 14, 85, 39.5, 85]
