"""Where the models live, as the daemon tells it to the relay. Knows nothing of Ray."""

import socket
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from bridge.config import Config
from bridge.worker.children import Children
from bridge.worker.messages import Recipe
from bridge.worker.process import ModelProcess

RAY_STOP_SECONDS = 8.0
"""How long a Ray of our own may take to end; afterwards it is killed with the relay that started it."""


@dataclass(frozen=True, slots=True)
class RayRecipe(Recipe):
    """What each replica is to be, how many there are, and on which Ray.

    ray: HOST:PORT of a Ray client's server, or auto: the Ray of this machine, started if need be. app: the name
    under which Serve knows this daemon's replicas; whatever it has of that name is replaced. version: vaebridge's.
    """

    ray: str = "auto"
    replicas: int = 1
    app: str = "vaebridge"
    version: str = version("vaebridge")


def model_process(config: Config, osc_port: int, generator: str, children: Children) -> ModelProcess:
    """The process that answers jobs: it holds the models, or hands them to replicas."""
    of_replica: dict[str, Any] = {
        "models": config.models,
        "weight_folders": config.weight_folders,
        "device": config.device,
        "drum_map": config.drum_map,
        "styles": config.styles_folder,
        "log_level": config.log_level,
        "generator": generator,
    }
    if config.ray is None:
        return ModelProcess(Recipe(**of_replica), children)
    app = f"vaebridge-{socket.gethostname()}-{osc_port}"
    recipe = RayRecipe(**of_replica, ray=config.ray, replicas=config.replicas, app=app)
    return ModelProcess(recipe, children, module="bridge.replicas.relay", stop_seconds=RAY_STOP_SECONDS)
