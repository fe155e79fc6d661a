"""The one gate, the same by hand and in CI: `python -m tests.gate`; arguments go to pytest."""

import subprocess
import sys
from pathlib import Path

SIDE_BY_SIDE = ("-n", "3", "--no-loadscope-reorder")
"""Three workers for two cores, as much of the time is spent waiting; tests/side_by_side.py says who gets what."""

CHECKS = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    *(("mypy", "--platform", name, "--cache-dir", f".mypy_cache/{name}") for name in ("linux", "darwin", "win32")),
    ("pytest", *SIDE_BY_SIDE),
)


def main() -> int:
    """Run every check, also after one has failed, and say which did."""
    root = Path(__file__).parents[1]
    failed = []
    for check in CHECKS:
        arguments = sys.argv[1:] if check[0] == "pytest" else []
        if code := _run(root, *check, *arguments):
            failed.append(f"{' '.join(check)} ({code})")
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return bool(failed)


def _run(root: Path, *command: str) -> int:
    return subprocess.run([sys.executable, "-m", *command], cwd=root, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
