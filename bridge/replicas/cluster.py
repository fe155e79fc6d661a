"""The only module that knows Ray: how a cluster is joined or started, and the replicas on it."""

import logging
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bridge.errors import StartError
from bridge.replicas.recipe import RayRecipe
from bridge.worker.messages import CannotStart, Job, Load, Loaded, Ready, Refused, Report

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
TOGETHER = 8
"""Requests that go to a replica at a time, where those that come while it works wait to be run together."""

MOST_AT_ONCE = 2 * TOGETHER
"""What a replica takes, so that a request in a hurry is never kept out."""

GOODBYE_SECONDS, HEALTH_SECONDS = 1.0, 2.0
DIED = "the replica died, it is started again"

ENVIRONMENT: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # one machine: all that Ray starts listens on loopback alone
    "RAY_worker_niceness": "0",  # else replicas would give way to all others
    **dict.fromkeys(
        ("RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S", "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S"),
        str(int(CONNECT_SECONDS)),
    ),
}


NEW = "local"
"""Ray's address of a cluster that is started, and ends with us."""

TOKEN = Path.home() / ".ray" / "auth_token"
"""Where Ray keeps the token of a cluster on this machine."""


class Replicas:
    """The models on Ray. StartError, with a sentence, where they cannot be had."""

    def __init__(self, recipe: RayRecipe):
        if any(find_spec(name) is None for name in ("ray", "fastapi")):
            raise StartError(f"an engine on Ray needs more: {sys.executable} -m pip install 'vaebridge[ray]'")
        self._recipe = recipe
        self._under_way: dict[int, Any] = {}
        _connect(recipe.ray)
        from ray import serve

        serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR"})
        serve.delete(recipe.app)  # of a daemon that was killed
        self._handle = self._deploy()
        begun: Ready | CannotStart = self._handle.about.remote().result()
        if isinstance(begun, CannotStart):
            raise StartError(begun.text)
        shown = f"{begun.device}, {recipe.replicas} {'replicas' if recipe.replicas > 1 else 'replica'} on Ray"
        self.begun, self._models = replace(begun, device=shown), begun.loaded

    def ask(self, job: Job) -> Report:
        """What became of a job, at whichever replica has least to do. What else is raised says that Ray is gone."""
        if isinstance(job, Load):
            return self._load(job)
        from ray.exceptions import RayActorError, RayTaskError
        from ray.serve.exceptions import RayServeException

        self._under_way[job.number] = response = self._handle.run.remote(job, self._models)
        try:
            report: Report = response.result()
        except (RayActorError, RayServeException) as error:
            logger.warning("a replica has died: %s", str(error).partition("\n")[0])
            return Refused(job.number, "engine_down", DIED)
        except RayTaskError as error:
            logger.exception("a job failed at a replica")
            return Refused(job.number, "internal", str(error.cause))
        finally:
            self._under_way.pop(job.number, None)
        return report

    def _load(self, job: Load) -> Report:
        """Have all replicas load a model; those that begin later do so before their first job."""
        reports = self._handle.broadcast("run", job, self._models).results(return_exceptions=True)
        loaded = [each for each in reports if isinstance(each, Loaded)]
        refused = [each for each in reports if isinstance(each, Refused)]
        if loaded:
            self._models = loaded[0].loaded
        answers: list[Report] = [*loaded, *refused, Refused(job.number, "engine_down", DIED)]
        return answers[0]

    def drop(self, number: int) -> None:
        """Give up the job of that number; one that has ended is left alone."""
        if response := self._under_way.get(number):
            response.cancel()

    def leave(self) -> None:
        """End the replicas, and the Ray that was started for them."""
        import ray
        from ray import serve

        serve.delete(self._recipe.app, _blocking=False)
        ray.shutdown()

    def _deploy(self) -> Any:
        import ray
        from ray import serve

        from bridge.replicas.replica import Replica

        recipe = self._recipe
        gpus = 0.0 if recipe.device == "cpu" else ray.cluster_resources().get("GPU", 0.0)
        deployment = serve.deployment(
            Replica,
            name="models",
            num_replicas=recipe.replicas,
            max_ongoing_requests=MOST_AT_ONCE,
            health_check_period_s=HEALTH_SECONDS,
            graceful_shutdown_timeout_s=GOODBYE_SECONDS,
            graceful_shutdown_wait_loop_s=GOODBYE_SECONDS / 10,
            ray_actor_options={"num_cpus": 0, "num_gpus": min(1.0, gpus / recipe.replicas)},
        )
        try:
            return serve.run(deployment.bind(recipe), name=recipe.app, route_prefix=None)
        except RuntimeError as error:
            raise StartError(f"the replicas cannot start: {_first_line(error)}") from error


def _connect(place: str) -> None:
    """Join a Ray, or start one on this machine; StartError where there is none to be had."""
    os.environ.update(ENVIRONMENT)
    address, settings = f"ray://{place}", dict[str, Any]()
    if place != "auto":
        _check_reachable(place)
    elif (address := _begun_here()) == NEW:
        settings = {"include_dashboard": False}
    if any(map(os.environ.get, ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))) or TOKEN.is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray
    import ray.serve

    for name in ("ray", "ray.serve"):  # which they have set themselves
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        ray.init(address, **settings, log_to_driver=False, configure_logging=False, namespace="vaebridge")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, AssertionError) as error:
        advice = "; the token of that Ray, if it has one, goes into RAY_AUTH_TOKEN" if address != NEW else ""
        raise StartError(f"the Ray at {place} cannot be used: {_first_line(error)}{advice}") from error


def _begun_here() -> str:
    """The address of the Ray that `ray start` has begun on this machine; NEW where there is none."""
    file = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
    try:
        address = file.read_text().strip()
        _check_reachable(address)
    except (OSError, ValueError, StartError):
        return NEW
    return address


def _check_reachable(place: str) -> None:
    """StartError at once where nobody listens: Ray itself would go on trying."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        advice = f"`ray start --head --ray-client-server-port {port}` starts one there"
        raise StartError(f"no Ray answers at {place}: {error}; {advice}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
