import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import ModelError, WeightsError
from engine.verbs.resident import load_resident
from engine.weights import Library, read_card, sha256_of, write_weights
from tests.engine.untrained import write_random_weights

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    write_random_weights(tmp_path, "groovae_2bar_humanize", "mine")
    return tmp_path


def rewrite(folder, tensors):
    """Replace the tensors and keep the card's checksum true."""
    path = folder / "mine.safetensors"
    before = sha256_of(path.open("rb"))
    save_file(tensors, path)
    card = folder / "mine.toml"
    card.write_text(card.read_text().replace(before, sha256_of(path.open("rb"))))


def test_a_card_survives_the_way_to_its_file_and_back(folder):
    card = read_card(folder / "mine.toml")
    assert (card.name, card.config, card.bars, card.styles) == (
        "mine",
        "groovae_2bar_humanize",
        2,
        ("funk", "rock"),
    )


def test_who_may_read_a_card_may_read_its_weights(folder):
    assert len({(folder / f"mine.{kind}").stat().st_mode for kind in ("toml", "safetensors")}) == 1


def test_a_damaged_file_is_refused_by_its_checksum(folder):
    path = folder / "mine.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged or not the file its card describes"):
        load_resident(Library([folder]), "mine", CPU)


def test_a_truncated_file_is_refused(folder):
    path = folder / "mine.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        load_resident(Library([folder]), "mine", CPU)


def test_weights_that_are_gone_are_named(folder):
    (folder / "mine.safetensors").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load_resident(Library([folder]), "mine", CPU)


def test_a_file_that_is_no_safetensors_is_refused(folder):
    path, card = folder / "mine.safetensors", folder / "mine.toml"
    before = sha256_of(path.open("rb"))
    path.write_bytes(b"not a tensor in sight")
    card.write_text(card.read_text().replace(before, sha256_of(path.open("rb"))))
    with pytest.raises(WeightsError, match="no safetensors file"):
        load_resident(Library([folder]), "mine", CPU)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("encoder.mu.bias"), "lack the tensor encoder.mu.bias"),
        (lambda t: t.update({"extra": torch.zeros(1)}), "that their configuration has not: extra"),
        (lambda t: t.update({"encoder.mu.bias": torch.zeros(3)}), r"encoder.mu.bias of mine has the shape \(3,\)"),
        (lambda t: t["encoder.mu.bias"].fill_(float("nan")), "encoder.mu.bias of mine holds a number that is not"),
    ],
)
def test_foreign_weights_are_refused_with_the_tensors_name(folder, change, sentence):
    tensors = load_file(folder / "mine.safetensors")
    change(tensors)
    rewrite(folder, tensors)
    with pytest.raises(WeightsError, match=sentence):
        load_resident(Library([folder]), "mine", CPU)


def test_a_damaged_card_leaves_the_others_in_the_library(folder):
    (folder / "broken.toml").write_text("name = ")
    (folder / "foreign.toml").write_text('title = "nothing of ours"')
    library = Library([folder])
    assert list(library.cards) == ["mine"]
    assert len(library.problems) == 2


def test_a_folder_without_weights_is_told(tmp_path):
    assert Library([tmp_path]).empty == [
        f"{tmp_path} holds no weights: a card, NAME.toml, is beside NAME.safetensors"
    ]


def test_no_other_folders_model_stands_in_for_one_whose_card_is_damaged(folder, tmp_path_factory):
    first = tmp_path_factory.mktemp("first")
    (first / "mine.toml").write_text("name = ")
    library = Library([first, folder])
    assert not library.cards
    for ask in (library.card, library.verify):
        with pytest.raises(WeightsError, match=r"mine\.toml is no readable card"):
            ask("mine")
    assert Library([folder, first]).card("mine"), "a folder that was given earlier wins"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("name = 1", "name must be a text, not 1"),
        ('bars = "two"', "bars must be a whole number, not 'two'"),
        ("bars = true", "bars must be a whole number, not True"),
        ("bars = 0", r"bars must be in 1\.\.1024, not 0"),
        ("steps_per_bar = -4", r"steps_per_bar must be in 1\.\.1024, not -4"),
        ("verbs = 7", "verbs must be a list, not 7"),
        ("sizes = []", "sizes must be a table"),
        ("sha256 = []", "sha256 must be a text"),
    ],
)
def test_a_value_of_another_kind_is_named(folder, line, sentence):
    (folder / "mine.toml").write_text(line)
    with pytest.raises(WeightsError, match=sentence):
        read_card(folder / "mine.toml")


def test_an_unknown_name_is_answered_with_the_known_ones(folder):
    with pytest.raises(ModelError, match="there is no model 'yours'; the models are: mine"):
        Library([folder]).card("yours")


def test_a_folder_that_was_given_earlier_wins(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_random_weights(other, "groovae_4bar", "mine")
    assert Library([other, folder]).card("mine").config == "groovae_4bar"


def test_weights_that_cannot_be_written_leave_the_old_ones_usable(folder, monkeypatch):
    library = Library([folder])
    card, tensors = library.card("mine"), library.tensors("mine")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.weights.tomlkit.dumps", full)
    with pytest.raises(WeightsError, match="cannot be written: No space left on device"):
        write_weights(folder, {key: tensor + 1 for key, tensor in tensors.items()}, card)
    assert Library([folder]).verify("mine")
    assert {path.suffix for path in folder.iterdir()} == {".toml", ".safetensors"}


def test_a_folder_that_is_none_is_one_sentence(folder, tmp_path):
    library = Library([folder])
    with pytest.raises(WeightsError, match="cannot be written"):
        write_weights(folder / "mine.toml", library.tensors("mine"), library.card("mine"))


def test_weights_and_cards_that_are_no_files_are_not_waited_for(folder):
    (folder / "mine.safetensors").unlink()
    (folder / "mine.safetensors").symlink_to("/dev/zero")
    (folder / "zero.toml").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.toml")
    (folder / "folder.toml").mkdir()
    library = Library([folder])
    assert len(library.problems) == 3
    assert all("no regular file" in problem for problem in library.problems)
    with pytest.raises(WeightsError, match="no regular file"):
        library.verify("mine")
