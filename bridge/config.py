"""The one typed configuration: defaults < vaebridge.toml < environment (VAEBRIDGE_…) < flags.

Knows no command line: the flags of `vaebridge serve` are read from the fields here.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import Field, ValidationError, field_validator
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
from engine.weights import shipped_folder

ENVIRONMENT = "VAEBRIDGE_"
NO_SETTINGS = ("VAEBRIDGE_TEST_", "VAEBRIDGE_DATA")
"""What the tests and the commands on data read from the environment."""
FILE = "vaebridge.toml"


class Config(BaseSettings):
    """Every setting of the daemon. ConfigError names what is unknown or out of range."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT, extra="forbid", frozen=True)

    osc_host: str = Field("127.0.0.1", description="the address to listen on; 0.0.0.0 for other machines too")
    osc_port: int = Field(8710, ge=0, le=65535, description="the UDP port to listen on; 0 takes any free one")
    midi: bool = Field(True, description="open MIDI ports; --no-midi serves OSC alone")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("drummer",), min_length=1, description="the models to keep in memory, the default last"
    )
    weight_folders: Annotated[tuple[Path, ...], NoDecode] = Field(
        (shipped_folder(),), description="the folders of weights; one named earlier wins"
    )
    drum_map: Path | None = Field(None, description="a .toml of instrument = [pitches]; else General MIDI")
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

    @field_validator("models", "weight_folders", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """A list in an environment variable is written with commas."""
        return [each.strip() for each in value.split(",")] if isinstance(value, str) else value

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
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file} cannot be read: {error}") from error


def find_file(named: str | Path | None) -> Path | None:
    """The named file, which must be there, else the one in this folder, else the user's own, else none."""
    if named is not None:
        if not Path(named).is_file():
            raise ConfigError(f"there is no configuration {named}")
        return Path(named)
    candidates = (Path(FILE), Path(typer.get_app_dir("vaebridge")) / FILE)
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
        else:
            yield f"{name}: {each['msg']}, not {each['input']!r}"
