"""What the devices do when the daemon is away, late, lossy or started anew, and when a port is taken."""

import json
import socket

import pytest

from bridge.osc.packet import Message
from bridge.osc.requests import read_request
from tests.bridge.conftest import Daemon, Starts, free_port
from tests.max_devices.ableton import DEVICES, Ableton, Device, drums
from tests.max_devices.conftest import Opens

pytestmark = pytest.mark.node

FAST = 4.0
SLEEPS = "settings = function (names) { return ['style', 'sleep 0.5']; }"


def taken(first: int) -> socket.socket:
    """A socket on the first port from there on that is free."""
    for port in range(first, 8800):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            other.close()
        else:
            return other
    pytest.fail("every reply port is in use here")


def played_once(ableton: Ableton, clip: int, count: int) -> None:
    notes = ableton.notes(clip)
    assert len(notes) == count
    assert all(note["start_time"] % 0.25 == pytest.approx(0.02, abs=1e-3) for note in notes)
    assert ableton.state()["undo_steps"] == 1


# No daemon


def test_without_a_daemon_the_device_says_so_and_what_to_type(opens: Opens) -> None:
    device = opens(free_port(), speed=FAST).load("VAE Humanize").start()
    device.until("line", "Not connected: no daemon answers.")
    assert device.text("advice") == "Type in a terminal: vaebridge serve"
    assert device.shown()["light"]["int"] == 0


def test_it_turns_green_by_itself_when_the_daemon_starts(opens: Opens, start: Starts) -> None:
    port = free_port()
    device = opens(port, speed=FAST).load("VAE Humanize").start()
    device.until("line", "Not connected")
    start("fake", osc_port=port)
    device.until("line", "Connected: drums_16bar")
    assert device.shown()["light"]["int"] == 1
    assert device.text("advice") == ""


def test_a_press_without_a_daemon_changes_nothing_then_or_later(opens: Opens, start: Starts) -> None:
    port = free_port()
    ableton = opens(port, speed=FAST)
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    device = ableton.load("VAE Humanize").start()
    device.until("line", "Not connected")
    device.press("humanize")
    start("fake", osc_port=port)
    device.until("line", "Connected: drums_16bar")
    device.press("original")
    assert device.text("line").endswith("There is no result yet.")
    assert ableton.notes(clip) == before


def test_it_waits_while_the_models_warm_up(opens: Opens, start: Starts) -> None:
    port = free_port()
    ableton = opens(port, speed=FAST)
    clip = ableton.clip(drums(48))
    start("fake", osc_port=port, test_start_seconds=1)
    device = ableton.load("VAE Humanize").start()
    device.until("line", "Connected: the models warm up.")
    device.press("humanize")
    device.until("line", "Humanized")
    played_once(ableton, clip, 48)


# A daemon that goes


def test_a_daemon_that_is_gone_is_noticed(opens: Opens, start: Starts) -> None:
    daemon = start("fake")
    daemon.wait_until_ready()
    device = opens(daemon.port, speed=FAST).connected("VAE Humanize")
    daemon.process.kill()
    device.until("line", "Not connected: no daemon answers.")
    assert device.shown()["light"]["int"] == 0


@pytest.mark.parametrize("count", [48, 3000])
@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_a_daemon_started_anew_in_the_middle_loses_and_doubles_nothing(
    opens: Opens, start: Starts, how: str, count: int
) -> None:
    port = free_port()
    first = start("fake", osc_port=port)
    first.wait_until_ready()
    ableton = opens(port, speed=FAST)
    clip = ableton.clip(drums(count), beats=1024)
    device = ableton.connected("VAE Humanize")
    device.ask("evaluate", expression=SLEEPS)
    device.press("humanize")
    getattr(first.process, how)()
    first.process.wait(10)
    start("fake", osc_port=port)
    device.until("line", "Humanized")
    played_once(ableton, clip, count)


def test_a_daemon_that_stays_away_ends_what_was_asked(opens: Opens, start: Starts) -> None:
    daemon = start("fake")
    daemon.wait_until_ready()
    ableton = opens(daemon.port, speed=10.0)
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    device = ableton.connected("VAE Humanize")
    device.ask("evaluate", expression=SLEEPS)
    device.press("humanize")
    daemon.process.kill()
    device.until("line", "The daemon went away. Start it, then press again.")
    assert ableton.notes(clip) == before


def test_a_slot_that_another_has_cleared_is_uploaded_again(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    device.press("humanize")
    device.until("line", "Humanized")
    device.ask(
        "evaluate", expression="outlet(0, '/vae/clip/clear', 1, 'slot', 'd' + osc.port + 'a', 'reply_port', 9)"
    )
    device.set(timing=0.5)
    device.press("humanize")
    device.until("line", "is empty")
    device.until("line", "Humanized")
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.01, abs=1e-4)


