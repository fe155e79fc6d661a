import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import WeightsError
from engine.magenta.importing import import_checkpoint
from engine.model.musicvae import MusicVae
from engine.verbs.resident import load_resident
from engine.weights import Library, read_card
from tests.magenta.published import SHAPES, Folder, random_tensors, write_published


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder with a small published melody model."""
    return write_published(tmp_path / "mel_2bar", "melody")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where imported weights go."""
    return tmp_path / "weights"


def refusal(path: Path, out: Path, name: str = "mine") -> str:
    with pytest.raises(WeightsError) as refused:
        import_checkpoint(path, name=name, out=out)
    return str(refused.value)


@pytest.mark.parametrize("kind", SHAPES)
def test_what_was_imported_is_loaded_by_its_name(tmp_path: Path, out: Path, kind: str) -> None:
    card = import_checkpoint(write_published(tmp_path / "published", kind), name="mine", out=out)
    resident = load_resident(Library([out]), "mine", torch.device("cpu"))
    assert (resident.card, resident.config.shape.z) == (card, 12)


def test_the_manifest_itself_may_be_named(published: Path, out: Path) -> None:
    assert import_checkpoint(published / "weights_manifest.json", name="mine", out=out).bars == 2


def test_the_card_tells_where_it_is_from(published: Path, out: Path) -> None:
    import_checkpoint(published, name="mine", out=out)
    assert read_card(out / "mine.toml").data.startswith("imported from mel_2bar")


def test_a_model_without_an_encoder_is_loaded_without_one(tmp_path: Path, out: Path) -> None:
    shape = SHAPES["trio"]
    tensors = {name: each for name, each in random_tensors(shape).items() if not name.startswith("encoder/")}
    import_checkpoint(Folder(tensors, shape.config).write(tmp_path / "p"), name="mine", out=out)
    model = load_resident(Library([out]), "mine", torch.device("cpu")).model
    assert isinstance(model, MusicVae)
    assert model.encoder is None


def test_weights_that_are_there_are_never_replaced(published: Path, out: Path) -> None:
    import_checkpoint(published, name="mine", out=out)
    before = (out / "mine.safetensors").read_bytes()
    other = write_published(published.parent / "other", "melody", seed=2)
    assert "mine.safetensors is there already" in refusal(other, out)
    assert (out / "mine.safetensors").read_bytes() == before


def test_a_card_that_is_there_is_never_replaced(published: Path, out: Path) -> None:
    out.mkdir()
    (out / "mine.toml").write_text("hers")
    assert "mine.toml is there already" in refusal(published, out)


@pytest.mark.parametrize("name", ["", "../mine", "a/b", ".hidden", "a" * 101, "a b", "a\n"])
def test_a_name_that_is_no_file_name_is_refused(published: Path, out: Path, name: str) -> None:
    assert "the name must be letters" in refusal(published, out, name)


def test_a_refused_checkpoint_leaves_nothing_behind(published: Path, out: Path) -> None:
    (published / "group1-shard1of1").write_bytes(b"")
    refusal(published, out)
    assert not out.exists() or not list(out.iterdir())


class Bomb:
    """A pickle that tells when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("loaded"),)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "name", ["model.pt", "model.pth", "model.ckpt", "model.pkl", "model.bin", "model.index.pkl"]
)
def test_a_pickle_is_never_loaded(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(pickle.dumps(Bomb()))
    assert "pickles are never loaded" in refusal(Path(name), out)
    assert not Path("loaded").exists()


def test_a_folder_without_a_checkpoint_is_refused_with_what_is_accepted(tmp_path: Path, out: Path) -> None:
    assert "a folder with weights_manifest.json" in refusal(tmp_path, out)


def test_a_path_that_is_not_there_is_said(tmp_path: Path, out: Path) -> None:
    assert "there is no " in refusal(tmp_path / "none", out)


def test_a_folder_that_cannot_be_written_is_said(published: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "the weights cannot be written" in refusal(published, tmp_path / "file")


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    published: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.magenta.importing.write_weights", full)
    assert refusal(published, out) == f"the weights cannot be written to {out}: No space left on device"
    assert not list(out.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_by_the_tensors_name(
    tmp_path: Path, out: Path, value: float
) -> None:
    tensors = random_tensors(SHAPES["melody"])
    tensors["encoder/mu/bias"][3] = value
    folder = Folder(tensors, SHAPES["melody"].config).write(tmp_path / "p")
    assert "the tensor encoder/mu/bias holds a number that is not finite" in refusal(folder, out)
