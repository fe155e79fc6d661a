"""The errors a user can cause, each with one sentence that says what is accepted.

    VaebridgeError
    ├── EngineError
    │   ├── ClipError       a note, clip or setting outside its range
    │   │   └── TooLongError    a clip that is longer than a model's window
    │   ├── MidiFileError   a file that is no MIDI, or holds nothing to play
    │   ├── AudioError      a file that is no sound, or holds nothing to go on from
    │   ├── WeightsError    weights or a card that are missing, damaged or foreign
    │   ├── ModelError      no such model, or a verb that the model does not have
    │   ├── KeptError       what a user has made, which cannot be read or written here
    │   ├── DataError       a corpus that cannot be read
    │   └── TrainingError   a run that cannot start or go on
    ├── GpuFailedError      a GPU that has no memory left, or fails in the middle
    └── BridgeError         (bridge/errors.py)

A bug raises what it raises.
"""


class VaebridgeError(Exception):
    """Something a user can mend; the message is one sentence."""


class EngineError(VaebridgeError):
    """Anything the engine refuses."""


class ClipError(EngineError):
    """A note, clip or setting outside its range."""


class TooLongError(ClipError):
    """A clip that is longer than a model's window."""


class MidiFileError(EngineError):
    """A file that is no MIDI file, or that holds nothing to play."""


class AudioError(EngineError):
    """A file that is no sound, or that holds nothing to go on from."""


class WeightsError(EngineError):
    """Weights or a card that are missing, damaged or foreign."""


class ModelError(EngineError):
    """No such model, or a verb that the model does not have."""


class KeptError(EngineError):
    """What a user has made, a style or the like, which cannot be read or written here."""


class DataError(EngineError):
    """A corpus that cannot be read."""


class TrainingError(EngineError):
    """A training run that cannot start or go on."""


class GpuFailedError(VaebridgeError):
    """A GPU that fails in the middle; where it is merely out of memory it can be tried again."""

    def __init__(self, text: str, *, out_of_memory: bool = False):
        super().__init__(text)
        self.out_of_memory = out_of_memory
