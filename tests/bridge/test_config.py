from pathlib import Path
from typing import get_args

import pytest

from bridge.config import Config
from bridge.errors import ConfigError
from bridge.osc.access import PRIVATE
from bridge.playing.live_settings import MODES
from engine.weights import shipped_folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def test_flags_come_before_the_environment_before_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "vaebridge.toml").write_text('osc_port = 1\ndevice = "file"\nosc_host = "file"\n')
    monkeypatch.setenv("VAEBRIDGE_OSC_PORT", "2")
    monkeypatch.setenv("VAEBRIDGE_DEVICE", "environment")
    config = Config(osc_port=3)
    assert (config.osc_port, config.device, config.osc_host) == (3, "environment", "file")
    assert config.request_timeout_seconds == 60


def test_a_file_can_be_named(folder: Path) -> None:
    (folder / "other.toml").write_text("osc_port = 9\n")
    assert Config(config=folder / "other.toml").osc_port == 9


def test_lists_are_written_with_commas_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAEBRIDGE_MODELS", "a, b")
    monkeypatch.setenv("VAEBRIDGE_PLAY_TO", "x,y")
    assert Config().models == ("a", "b")
    assert Config().play_to == ("x", "y")


def test_folders_of_weights_come_before_the_shipped_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", "yours"):
        (folder / name).mkdir()
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", "~/mine,yours")
    assert Config().weight_folders == (folder / "mine", Path("yours"), shipped_folder())


def test_a_folder_of_weights_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"weights: there is no folder nowhere$"):
        Config(weights="nowhere")


def test_every_field_has_a_description() -> None:
    assert all(field.description for field in Config.model_fields.values())


def test_unknown_settings_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="osc_prot"):
        Config(osc_prot=1)
    (folder / "vaebridge.toml").write_text("tempoo = 1\n")
    with pytest.raises(ConfigError, match="tempoo"):
        Config()
    (folder / "vaebridge.toml").unlink()
    monkeypatch.setenv("VAEBRIDGE_OSC_PROT", "1")
    with pytest.raises(ConfigError, match="VAEBRIDGE_OSC_PROT"):
        Config()


@pytest.mark.parametrize(
    "settings", [{"osc_port": 70000}, {"models": ()}, {"log_level": "loud"}, {"midi": "maybe"}]
)
def test_a_value_out_of_range_is_named(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Config(**settings)


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        Config(config=folder / "nowhere.toml")
    (folder / "vaebridge.toml").write_text("osc_port =\n")
    with pytest.raises(ConfigError, match=r"vaebridge\.toml"):
        Config()


def test_who_may_ask_is_the_private_ranges_unless_it_is_said() -> None:
    assert Config().allow == PRIVATE
    assert Config(allow="192.168.1.5, 10.0.0.0/8").allow == ("192.168.1.5", "10.0.0.0/8")
    assert Config(allow="").allow == ()
    assert Config().rate == 1000


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"allow: .*such as 192\.168\.1\.5 or 10\.0\.0\.0/8, not 'home'$"):
        Config(allow="10.0.0.0/8,home")
    with pytest.raises(ConfigError, match="rate"):
        Config(rate=0)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("tempo", "0", "tempo must be in 3..600, not '0'"),
        ("tempo", "fast", "tempo must be in 3..600, not 'fast'"),
        ("osc_port", "80000", "osc_port must be in 0..65535, not '80000'"),
        ("rate", "-1", "rate must be 1 or more, not '-1'"),
        ("request_timeout_seconds", "0", "must be more than 0 and at most 3600, not '0'"),
        ("clock", "sundial", "clock must be internal, midi, link, not 'sundial'"),
        ("channel_map", "1-3", "channel_map: takes pairs of channels in 1..16 such as 1:3,10:10, not '1-3'"),
        ("midi", "perhaps", "midi must be 1 or 0, not 'perhaps'"),
    ],
)
def test_what_is_accepted_is_told_in_our_own_words(setting: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Config(**{setting: value})
    assert sentence in str(refused.value)


def test_a_file_that_is_nested_without_end_is_told(folder: Path) -> None:
    (folder / "vaebridge.toml").write_text("tempo = " + "[" * 100_000)
    with pytest.raises(ConfigError, match=r"vaebridge\.toml cannot be read"):
        Config()


@pytest.mark.parametrize(
    ("value", "port"),
    [("8123", 8123), ("0", 0), (0, 0), ("true", 8710), ("off", None), ("", None), (True, 8710), (False, None)],
)
def test_the_page_is_a_port_or_whether_there_is_one(value: object, port: int | None) -> None:
    assert Config(page=value).page == port


def test_a_page_that_cannot_be_says_what_it_takes() -> None:
    with pytest.raises(ConfigError, match=r"page must be in 0\.\.65535"):
        Config(page=70_000)


def test_every_live_mode_can_be_begun_with() -> None:
    assert set(get_args(Config.model_fields["live"].annotation)) == {"off", *MODES}
