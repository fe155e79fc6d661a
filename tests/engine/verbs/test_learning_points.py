"""Attributes of models of tokens that nobody trained, one a published checkpoint: learnt, kept, asked for."""

from pathlib import Path

import mido
import numpy as np
import pytest
import tomlkit
import torch

from engine.clip import Clip, Note
from engine.errors import ClipError, DataError, ModelError, WeightsError
from engine.learning import constraints
from engine.magenta.importing import import_checkpoint
from engine.registry import find_config
from engine.requests import Decode, Interpolate, Sample, Vary
from engine.verbs.generator import Generator
from engine.verbs.resident import TokenResident, load_resident
from engine.verbs.steering import learning_points
from engine.verbs.steering.learning_points import learn_attributes
from engine.weights import Library, steering_path
from tests.engine.untrained import small, write_random_weights
from tests.magenta.published import write_published

NAMES = {
    "melody": ("register", "interval", "density", "syncopation", "repetition"),
    "trio": (
        *("register.lead", "interval.lead", "density.lead"),
        *("register.bass", "interval.bass", "density.bass", "density.drums", "syncopation", "repetition"),
    ),
    "drums": ("density", "syncopation", "repetition"),
}
CONFIGS = {"drums": "drums_2bar", "trio": "flat-trio_16bar"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Songs of 40 bars of a melody, a bass and drums, of as many splits as there are."""
    folder = tmp_path_factory.mktemp("songs")
    splits = ["midi_filename,split"]
    for number in range(6):
        rng, song = np.random.default_rng(number), mido.MidiFile(ticks_per_beat=96)
        for channel, program, low in ((0, 0, 60), (1, 33, 36), (9, 0, 36)):
            track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)])
            waiting = 0
            for step in range(40 * 16):
                if rng.random() < (0.9 if step % 4 == 0 else 0.1 * (1 + number)):
                    pitch = low + int(rng.integers(0, 12))
                    track.append(mido.Message("note_on", channel=channel, note=pitch, time=waiting))
                    track.append(mido.Message("note_off", channel=channel, note=pitch, time=24))
                    waiting = 0
                else:
                    waiting += 24
            song.tracks.append(track)
        song.save(folder / f"{number}.mid")
        splits.append(f"{number}.mid,{'validation' if number == 5 else 'train'}")
    (folder / "info.csv").write_text("\n".join(splits) + "\n")
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """As few steps as can be: what is learnt well is tested in tests/engine/learning."""
    for name in ("STEPS", "VALUE_STEPS"):
        monkeypatch.setattr(constraints, name, 3)
    monkeypatch.setattr(learning_points, "DRAWN", 8)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def library(tmp_path) -> Library:
    """A published checkpoint of melodies that was imported, and small models of drums and trios."""
    import_checkpoint(write_published(tmp_path / "published", "melody"), name="melody", out=tmp_path)
    for kind, config in CONFIGS.items():
        write_random_weights(tmp_path, config, kind, **small(find_config(config)))
    return Library([tmp_path])


def learnt(library: Library, name: str, corpus: Path, **settings) -> Library:
    """The folder with attributes that a model has learnt."""
    learn_attributes(library, name, [corpus], max_windows=120, **settings)
    return Library([library.paths[name].parent])


@pytest.mark.parametrize("name", NAMES)
def test_a_model_learns_what_its_notes_have_and_its_weights_stay_as_they_are(library, corpus, name):
    weights = library.paths[name]
    before, card = weights.read_bytes(), library.card(name)
    after = learnt(library, name, corpus).card(name)
    assert tuple(after.attributes) == NAMES[name]
    assert weights.read_bytes() == before
    assert (after.sha256, after.verbs, after.data) == (card.sha256, card.verbs, card.data)
    assert after.steering["data"] == corpus.name
    assert steering_path(weights).stat().st_size < 2**20


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_is_told_by_every_verb_that_decodes(library, corpus, name):
    generator = Generator(learnt(library, name, corpus), device="cpu")
    size = generator.load(name) and generator.resident(name).config.shape.z
    clips = generator.run(Sample(model=name, seed=1, count=2)).clips
    asked = {"model": name, "seed": 3, "density": (1.0,)}
    requests = [
        Sample(bars=3, count=2, **asked),
        Vary(clip=clips[0], count=2, **asked),
        Interpolate(clips=clips, steps=3, **asked),
        Decode(z=(0.2,) * size, **asked),
    ]
    for request in requests:
        results = generator.run(request)
        assert [key for key, _ in results.facts] == ["density"]
        assert results.clips == generator.run(request).clips


def test_nothing_changes_where_nothing_is_asked(library, corpus):
    request = Sample(model="melody", bars=5, count=3, seed=9)
    before = Generator(library, device="cpu").run(request).clips
    assert Generator(learnt(library, "melody", corpus), device="cpu").run(request).clips == before


def test_what_is_told_is_what_the_notes_have_by_bar_as_well(library, corpus):
    generator = Generator(learnt(library, "melody", corpus), device="cpu")
    results = generator.run(Sample(model="melody", bars=4, seed=2, density=(0.0, 1.0)))
    bars = [sum(4 * bar <= note.start_beats < 4 * bar + 4 for note in results.clips[0].notes) for bar in range(4)]
    scale = generator.resident("melody").scales["density"]
    told = [float(each) for each in dict(results.facts)["density"].split(",")]
    assert told == pytest.approx([scale.asked(count) for count in bars], abs=1e-3)


def test_of_a_part_of_a_trio_its_own_is_told(library, corpus):
    generator = Generator(learnt(library, "trio", corpus), device="cpu")
    about = (("density.bass", 1.0), ("register.lead", -1.0))
    results = generator.run(Sample(model="trio", seed=1, density=(0.5,), of_drum=about))
    assert {"density", "density.bass", "register.lead"} >= {key for key, _ in results.facts} >= {"density.bass"}
    with pytest.raises(ClipError, match=r"trio has no register\.drums to be asked for: it has register\.lead"):
        generator.run(Sample(model="trio", of_drum=(("register.drums", 1.0),)))


def test_a_model_that_has_learnt_none_says_how_it_is_done(library):
    generator = Generator(library, device="cpu")
    with pytest.raises(ClipError) as refused:
        generator.run(Sample(model="melody", density=(1.0,)))
    assert str(refused.value) == (
        "melody has no density to be asked for: it has none; "
        "`vaebridge weights attributes melody --data CORPUS` learns those of its notes"
    )


def test_the_better_way_is_kept(library, corpus, monkeypatch):
    merits = {"vectors": 0.9, "generator": 0.2}
    monkeypatch.setattr(learning_points.Way, "merit", property(lambda way: merits[way.kind]))
    after = learnt(library, "drums", corpus)
    assert after.card("drums").steering["kind"] == "vectors"
    resident = load_resident(after, "drums", torch.device("cpu"))
    assert isinstance(resident, TokenResident)
    assert type(resident.mover).__name__ == "AttributeVectors"


def test_what_moves_z_is_verified_and_has_a_version(library, corpus):
    after = learnt(library, "drums", corpus)
    path, card = steering_path(after.paths["drums"]), after.paths["drums"].with_suffix(".toml")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(WeightsError, match=r"drums\.steering\.safetensors is damaged .* learns it again"):
        load_resident(after, "drums", torch.device("cpu"))
    path.unlink()
    with pytest.raises(WeightsError, match="the steering of drums, cannot be read"):
        after.verify_steering("drums")
    card.write_text(card.read_text().replace("version = 1", "version = 2"))
    with pytest.raises(WeightsError, match="is of version 2, not 1"):
        Library([card.parent]).verify_steering("drums")


def test_what_is_damaged_is_learnt_again(library, corpus):
    after = learnt(library, "drums", corpus)
    steering_path(after.paths["drums"]).write_bytes(b"damaged")
    assert learnt(after, "drums", corpus).verify_steering("drums") == steering_path(after.paths["drums"])


@pytest.mark.parametrize(
    ("config", "sizes", "sentence"),
    [
        ("drummer", {}, "is no model of tokens"),
        ("hier-multiperf_vel_1bar_med", {}, "hears several tracks: attributes are learnt by"),
        ("melody_2bar", {"encoder": ()}, "has no encoder: attributes are learnt by"),
    ],
)
def test_a_model_that_cannot_learn_them_says_why(tmp_path, corpus, config, sizes, sentence):
    write_random_weights(tmp_path, config, "other", **{**small(find_config(config)), **sizes})
    with pytest.raises(ModelError, match=f"other {sentence}"):
        learn_attributes(Library([tmp_path]), "other", [corpus])


def test_a_corpus_without_such_notes_is_refused_and_nothing_is_written(library, tmp_path):
    song = mido.MidiFile(ticks_per_beat=96)
    song.tracks.append(
        mido.MidiTrack([mido.Message("note_on", note=60), mido.Message("note_off", note=60, time=96)])
    )
    (tmp_path / "short").mkdir()
    song.save(tmp_path / "short" / "a.mid")
    with pytest.raises(DataError):
        learn_attributes(library, "melody", [tmp_path / "short"])
    assert not steering_path(library.paths["melody"]).exists()


def test_what_was_learnt_before_stays_where_it_does_better_by_its_card(library, corpus):
    path, card = steering_path(library.paths["drums"]), library.paths["drums"].with_suffix(".toml")
    learnt(library, "drums", corpus)
    document = tomlkit.parse(card.read_text())
    figures = {name: [1.0, 1.0, 0.0] for name in document["attributes"]}
    document["steering"]["one_draw"] = figures
    card.write_text(tomlkit.dumps(document))
    before = path.read_bytes()
    better = Library([card.parent])
    told = learn_attributes(better, "drums", [corpus], max_windows=120, seed=1)
    assert (told.path, told.before) == (None, 1.0)
    assert path.read_bytes() == before
    told = learn_attributes(better, "drums", [corpus], max_windows=120, seed=1, replace=True)
    assert told.path == path
    assert path.read_bytes() != before
    assert Library([card.parent]).card("drums").steering["one_draw"] == told.better.figures


@pytest.mark.parametrize("damage", [{"kind": "charm"}, {"kind": "generator"}])
def test_steering_of_another_kind_says_how_it_is_learnt_again(library, corpus, damage, monkeypatch):
    monkeypatch.setattr(learning_points.Way, "merit", property(lambda way: float(way.kind == "vectors")))
    card = library.paths["drums"].with_suffix(".toml")
    learnt(library, "drums", corpus)
    document = tomlkit.parse(card.read_text())
    document["steering"] |= damage
    card.write_text(tomlkit.dumps(document))
    with pytest.raises(WeightsError, match="`vaebridge weights attributes drums --data CORPUS` learns it again"):
        Generator(Library([card.parent]), device="cpu").load("drums")


def test_a_clip_that_is_heard_is_varied_to_what_is_asked(library, corpus):
    generator = Generator(learnt(library, "melody", corpus), device="cpu")
    clip = Clip(tuple(Note(60 + i % 7, i / 2, 0.5, 90) for i in range(40)), 20.0)
    results = generator.run(Vary(clip=clip, model="melody", seed=1, register=(-2.0, 2.0)))
    assert len(str(dict(results.facts)["register"]).split(",")) == 5
    assert results.clips[0].length_beats == 20
