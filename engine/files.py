"""Files on disk: what is read is a file and has an end, what is written is there whole or not at all."""

import contextlib
import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def regular(path: Path) -> Path:
    """The path, if a file is there; OSError if there is none, or a pipe or device, which might have no end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return path


def read_toml(path: Path) -> dict[str, Any]:
    """What is in a .toml file; OSError if it cannot be read, ValueError if it is no TOML."""
    try:
        return tomllib.loads(regular(path).read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_at_most(path: Path, most_bytes: int) -> bytes:
    """What is in a file or comes through a pipe; OSError if it is longer."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes} bytes", str(path))
    return content


LEFT_SECONDS = 60.0
"""A file that is being written has been changed since."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write that takes the place of path in the end; where that fails, what was there stays.

    Whoever may use the old one may use the new one. What is no file, such as /dev/stdout, is written to itself.
    """
    try:
        path = path.resolve()
    except RuntimeError as error:  # up to Python 3.12
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if path.exists() and not path.is_file():
        yield path
        return
    _clear(path.parent)
    beside = path.with_name(f".{os.getpid()}{path.suffix}.part")
    try:
        yield beside
        if path.exists():
            shutil.copymode(path, beside)
        beside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove what killed processes of this machine left half written, but on Windows, which does not tell them."""
    if sys.platform == "win32":
        return
    for part in folder.glob(".*.part"):
        number = part.name[1:].partition(".")[0]
        with contextlib.suppress(OSError):
            if number.isdecimal() and not _runs(int(number)) and part.stat().st_mtime < time.time() - LEFT_SECONDS:
                part.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another's
        return True
    return True
