"""What the tests of training learn from."""

from pathlib import Path

import mido
import pytest


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty short beats, a little late on the off-beats, in two styles."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = ["style,bpm,time_signature,midi_filename,split"]
    for i in range(20):
        track = mido.MidiTrack()
        for eighth in range(40):
            late = 15 + i if eighth % 2 else 0
            track.append(mido.Message("note_on", channel=9, note=(36, 42)[eighth % 2], velocity=60 + i, time=late))
            track.append(mido.Message("note_off", channel=9, note=(36, 42)[eighth % 2], time=240 - late))
        mido.MidiFile(tracks=[track], ticks_per_beat=480).save(folder / f"{i}.mid")
        split = "train" if i < 14 else "validation" if i < 17 else "test"
        rows.append(f"{('funk', 'rock')[i % 2]},{100 + i},4-4,{i}.mid,{split}")
    (folder / "info.csv").write_text("\n".join(rows) + "\n")
    return folder
