"""The one direction: engine never imports bridge, the bridge never brings torch in, nothing imports in circles."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("bridge", "engine", "max_devices")
    for path in sorted((ROOT / package).rglob("*.py"))
}


@cache
def imports(module: str, *, when_run: bool = True) -> frozenset[str]:
    """What a module imports; without those inside functions and for types only unless when_run."""
    return frozenset(name for name, late in _found(module) if when_run or not late)


@cache
def _found(module: str) -> list[tuple[str, bool]]:
    return list(_imports(ast.parse(MODULES[module].read_text()), False))


def _imports(node: ast.AST, late: bool) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        yield from ((each.name, late) for each in node.names)
    if isinstance(node, ast.ImportFrom):
        yield str(node.module), late
        yield from ((f"{node.module}.{each.name}", late) for each in node.names)
    inside = isinstance(node, ast.FunctionDef) or (
        isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    )
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield from _imports(child, late or inside)


def reached(module: str) -> set[str]:
    """Everything that importing a module imports of ours, and itself."""
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name in MODULES and name not in seen:
            seen.add(name)
            todo += imports(name, when_run=False)
            todo += [name.rpartition(".")[0]] if "." in name else []
    return seen


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("engine")])
def test_the_engine_never_imports_the_bridge(module: str) -> None:
    assert not {name for name in imports(module) if name.split(".")[0] == "bridge"}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("bridge")])
def test_importing_the_bridge_imports_no_torch(module: str) -> None:
    heavy = {"torch", "safetensors"}
    assert not {
        each for each in reached(module) if heavy & {name.split(".")[0] for name in imports(each, when_run=False)}
    }


def test_what_reads_sound_is_imported_when_a_file_of_sound_is_opened() -> None:
    extra = {"soundfile", "soxr"}
    assert {name for name in MODULES if extra & imports(name)} == {"engine.audio.files"}
    assert not extra & imports("engine.audio.files", when_run=False)


@pytest.mark.parametrize("package", ["bridge", "engine"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    graph = {
        name: {each for each in imports(name, when_run=False) if each in MODULES and each != name}
        for name in MODULES
        if name.startswith(f"{package}.")
    }
    TopologicalSorter(graph).prepare()


def test_every_init_holds_only_a_docstring() -> None:
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            body = ast.parse(path.read_text()).body
            assert [type(each) for each in body] == [ast.Expr], name


def test_only_the_daemon_composes_the_service() -> None:
    composers = [name for name in MODULES if "bridge.service.service" in imports(name)]
    assert composers == ["bridge.daemon"]


ROOMS = {
    "bridge": (
        *("entry", "errors", "escapes", "log", "realtime", "percentiles", "polynomials", "addresses", "kept"),
        *(
            "playing",
            "controls_file",
            "feels",
            "osc",
            "config",
            "worker",
            "replicas",
            "welcome",
            "page",
            "service",
            "midi",
        ),
        *("daemon", "autostart", "cli"),
    ),
    "engine": (
        *(
            "errors",
            "files",
            "kept",
            "pausing",
            "asking",
            "clip",
            "midi",
            "representation",
            "settings",
            "model",
            "requests",
            "weights",
            "devices",
            "placing",
            "styles",
            "registry",
        ),
        *("audio", "data", "learning", "verbs", "magenta", "evaluation"),
    ),
}
"""The rooms of each package, and the modules beside them, in the order of their imports."""


@pytest.mark.parametrize("package", ROOMS)
def test_imports_between_rooms_run_one_way(package: str) -> None:
    """Each imports what stands before it alone, but the entry, which runs the command line."""
    order = {room: place for place, room in enumerate(ROOMS[package])}
    rooms = {name: name.split(".")[1] for name in MODULES if name.startswith(f"{package}.")}
    assert set(rooms.values()) == set(order)
    back = [
        (name, other)
        for name, room in rooms.items()
        for other in imports(name, when_run=room != "entry")
        if other in rooms and order[rooms[other]] > order[room]
    ]
    assert not back


@pytest.mark.parametrize("package", ROOMS)
def test_no_room_holds_more_files_than_a_newcomer_reads(package: str) -> None:
    rooms = Counter(str(path.parent) for name, path in MODULES.items() if name.startswith(package))
    assert max(rooms.values()) <= 20, rooms


def test_the_model_process_knows_nothing_of_the_protocol() -> None:
    assert not {name for name in reached("bridge.worker.main") if name.startswith(("bridge.osc", "bridge.service"))}


def test_no_two_test_files_have_one_name() -> None:
    """pytest takes one for the other."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
