from pathlib import Path

import pytest

from engine.weights import Library


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory) -> Path:
    """Untrained weights of our own configuration and of two published ones."""
    from tests.engine.untrained import write_random_weights  # and torch with it, which the fast tests do without

    folder = tmp_path_factory.mktemp("weights")
    for config in ("groovae_2bar_humanize", "groovae_2bar_hits_control", "groovae_4bar", "drummer"):
        write_random_weights(folder, config)
    return folder


@pytest.fixture
def library(weights_folder) -> Library:
    return Library([weights_folder])
