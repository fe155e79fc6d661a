"""The one typed configuration: defaults < vaebridge.toml < environment (VAEBRIDGE_…) < flags.

Knows no command line: the flags of `vaebridge serve` are read from the fields here.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from bridge.errors import ConfigError
from bridge.kept import kept_folder
from bridge.osc.access import PRIVATE, read_network
from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM
from bridge.playing.live_settings import MODES
from engine.representation.kits import KIT_NAMES
from engine.weights import shipped_folder

ENVIRONMENT = "VAEBRIDGE_"
NO_SETTINGS = ("VAEBRIDGE_TEST_", "VAEBRIDGE_DATA")
"""What the tests and the commands on data read from the environment."""
FILE = "vaebridge.toml"
LOCAL, RAY = "local", "ray://"
PAGE_PORT = 8710
"""The TCP port of the page, by the name of the daemon's UDP port."""


Names = Annotated[tuple[str, ...], NoDecode]


class Config(BaseSettings):
    """Every setting of the daemon. ConfigError names what is unknown or out of range."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT, extra="forbid", frozen=True)

    osc_host: str = Field("127.0.0.1", description="the address to listen on; 0.0.0.0 or :: for other machines too")
    osc_port: int = Field(8710, ge=0, le=65535, description="the UDP port to listen on; 0 takes any free one")
    allow: Names = Field(PRIVATE, description="addresses and networks beyond this machine that may ask")
    rate: float = Field(
        1000.0, ge=1, description="the most kilobytes a second that are sent to one address beyond this machine"
    )
    midi: bool = Field(True, description="open MIDI ports; --no-midi serves OSC alone")
    midi_in: Names = Field(("vaebridge in",), description="ports of our own, for others to play to")
    midi_out: Names = Field(("vaebridge out",), description="ports of our own, for others to listen to")
    listen_to: Names = Field((), description="existing ports to listen to, by name or a part of it")
    play_to: Names = Field((), description="existing ports to play to, by name or a part of it")
    midi_api: Literal["auto", "alsa", "jack", "core", "windows"] = Field("auto", description="which MIDI system")
    channel: int = Field(10, ge=1, le=16, description="the channel to play on")
    channel_map: Annotated[dict[int, int], NoDecode] = Field(
        {}, description="channels to listen to and where their answers go, as 1:10,2:11; else all"
    )
    latency_ms: float = Field(0.0, ge=0, le=500, description="notes are sent so much earlier")
    clock: Literal["internal", "midi", "link"] = Field("internal", description="who keeps the time")
    tempo: float = Field(120.0, ge=SLOWEST_BPM, le=FASTEST_BPM, description="bpm of the internal clock")
    beats_per_bar: float = Field(4.0, ge=0.25, le=64, description="quarter notes in a bar")
    live: Literal["off", "answer", "drumify", "accompany", "through", "loop", "morph"] = Field(
        "off",
        description="; ".join(
            ("begin with this live mode", *(f"{name}: {mode.text}" for name, mode in MODES.items()))
        ),
    )
    bars: int | None = Field(None, ge=1, le=64, description="the bars of the live mode")
    controls: Path | None = Field(
        None, description="where learned controls are kept; else with the user's settings"
    )
    page: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="a page in the browser, on this TCP port; 8710 unless said, 0 any free one",
    )
    page_host: str = Field("127.0.0.1", description="where the page listens; elsewhere it asks for a token")
    own: Path | None = Field(
        None, description="the folder where your own styles and feels are kept; else with the user's settings"
    )
    audio_folder: Path | None = Field(
        None,
        description="the folder of sound that /vae/audio/continue reads from and writes to; else it is refused",
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    engine: str = Field(
        "local",
        description="where the models live: local; ray://auto, on the Ray of this machine, started if need be; "
        "ray://HOST:PORT, on that Ray, by its client port",
    )
    replicas: int = Field(1, ge=1, le=64, description="how many times the models are kept on Ray")
    models: Names = Field(
        ("trio_16bar", "drummer", "drums_16bar"),
        min_length=1,
        description="the models to keep in memory, the default last",
    )
    weights: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="folders of weights beside the shipped ones; of one name the earlier wins"
    )
    drum_map: Path | None = Field(None, description=f"a .toml of instrument = [pitches], or a kit: {KIT_NAMES}")
    request_timeout_seconds: float = Field(
        60.0, gt=0, le=3600, description="a request that runs longer fails, and the model process is restarted"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged")
    config: Path | None = Field(None, description=f"read this file instead of {FILE}")

    def __init__(self, **flags: Any) -> None:
        _refuse_unknown_environment(type(self).model_fields)
        try:
            super().__init__(**flags)
        except ValidationError as error:
            raise ConfigError("; ".join(_sentences(error))) from error
        except SettingsError as error:
            raise ConfigError(str(error)) from error

    @property
    def ray(self) -> str | None:
        """auto or HOST:PORT, None where the models live in a process of ours."""
        return None if self.engine == LOCAL else self.engine.removeprefix(RAY)

    @property
    def styles_folder(self) -> Path:
        """Where styles of one's own are kept."""
        return self._own_folder / "styles"

    @property
    def feels_folder(self) -> Path:
        """Where feels with names are kept."""
        return self._own_folder / "feels"

    @property
    def _own_folder(self) -> Path:
        return self.own or kept_folder() / "own"

    @property
    def weight_folders(self) -> tuple[Path, ...]:
        """All folders of weights, the shipped ones last."""
        return (*self.weights, shipped_folder())

    @field_validator("page", mode="before")
    @classmethod
    def _read_page(cls, value: object) -> object:
        """A port, or whether there is a page at all."""
        told = {
            "true": PAGE_PORT,
            "on": PAGE_PORT,
            "yes": PAGE_PORT,
            "false": None,
            "off": None,
            "no": None,
            "": None,
        }
        key = str(value).strip().lower()
        return told.get(key, value)

    @field_validator("channel_map", mode="before")
    @classmethod
    def _read_channels(cls, value: object) -> object:
        """1:10,2:11; a channel alone is its own."""
        if not isinstance(value, str):
            return value
        pairs = [each.partition(":") for each in value.split(",") if each.strip()]
        try:
            return {int(heard): int(answered or heard) for heard, _, answered in pairs}
        except ValueError:
            raise ValueError(f"takes pairs of channels in 1..16 such as 1:3,10:10, not {value!r}") from None

    @field_validator("channel_map")
    @classmethod
    def _check_channels(cls, value: dict[int, int]) -> dict[int, int]:
        if not all(1 <= channel <= 16 for pair in value.items() for channel in pair):
            raise ValueError("takes channels in 1..16")
        return value

    @field_validator("models", "weights", "allow", "midi_in", "midi_out", "listen_to", "play_to", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """A list in an environment variable or a flag is written with commas."""
        return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value

    @field_validator("allow")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            read_network(each)
        return value

    @field_validator("weights")
    @classmethod
    def _check_folders(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        folders = tuple(path.expanduser() for path in value)
        if missing := [str(path) for path in folders if not path.is_dir()]:
            raise ValueError(f"there is no folder {missing[0]}")
        return folders

    @field_validator("engine")
    @classmethod
    def _check_engine(cls, value: str) -> str:
        if value != LOCAL and not re.fullmatch(
            rf"{RAY}(auto|[^\s/:]+:\d{{1,5}}|\[[0-9a-fA-F:]+\]:\d{{1,5}})", value
        ):
            raise ValueError(f"takes local, ray://auto or ray://HOST:PORT, not {value!r}")
        return value

    @field_validator("replicas")
    @classmethod
    def _check_replicas(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("engine") == LOCAL:
            raise ValueError("takes more than 1 only with --engine ray://…")
        return value

    @field_validator("audio_folder")
    @classmethod
    def _check_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.expanduser().is_dir():
            raise ValueError(f"there is no folder {value}")
        return value and value.expanduser()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before environment before file."""
        named = init_settings.init_kwargs.get("config") if isinstance(init_settings, InitSettingsSource) else None
        file = find_file(named or os.environ.get(f"{ENVIRONMENT}CONFIG"))
        if file is None:
            return init_settings, env_settings
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{file} cannot be read: {error}") from error


def find_file(named: str | Path | None) -> Path | None:
    """The named file, which must be there, else the one in this folder, else the user's own, else none."""
    if named is not None:
        if not Path(named).is_file():
            raise ConfigError(f"there is no configuration {named}")
        return Path(named)
    candidates = (Path(FILE), kept_folder() / FILE)
    return next((path for path in candidates if path.is_file()), None)


def _refuse_unknown_environment(known: Iterable[str]) -> None:
    names = {f"{ENVIRONMENT}{name}".upper() for name in known}
    for name in map(str.upper, os.environ):
        if name.startswith(ENVIRONMENT) and not name.startswith(NO_SETTINGS) and name not in names:
            raise ConfigError(f"there is no setting {name} in the environment; they are {', '.join(sorted(names))}")


def _sentences(error: ValidationError) -> Iterable[str]:
    """One sentence for each thing that is wrong."""
    known = ", ".join(Config.model_fields)
    for each in error.errors():
        name = ".".join(map(str, each["loc"]))
        if each["type"] == "extra_forbidden":
            yield f"there is no setting {name!r}; the settings are: {known}"
        elif each["type"] == "value_error":
            yield f"{name}: {each['msg'].removeprefix('Value error, ')}"
        else:
            yield f"{name} must be {_accepted(name)}, not {each['input']!r}"


def _accepted(name: str) -> str:
    """What a setting can be, in words."""
    field = Config.model_fields[name.partition(".")[0]]
    limits = {
        key: getattr(each, key) for each in field.metadata for key in ("ge", "gt", "le") if hasattr(each, key)
    }
    low, high = limits.get("ge", limits.get("gt")), limits.get("le")
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(str, get_args(field.annotation)))
    if high is not None:
        return f"more than {low} and at most {high}" if "gt" in limits else f"in {low:g}..{high:g}"
    if low is not None:
        return f"{low:g} or more"
    return KINDS.get(field.annotation, "as `vaebridge serve --help` says")


KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "1 or 0", str: "a text"}
