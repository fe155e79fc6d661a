"""A published checkpoint becomes weights of ours: NAME.safetensors and NAME.toml, as exact as it was."""

import re
import tempfile
from pathlib import Path

import torch

from engine.errors import WeightsError
from engine.magenta.checkpoint import Checkpoint
from engine.magenta.javascript import MANIFEST, read_javascript
from engine.magenta.translate import Translation, translate
from engine.verbs.resident import load_resident
from engine.weights import Card, Library, write_weights

ACCEPTED = (
    f"what can be imported is a folder with {MANIFEST}, or a TensorFlow checkpoint: its .index file, the folder or "
    "the .tar that holds it"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def import_checkpoint(path: Path, *, name: str, out: Path) -> Card:
    """Write the weights of a checkpoint into a folder, once they have been loaded from what was written.

    Nothing that is there is replaced. WeightsError says what is wrong with the checkpoint, the name or the folder.
    """
    if not _NAME.fullmatch(name):
        raise WeightsError(f"the name must be letters, digits, '.', '_' and '-', not {name!r}")
    files = [out / f"{name}{suffix}" for suffix in (".safetensors", ".toml")]
    for file in (file for file in files if file.exists()):
        raise WeightsError(f"{file} is there already; give the weights another name, or delete it first")
    translation = translate(read_checkpoint(path), named="/".join(path.resolve().parts[-2:]))
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=out) as folder:
            _write(translation, Path(folder), name=name, source=path.name)
            card = load_resident(Library([Path(folder)]), name, torch.device("cpu")).card
            for file in files:
                (Path(folder) / file.name).rename(file)
    except OSError as error:
        raise WeightsError(f"the weights cannot be written to {out}: {error.strerror}") from error
    return card


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors of a checkpoint in either format, by what the path is; no pickle is ever loaded."""
    if not path.exists() and not path.with_name(f"{path.name}.index").exists():
        raise WeightsError(f"there is no {path}; {ACCEPTED}")
    if path.name == MANIFEST:
        return read_javascript(path.parent)
    if path.is_dir() and (path / MANIFEST).exists():
        return read_javascript(path)
    if _is_tensorflow(path):
        from engine.magenta.tensorflow import read_tensorflow

        return read_tensorflow(path)
    raise WeightsError(f"{path} is no checkpoint that can be imported (pickles are never loaded); {ACCEPTED}")


def _is_tensorflow(path: Path) -> bool:
    """Whether it is a bundle, its beginning, a folder with one or an archive of one."""
    if path.is_dir():
        return any(path.glob("*.index"))
    return bool(re.search(r"\.(index|data-\d{5}-of-\d{5}|tar|tar\.gz|tgz)$", path.name)) or not path.exists()


def _write(translation: Translation, folder: Path, *, name: str, source: str) -> None:
    card = Card(
        name=name,
        config=translation.config.name,
        family=translation.config.family,
        bars=translation.bars,
        steps_per_bar=translation.steps_per_bar,
        verbs=translation.verbs,
        sizes=translation.sizes,
        chained=translation.chained,
        sha256="",
        data="; ".join((f"imported from {source}", *translation.remarks)),
    )
    write_weights(folder, {key: torch.from_numpy(each) for key, each in translation.tensors.items()}, card)
