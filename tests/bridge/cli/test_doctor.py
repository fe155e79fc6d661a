import socket
import sys
from pathlib import Path

import pytest

from bridge.cli import doctor
from bridge.config import Config
from engine.audio import soundfont
from engine.devices import Devices
from engine.requests import VERBS
from engine.weights import Card, Library, write_weights
from tests.bridge.jack import Jack
from tests.bridge.midi.ports import Turned
from tests.engine.untrained import SMALL_SCORES, write_random_weights


def config(folder: Path, **settings: object) -> Config:
    return Config(weights=(folder,), **settings)


@pytest.fixture(autouse=True)
def nothing_shipped(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a test is the only one that holds weights."""
    monkeypatch.setattr("bridge.config.shipped_folder", lambda: tmp_path_factory.mktemp("shipped"))


def model(folder: Path, verbs: tuple[str, ...]) -> Card:
    torch = pytest.importorskip("torch")
    card = Card(name="m", config="c", family="f", bars=2, steps_per_bar=16, verbs=verbs, sha256="")
    return write_weights(folder, {"w": torch.zeros(4)}, card)


def test_the_python_that_runs_is_new_enough() -> None:
    assert doctor.find_python().state == "ok"


def test_torch_is_found_with_its_device() -> None:
    finding = doctor.find_torch()
    assert finding.state == "ok"
    assert "CPU" in finding.text or "cuda" in finding.text.lower() or "NVIDIA" in finding.text


def test_a_model_whose_file_is_what_its_card_says_is_fine(tmp_path: Path) -> None:
    model(tmp_path, tuple(VERBS))
    assert [finding.state for finding in doctor.find_weights(config(tmp_path))] == ["ok"]


def test_a_model_of_sound_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_random_weights(tmp_path, "score", **SMALL_SCORES)
    library = Library([tmp_path])
    assert doctor.find_model(library, "score").text.endswith("MiB, continue on files of sound")
    monkeypatch.setitem(sys.modules, "soxr", None)
    finding = doctor.find_model(library, "score")
    assert (finding.state, "pip install 'vaebridge[audio]'" in finding.advice) == ("note", True)


def test_a_damaged_model_is_named_and_its_verbs_are_missing(tmp_path: Path) -> None:
    model(tmp_path, tuple(VERBS))
    (tmp_path / "m.safetensors").write_bytes(b"damaged")
    findings = list(doctor.find_weights(config(tmp_path)))
    assert [finding.state for finding in findings] == ["note", "broken"]
    assert "m.safetensors is damaged" in findings[0].text
    assert "no model for sample, humanize" in findings[1].text


def test_without_weights_the_folders_are_named(tmp_path: Path) -> None:
    (finding,) = doctor.find_weights(config(tmp_path))
    assert finding.state == "broken"
    assert str(tmp_path) in finding.advice


def test_a_free_port_is_fine(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    finding = doctor.find_daemon(config(tmp_path, osc_port=port))
    assert finding.state == "ok"
    assert "is free" in finding.text


def test_an_ipv6_address_is_shown_in_brackets(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
        taken = doctor.find_daemon(config(tmp_path, osc_host="::1", osc_port=port))
    assert (taken.state, taken.text.startswith(f"[::1]:{port} cannot be used")) == ("broken", True)
    free = doctor.find_daemon(config(tmp_path, osc_host="::1", osc_port=port))
    assert (free.state, free.text.startswith(f"[::1]:{port} is free")) == ("ok", True)


def test_a_host_that_is_not_there_is_broken(tmp_path: Path) -> None:
    finding = doctor.find_daemon(config(tmp_path, osc_host="no.such.host.invalid"))
    assert finding.state == "broken"
    assert finding.text.startswith("no.such.host.invalid:8710 cannot be used")


def test_a_port_on_which_another_program_listens_is_broken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        finding = doctor.find_daemon(config(tmp_path, osc_port=other.getsockname()[1]))
    assert finding.state == "broken"
    assert "another --osc-port" in finding.advice


def test_without_rtmidi_the_doctor_says_what_to_install() -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    finding = doctor.find_midi(load=missing)
    assert finding.state == "note"
    assert "pip install 'vaebridge[midi]'" in finding.text


def test_without_a_jack_server_the_doctor_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nobody")
    finding = doctor.find_midi("jack")
    assert finding.state == "note"
    assert finding.text.startswith("no JACK server runs")


@pytest.mark.jack
def test_the_ports_of_a_daemon_are_listed(jack: Jack) -> None:
    with Turned().until_settled():
        finding = doctor.find_midi("jack")
    assert finding.state == "ok"
    assert finding.text == "jack; to listen to: vaebridge out:out; to play to: vaebridge in:in"


def test_the_sound_is_found_or_its_advice_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfont, "SOUNDFONTS", ())
    assert (doctor.find_sound().state, "fluid-soundfont-gm" in doctor.find_sound().advice) == ("note", True)


def test_controls_that_serve_refuses_are_found(tmp_path: Path) -> None:
    path = tmp_path / "controls.toml"
    path.write_text("version = 9\n")
    finding = doctor.find_kept(config(tmp_path, controls=path))
    assert finding.state == "broken"
    assert "has the version 9" in finding.text


def test_the_page_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.find_page().state == "ok"
    monkeypatch.setattr("bridge.page.process.find_spec", lambda name: None)
    finding = doctor.find_page()
    assert finding.state == "note"
    assert "vaebridge[page]" in finding.text


def test_where_models_run_is_told_with_what_was_measured(tmp_path: Path) -> None:
    card, clock = model(tmp_path, ("sample",)), iter(range(10**6))
    devices = Devices(["cuda"], "here", tmp_path / "devices.toml", clock=lambda: next(clock) / 1000)
    devices.choose(card, lambda device: lambda: next(clock) if device == "cpu" else None)
    chosen, others = doctor.find_devices(config(tmp_path), devices)
    assert chosen.text == "cuda for m: cpu 2.0 ms, cuda 1.0 ms"
    assert str(tmp_path / "devices.toml") in others.text


def test_without_a_gpu_or_where_a_device_is_named_nothing_is_measured(tmp_path: Path) -> None:
    (here,) = doctor.find_devices(config(tmp_path), Devices([], "here", tmp_path / "devices.toml"))
    assert "no GPU" in here.text
    (named,) = doctor.find_devices(config(tmp_path, device="cuda:1"))
    assert named.text.startswith("cuda:1")
