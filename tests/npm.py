"""Programs of npm that tests compare with or measure by: installed as a lock file says, kept in pytest's cache."""

import shutil
import subprocess
from pathlib import Path

from tests.missing import missing

LOCKED = ("package.json", "package-lock.json")


def install(locked: Path, folder: Path) -> None:
    """Install into a folder what the lock file beside package.json says; skips without Node.js or npm."""
    needed = (locked / LOCKED[1]).read_bytes()
    done = folder / "installed"
    if done.exists() and done.read_bytes() == needed:
        return
    if sentence := _missing() or _npm(locked, folder):
        missing(sentence)
    done.write_bytes(needed)


def _missing() -> str:
    absent = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{absent[0]} is not installed; Debian: apt install nodejs npm" if absent else ""


def _npm(locked: Path, folder: Path) -> str:
    for name in LOCKED:
        (folder / name).write_bytes((locked / name).read_bytes())
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(npm, cwd=folder, capture_output=True, text=True)
    return f"npm cannot install what {locked} needs: {done.stderr[-500:]}" if done.returncode else ""