def test_a_clip_that_went_up_in_between_is_not_taken_for_the_one_before(ableton: Ableton) -> None:
    clip = ableton.clip(drums(6))
    device = ableton.connected("VAE Bridge", seed=1)
    device.press("vary")
    device.until("line", "Seed 1")
    note = ableton.notes(clip)[0]
    ableton.ask("edit", id=clip, change={note["note_id"]: {"pitch": 51}})
    device.ask("lose", **{"in": ["/vae/done"]})
    device.press("humanize")
    ableton.ask("edit", id=clip, change={note["note_id"]: {"pitch": note["pitch"]}})
    device.press("vary")
    device.until("line", "Seed 1")
    assert 51 not in [each["pitch"] for each in ableton.notes(clip)]


# Datagrams that are lost, or come in another order


@pytest.mark.parametrize(
    "lost",
    [
        {"out": ["/vae/clip/begin"]},
        {"out": ["/vae/clip/notes"]},
        {"out": ["/vae/clip/notes", "/vae/clip/notes", "/vae/clip/end"]},
        {"out": ["/vae/humanize"]},
        {"out": ["/vae/humanize", "/vae/humanize"]},
        {"in": ["/vae/done"]},
        {"in": ["/vae/notes/begin", "/vae/notes"]},
        {"in": ["/vae/notes/end"]},
        {"in": ["/vae/fail"], "out": ["/vae/clip/notes"]},
    ],
    ids=str,
)
def test_what_is_lost_is_asked_for_again(opens: Opens, fake_daemon: Daemon, lost: dict[str, list[str]]) -> None:
    ableton = opens(fake_daemon.port, speed=FAST)
    clip = ableton.clip(drums(120), beats=16)
    device = ableton.connected("VAE Humanize")
    device.ask("lose", **lost)
    device.press("humanize")
    device.until("line", "Humanized")
    assert device.ask("lose") == {"out": [], "in": []}
    played_once(ableton, clip, 120)


@pytest.mark.parametrize("lost", ["/vae/verb", "/vae/model", "/vae/style", "/vae/done"])
def test_a_menu_is_whole_whatever_is_lost(opens: Opens, fake_daemon: Daemon, lost: str) -> None:
    device = opens(fake_daemon.port, speed=FAST).load("VAE Bridge")
    device.ask("lose", **{"in": [lost]})
    device.start()
    device.ask(
        "until_true",
        expression="offer !== null && offer.is_known() && offer.styles.length === 33 && offer.models.length === 5",
    )
    device.ask("until_true", expression="offer.can('ping') && offer.can('subscribe')")


def test_a_device_loaded_anew_gets_no_answer_to_what_it_asked_before(ableton: Ableton) -> None:
    clip, port = ableton.clip(drums(1)), free_port()
    for start_time in (0.0, 4.0):
        (note,) = ableton.notes(clip)
        ableton.ask("edit", id=clip, change={note["note_id"]: {"start_time": start_time}})
        device = ableton.connected("VAE Humanize", port=port)
        device.press("humanize")
        device.until("line", "Humanized")
        assert ableton.notes(clip)[0]["start_time"] == pytest.approx(start_time + 0.02, abs=1e-4)
        device.close()


def test_a_request_that_never_arrives_is_given_up_and_the_line_says_so(opens: Opens, fake_daemon: Daemon) -> None:
    ableton = opens(fake_daemon.port, speed=10.0)
    ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    device.ask("lose", out=["/vae/clip/end"] * 20)
    device.press("humanize")
    device.until("line", "The daemon does not answer. Press again.")
    assert ableton.state()["undo_steps"] == 0


