import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from engine.errors import WeightsError
from engine.magenta.javascript import read_javascript
from tests.magenta.published import Folder

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.linspace(-1, 1, 300, dtype=np.float32),
    "c": np.ones((1, 2, 1), np.float32),
}
MANIFEST = "weights_manifest.json"
Change = Callable[[list[Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of three tensors in one shard."""
    return Folder(TENSORS, {"type": "MusicVAE"}).write(tmp_path / "checkpoint")


def change(folder: Path, how: Change) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    how(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(("shard_bytes", "groups"), [(1 << 22, 1), (7, 1), (100, 3)])
def test_tensors_are_read_across_shards_and_groups(tmp_path: Path, shard_bytes: int, groups: int) -> None:
    read = read_javascript(Folder(TENSORS, None, shard_bytes=shard_bytes, groups=groups).write(tmp_path)).tensors
    assert all(np.array_equal(read[name], tensor) for name, tensor in TENSORS.items())


def test_the_configuration_is_read_beside_them(folder: Path) -> None:
    assert read_javascript(folder).facts == {"type": "MusicVAE"}


def test_a_checkpoint_may_have_no_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert read_javascript(folder).facts == {}


def test_a_tensor_without_axes_is_one_number(tmp_path: Path) -> None:
    folder = Folder({"step": np.array(7, np.float32)}, None).write(tmp_path)
    assert read_javascript(folder).tensors["step"] == 7


def test_whole_numbers_are_read(folder: Path) -> None:
    change(folder, lambda groups: groups[0]["weights"][0].update(dtype="int32"))
    shard = folder / "group1-shard1of1"
    shard.write_bytes(np.arange(6, dtype="<i4").tobytes() + shard.read_bytes()[24:])
    assert np.array_equal(read_javascript(folder).tensors["a"], TENSORS["a"])


@pytest.mark.parametrize(("how", "step"), [("uint8", 1 / 255), ("uint16", 1 / 65535), ("float16", 1 / 1024)])
@given(tensor=arrays(np.float32, array_shapes(max_dims=3), elements=st.floats(-4, 4, width=32)))
def test_quantised_numbers_are_read_to_half_a_step(
    tmp_path_factory: pytest.TempPathFactory, how: str, step: float, tensor: Any
) -> None:
    folder = Folder({"x": tensor}, None, quantised=how).write(tmp_path_factory.mktemp("quantised"))
    width = float(tensor.max()) - float(tensor.min()) if how.startswith("u") else 4
    assert np.abs(read_javascript(folder).tensors["x"] - tensor).max() <= (width / 2 + 1e-5) * step + 1e-6


PATHS = ["../outside", "/etc/hostname", "http://127.0.0.1/shard", "file:///etc/hostname", "a\\..\\b", "", 5, "a\0b"]


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_a_path_that_is_not_of_the_folder_is_refused(folder: Path, path: object) -> None:
    (folder.parent / "outside").write_bytes((folder / "group1-shard1of1").read_bytes())
    change(folder, lambda groups: groups[0].update(paths=[path]))
    with pytest.raises(WeightsError, match=r"must name a file of the folder|leads out of|is no file"):
        read_javascript(folder)


@pytest.mark.parametrize("name", ["group1-shard1of1", MANIFEST, "config.json"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to(folder.parent / "outside")
    with pytest.raises(WeightsError, match=f"{name} leads out of the checkpoint's folder"):
        read_javascript(folder)


def test_a_link_to_itself_is_refused(folder: Path) -> None:
    (folder / "group1-shard1of1").unlink()
    (folder / "group1-shard1of1").symlink_to("group1-shard1of1")
    with pytest.raises(WeightsError, match="group1-shard1of1"):
        read_javascript(folder)


def test_a_pipe_is_no_shard(folder: Path) -> None:
    (folder / "group1-shard1of1").unlink()
    os.mkfifo(folder / "group1-shard1of1")
    with pytest.raises(WeightsError, match="group1-shard1of1 is no file"):
        read_javascript(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "group1-shard1of1").unlink()
    with pytest.raises(WeightsError, match="group1-shard1of1 is no file"):
        read_javascript(folder)


def test_of_half_a_shard_the_tensor_that_is_cut_off_is_named(folder: Path) -> None:
    shard = folder / "group1-shard1of1"
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(WeightsError, match=r"the tensor b is cut off: group1-shard1of1 of 600 bytes .* of 1232"):
        read_javascript(folder)


def test_bytes_that_belong_to_no_tensor_are_refused(folder: Path) -> None:
    with (folder / "group1-shard1of1").open("ab") as file:
        file.write(b"0")
    with pytest.raises(WeightsError, match=r"group1-shard1of1: there are 1233 bytes where .* need 1232"):
        read_javascript(folder)


SIZES: list[Any] = [[-2, 3], [2.0, 3], [True, 6], [0], "6", None, [10**30], [1 << 40], [2] * 9, {"0": 6}]


@pytest.mark.parametrize("shape", SIZES, ids=repr)
def test_an_absurd_shape_is_refused_by_the_tensors_name(folder: Path, shape: object) -> None:
    change(folder, lambda groups: groups[0]["weights"][0].update(shape=shape))
    with pytest.raises(WeightsError, match="the tensor a must have a shape of positive whole numbers"):
        read_javascript(folder)


def test_more_weights_than_any_model_has_are_refused_unread(folder: Path) -> None:
    change(folder, lambda groups: groups[0]["weights"][0].update(shape=[1 << 20, 1 << 20]))
    with pytest.raises(WeightsError, match="more than 536870912 weights"):
        read_javascript(folder)


@pytest.mark.parametrize("dtype", ["float64", "string", "complex64", None, 5, ["float32"]], ids=repr)
def test_a_foreign_type_is_refused_by_the_tensors_name(folder: Path, dtype: object) -> None:
    change(folder, lambda groups: groups[0]["weights"][0].update(dtype=dtype))
    with pytest.raises(WeightsError, match="the tensor a must be float32 or int32"):
        read_javascript(folder)


QUANTISED: list[Any] = [
    {"dtype": "uint8"},
    {"dtype": "uint4", "scale": 1, "min": 0},
    {"dtype": "uint8", "scale": "1", "min": 0},
    {"dtype": "uint8", "scale": 10**400, "min": 0},
    {"dtype": "uint8", "scale": math.inf, "min": 0},
    {"dtype": "uint16", "scale": 1, "min": math.nan},
    "uint8",
    [],
]


@pytest.mark.parametrize("quantised", QUANTISED, ids=lambda value: str(value)[:40])
def test_a_foreign_quantisation_is_refused_by_the_tensors_name(folder: Path, quantised: object) -> None:
    change(folder, lambda groups: groups[0]["weights"][0].update(quantization=quantised))
    with pytest.raises(WeightsError, match="the tensor a must be quantised"):
        read_javascript(folder)


def test_a_tensor_that_is_there_twice_is_refused(folder: Path) -> None:
    change(folder, lambda groups: groups[0]["weights"][1].update(name="a"))
    with pytest.raises(WeightsError, match="holds the tensor a twice"):
        read_javascript(folder)


MANIFESTS = ["", "{", "[]", "{}", "5", "[5]", '[{"weights": []}]', '[{"weights": [5], "paths": []}]', "[" * 100_000]


@pytest.mark.parametrize("content", MANIFESTS, ids=lambda value: value[:40])
def test_a_manifest_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(WeightsError, match=MANIFEST):
        read_javascript(folder)


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe", b"null"])
def test_a_configuration_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(WeightsError, match=r"config\.json"):
        read_javascript(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["name", "paths", "dtype"]), each),
    max_leaves=8,
)


@given(key=st.sampled_from(["name", "shape", "dtype", "quantization"]), value=JSON)
def test_whatever_a_weight_says_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    folder = Folder(TENSORS, None).write(tmp_path_factory.mktemp("any"))
    change(folder, lambda groups: groups[0]["weights"][0].update({key: value}))
    with suppress(WeightsError):
        assert len(read_javascript(folder).tensors) == 3
