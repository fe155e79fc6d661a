"""Where what a user has made is kept."""

from pathlib import Path

from platformdirs import user_config_path


def kept_folder() -> Path:
    """Each user's own: settings, and whatever was learned or saved. It need not be there yet."""
    return user_config_path("vaebridge", appauthor=False, roaming=True)