def test_an_answer_may_come_in_any_order(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge")
    script = """
        (function () {
            var asked = null, found = null, real = outlet;
            outlet = function (number, atoms) { if (atoms[0] === "/vae/sample") { asked = atoms[1]; } };
            osc.run({ verb: "sample", slots: {}, named: {}, atoms: [],
                done: function (results) { found = results; }, fail: function () {} });
            osc.hear("/vae/notes/end", [asked, 1, 1]);
            osc.hear("/vae/done", [asked, "sample", "results", 2]);
            osc.hear("/vae/notes", [asked, 1, 0, 1, 38, 1, 1, 90, 0]);
            osc.hear("/vae/notes/begin", [asked, 1, 1, 8]);
            osc.hear("/vae/notes", [asked, 0, 1, 1, 42, 1, 1, 90, 0]);
            osc.hear("/vae/notes", [asked, 0, 1, 1, 42, 1, 1, 90, 0]);
            osc.hear("/vae/notes/begin", [asked, 0, 2, 8]);
            var early = found !== null;
            osc.hear("/vae/notes", [asked, 0, 0, 1, 36, 0, 1, 90, 0]);
            outlet = real;
            return [early, found.map(function (each) { return each.notes.map(function (n) { return n.pitch; }); })];
        })()
    """
    assert device.ask("evaluate", expression=script) == [False, [[36, 42], [38]]]


# Reply ports


def test_a_taken_reply_port_is_left_for_the_next_free_one_and_saved(ableton: Ableton) -> None:
    with taken(8711) as other:
        port = other.getsockname()[1]
        device = ableton.connected("VAE Humanize", port=port)
        assert device.ask("values")["port"] > port
        assert "assign" in device.shown()["port"]


def test_two_devices_on_one_port_find_two(ableton: Ableton) -> None:
    with taken(8740) as other:
        port = other.getsockname()[1]
    devices = [ableton.connected("VAE Humanize", port=port) for _ in range(2)]
    found = [device.ask("values")["port"] for device in devices]
    assert len(set(found)) == 2


def test_with_no_port_left_the_device_says_so(ableton: Ableton) -> None:
    with taken(8799):
        device = ableton.load("VAE Humanize", port=8799).start()
        device.until("line", "No reply port up to 8799 is free.")
        assert device.text("advice") == "Remove a device, or set Port lower."
        device.set(port=free_port())
        device.until("line", "Connected: drums_16bar")


def test_another_reply_port_is_taken_at_once(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    device.set(port=free_port())
    device.ask("until_true", expression="osc.connected")
    device.press("humanize")
    device.until("line", "Humanized")
    played_once(ableton, clip, 48)


def test_two_devices_at_once_each_change_their_own_clip(ableton: Ableton) -> None:
    devices, clips = [], []
    for slot, count in enumerate((48, 3000)):
        devices.append(ableton.connected("VAE Humanize", timing=1 - slot / 2))
        clips.append(ableton.clip(drums(count), slot=slot, beats=1024))
    for device, clip in zip(devices, clips, strict=True):
        ableton.ask("view", id=clip)
        device.press("humanize")
    for device in devices:
        device.until("line", "Humanized")
    for clip, count, late in zip(clips, (48, 3000), (0.02, 0.01), strict=True):
        notes = ableton.notes(clip)
        assert len(notes) == count
        assert all(note["start_time"] % 0.25 == pytest.approx(late, abs=1e-3) for note in notes)


# What goes over the wire


def test_no_datagram_is_larger_than_the_protocol_says(ableton: Ableton) -> None:
    ableton.clip(drums(3000), beats=1024)
    device = ableton.connected("VAE Humanize")
    device.press("humanize")
    device.until("line", "Humanized")
    traffic = ableton.traffic()
    assert traffic["heard"] > 63
    assert traffic["largest"] <= 1400
    assert traffic["most_atoms"] <= 256


def test_a_thousand_operations_add_no_symbol(ableton: Ableton) -> None:
    ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge")
    many(device, range(20))
    before = set(ableton.traffic()["symbols"])
    many(device, range(20, 270))
    assert set(ableton.traffic()["symbols"]) - before == set()


def many(device: Device, times: range) -> None:
    """Four operations each time: a request with other numbers, the original, back, a new seed."""
    for time in times:
        device.set(seed=1000 + time, amount=(time + 1) / 1000)
        device.press("humanize")
        device.until("line", f"Seed {1000 + time}")
        for button in ("original", "next", "die"):
            device.press(button)


@pytest.mark.parametrize("name", DEVICES)
def test_the_script_and_the_patcher_name_the_same_controls(ableton: Ableton, name: str) -> None:
    device = ableton.load(name)
    table = device.ask("table")
    boxes = [box for box in DEVICES[name].patcher().boxes if box.name]
    controls = {box.name: box.parameter.long_name for box in boxes if box.parameter and not box.parameter.is_list}
    kept = {box.name.removeprefix("kept_") for box in boxes if box.parameter and box.parameter.is_list}
    buttons = {control for control, long_name in controls.items() if long_name.startswith("Press ")}
    assert table["name"] == name
    assert set(table["buttons"]) == buttons
    assert set(table["parameters"]) | set(table["menus"]) == set(controls) - buttons - {"gear"}
    assert set(table["menus"]) | set(table["clips"]) == kept
    said = "Object.keys(device.heard || {}).concat('press', 'kept', 'gear', Object.keys(device.menus || {}))"
    assert device.ask("evaluate", expression=f"{said}.filter(function (name) {{ return this[name]; }})") == []
    calls = [
        control
        for control in controls
        if device.ask("evaluate", expression=f"typeof this['{control}']") != "undefined"
    ]
    assert set(calls) <= buttons, "Max would call the function of that name"
    assert set(table["displays"]) <= {box.name for box in boxes} - set(controls)


def test_every_message_is_one_that_the_daemon_knows(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge")
    for slot, button in enumerate(("store_a", "store_b"), 2):
        ableton.clip(drums(6 * slot), slot=slot)
        device.press(button)
    ableton.ask("view", id=clip)
    device.choose(model="drummer", style="funk")
    for button in ("generate", "humanize", "drumify", "fill", "vary", "morph", "groove"):
        device.set(seed=1, notes=2)
        device.press(button)
        device.ask("until_true", expression="!osc.is_busy()")
    sent = ableton.traffic()["messages"]
    assert len({address for address, *_ in sent}) >= 14, json.dumps(sent)
    for address, *atoms in sent:
        assert read_request(Message(address, tuple(atoms))).error is None
