import mido
import pytest
import torch

from engine.data.corpus import read_corpus
from engine.data.windows import cut_windows
from engine.errors import EngineError, ModelError
from engine.evaluation.showing import feels_of, show
from engine.model.tasks import positions
from engine.verbs.resident import load_resident


@pytest.fixture
def data(tmp_path):
    """Two validation performances of five bars of eighths on the hat, with kick and snare."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = ["drummer,style,bpm,time_signature,midi_filename,split"]
    for name in ("a", "b"):
        track = mido.MidiTrack()
        for eighth in range(40):
            for pitch in (42, 36 if eighth % 4 == 0 else 38 if eighth % 4 == 2 else 42):
                track.append(mido.Message("note_on", channel=9, note=pitch, velocity=60 + eighth % 5))
            track.append(mido.Message("note_off", channel=9, note=42, time=240))
        mido.MidiFile(tracks=[track], ticks_per_beat=480).save(folder / f"{name}.mid")
        rows.append(f"drummer{name},funk,110,4-4,{name}.mid,validation")
    (folder / "info.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_windows_know_the_listed_drummers(data):
    windows = cut_windows(read_corpus(data), split="validation", bars=4, pad=False)
    assert windows.drummer_names == ("drummera", "drummerb")
    assert windows.drummer.tolist() == [0, 0, 1, 1]


def test_each_model_that_humanizes_is_heard_and_seen_in_a_folder_of_its_own(tmp_path, data, library):
    out = tmp_path / "out"
    written = show(
        data=[data], library=library, models=library.cards, examples=out / "heard", pictures=out / "seen"
    )
    humanizing = {name for name, card in library.cards.items() if "humanize" in card.verbs}
    assert {path.parent.name for path in written} == humanizing
    assert {path.name for path in written} == {"index.html", "timing.png", "velocity.png", "feel.png"}
    assert all(path.is_file() for path in written)


def test_only_what_is_asked_for_is_written(tmp_path, data, library):
    (page,) = show(data=[data], library=library, models=["drummer"], examples=tmp_path / "heard")
    assert page == tmp_path / "heard" / "drummer" / "index.html"


@pytest.mark.parametrize("what", ["examples", "pictures"])
def test_a_disk_that_takes_nothing_is_one_sentence(tmp_path, data, library, what):
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="cannot be written: Not a directory"):
        show(data=[data], library=library, models=["drummer"], **{what: tmp_path / "file"})


def test_models_that_do_not_humanize_are_refused(tmp_path, data, library):
    with pytest.raises(ModelError, match="humanize"):
        show(data=[data], library=library, models=["groovae_4bar"], examples=tmp_path)


def test_a_feel_is_the_last_part_of_z(data, library):
    resident = load_resident(library, "drummer", torch.device("cpu"))
    windows = cut_windows(read_corpus(data), split="validation", bars=4, pad=False)
    feels = feels_of(resident, windows)
    assert feels.shape == (len(windows), resident.config.shape.feel)
    posterior = resident.model.encode(torch.from_numpy(windows.grooves), positions(64))
    torch.testing.assert_close(torch.from_numpy(feels), posterior.mu[:, -resident.config.shape.feel :])
