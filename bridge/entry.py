"""The command `vaebridge` from its first moment to its last: Ctrl-C is silent while Python imports, and at its end.

Knows nothing of the verbs: cli.py does.
"""

import os

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""

STDERR = 2

try:
    import signal
    from typing import TYPE_CHECKING
except KeyboardInterrupt:
    os._exit(INTERRUPTED)

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Run the command line; where Ctrl-C is ignored, as a shell has it in the background, it stays ignored."""
    fill_streams()
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, _interrupt)
    from bridge.cli.main import main as run

    try:
        run()
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, KeyboardInterrupt) or end.code == INTERRUPTED:
            _leave()  # Python itself might make another exit code of it
        raise
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, _leave)


def fill_streams() -> None:
    """Open to nothing what is closed of stdin, stdout and stderr: a socket would get its number, and the log."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(number, True)
    os.close(number)


def _interrupt(_: int, frame: "FrameType | None") -> None:
    """Raise KeyboardInterrupt, but never into a module that is being imported: it might make any error of it."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            _leave()
        frame = frame.f_back
    raise KeyboardInterrupt


def _leave(*_: object) -> None:
    """End at once."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
