"""What TensorFlow wrote (see tensorflow_fixture/make_checkpoint.py) comes back and computes the same."""

import io
import shutil
import struct
import tarfile
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import WeightsError
from engine.magenta.importing import import_checkpoint
from engine.magenta.sorted_table import crc32c, read_table
from engine.magenta.tensorflow import read_tensorflow
from engine.model.noise import Noise
from engine.verbs.resident import load_resident
from engine.weights import Library

FIXTURE = Path(__file__).parent / "tensorflow_fixture"
MELODY = FIXTURE / "melody" / "model.ckpt-1234"
FLOAT, STRING, INT64, COMPLEX = 1, 7, 9, 8


def expected(name):
    """The tensors that TensorFlow saved, and what it computed with them."""
    arrays = dict(np.load(FIXTURE / f"{name}.npz"))
    computed = {
        key.removeprefix("computed/"): arrays.pop(key) for key in list(arrays) if key.startswith("computed/")
    }
    return arrays, computed


def copied(folder, name="model.ckpt-1234"):
    """The melody's checkpoint under another name; its prefix."""
    folder.mkdir(exist_ok=True)
    for part in ("index", "data-00000-of-00001"):
        shutil.copy(f"{MELODY}.{part}", folder / f"{name}.{part}")
    return folder / name


def packed(archive, members, mode="w"):
    """A .tar of (name, bytes)."""
    with tarfile.open(archive, mode) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


def parts(folder=""):
    return [(folder + path.name, path.read_bytes()) for path in sorted(MELODY.parent.glob("model.*"))]


# A bundle by hand, with the right checksums, so that what is wrong with it is met and not only its checksum.


def varint(value):
    value &= (1 << 64) - 1
    low = b""
    while value > 0x7F:
        low += bytes([value & 0x7F | 0x80])
        value >>= 7
    return low + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def masked(content):
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def block(entries):
    content = b"".join(varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in entries)
    return content + struct.pack("<II", 0, 1)


def stored(content, compression=0):
    content += bytes([compression])
    return content + struct.pack("<I", masked(content))


def table(entries, *, compression=0, raw=None):
    """A sorted table of one block; raw is that block, if it is to be another than that of the entries."""
    data = stored(block(entries) if raw is None else raw, compression)
    last = entries[-1][0] if entries else b"z"
    index = stored(block([(last, varint(0) + varint(len(data) - 5))]))
    handles = varint(len(data)) + varint(0) + varint(len(data)) + varint(len(index) - 5)
    return data + index + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def tensor(shape=(2,), kind=FLOAT, shard=0, offset=0, size=8, content=b"\0" * 8, more=b""):
    dimensions = b"".join(field(2, field(1, each)) for each in shape)
    crc = varint(6 << 3 | 5) + struct.pack("<I", masked(content))
    return field(1, kind) + field(2, dimensions) + field(3, shard) + field(4, offset) + field(5, size) + crc + more


ONE_SHARD = field(1, 1)


def written(folder, entries, *, header=ONE_SHARD, data=b"\0" * 8):
    """A checkpoint of these entries; its prefix."""
    (folder / "x.index").write_bytes(table([(b"", header), *entries]))
    (folder / "x.data-00000-of-00001").write_bytes(data)
    return folder / "x"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("melody", "melody"),
        ("melody/model.ckpt-1234", "melody"),
        ("melody/model.ckpt-1234.index", "melody"),
        ("melody/model.ckpt-1234.data-00000-of-00001", "melody"),
        ("trio.tar.gz", "trio"),
        ("kinds", "kinds"),  # double, half, bfloat16 and single precision, in two shards
    ],
)
def test_the_weights_that_tensorflow_saved_come_back_bit_by_bit(path, name):
    tensors, saved = read_tensorflow(FIXTURE / path).tensors, expected(name)[0]
    assert tensors.keys() == saved.keys()  # no slot of Adam's, no step, no words
    for key, array in saved.items():
        assert tensors[key].dtype == np.float32
        np.testing.assert_array_equal(tensors[key], array)


@pytest.mark.parametrize("name", ["melody", "trio"])
def test_an_imported_model_computes_what_tensorflow_does(name, tmp_path):
    path = FIXTURE / "melody" if name == "melody" else FIXTURE / "trio.tar.gz"
    import_checkpoint(path, name=name, out=tmp_path)
    model = load_resident(Library([tmp_path]), name, torch.device("cpu")).model
    computed = {key: torch.from_numpy(each) for key, each in expected(name)[1].items()}
    with torch.inference_mode():
        posterior = model.encode(computed["tokens"])
        decoded = model.decode(computed["z"], computed["decoded"].shape[1], temperature=0, noise=Noise(0))
    torch.testing.assert_close(posterior.mu, computed["mu"], rtol=0, atol=1e-4)
    torch.testing.assert_close(posterior.sigma, computed["sigma"], rtol=0, atol=1e-4)
    assert torch.equal(decoded, computed["decoded"])


def test_of_several_checkpoints_the_file_of_the_state_names_the_one(tmp_path):
    copied(tmp_path, "model.ckpt-7")
    written(tmp_path, [(b"a", tensor())])
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/home/trainer/run/x"\n')
    assert set(read_tensorflow(tmp_path).tensors) == {"a"}


def test_of_several_checkpoints_without_a_state_the_highest_step_counts(tmp_path):
    copied(tmp_path, "model.ckpt-1000")
    for part in ("index", "data-00000-of-00001"):
        written(tmp_path, [(b"a", tensor())])
        (tmp_path / f"x.{part}").rename(tmp_path / f"model.ckpt-999.{part}")
    assert "encoder/mu/kernel" in read_tensorflow(tmp_path).tensors


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_may_hold_its_checkpoint_in_a_folder(tmp_path, mode):
    archive = packed(tmp_path / "a.tar", [("read me.txt", b"hello"), *parts("some/folder/")], mode)
    assert len(read_tensorflow(archive).tensors) == 16


def test_a_tensor_of_no_dimensions_is_read(tmp_path):
    content = struct.pack("<f", 0.5)
    prefix = written(tmp_path, [(b"a", tensor((), size=4, content=content))], data=content)
    assert read_tensorflow(prefix).tensors["a"] == np.float32(0.5)


@pytest.mark.parametrize(
    "name",
    [
        "global_step",
        "beta1_power",
        "beta2_power_1",
        "decoder/x/kernel/Adam",
        "x/Adam_1",
        "x/ExponentialMovingAverage",
    ],
)
def test_what_only_training_needs_is_left_out(tmp_path, name):
    assert read_tensorflow(written(tmp_path, [(name.encode(), tensor())])).tensors == {}


@pytest.mark.parametrize(("content", "crc"), [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"", 0)])
def test_the_checksum_is_that_of_rfc_3720(content, crc):
    assert crc32c(content) == crc


@given(st.binary(max_size=300), st.integers(0, 40_000))
def test_the_checksum_is_that_of_its_definition(content, more):
    content = content + bytes(more) + content
    register = 0xFFFFFFFF
    steps = [0] * 256
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)
        steps[byte] = value
    for byte in content:
        register = register >> 8 ^ steps[(register ^ byte) & 0xFF]
    assert crc32c(content) == register ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (tensor((-2,)), r"tensor a of .* has no shape that weights have: \(-2,\)"),
        (tensor((0,), size=0), r"tensor a of .* has no shape"),
        (tensor((1,) * 9), "tensor a of .* has no shape"),
        (tensor((1 << 40,)), "tensor a of .* has no shape"),
        (tensor((1 << 31, 1 << 31)), "tensor a of .* is damaged: 8 bytes are no"),
        (tensor((3,)), r"tensor a of .* is damaged: 8 bytes are no \(3,\)"),
        (tensor((2,), more=field(2, field(3, 1))), "tensor a of .* is damaged: 8 bytes are no"),
        (tensor(offset=1), "tensor a of .* lie outside the file"),
        (tensor(offset=-8), "tensor a of .* lie outside the file"),
        (tensor((1 << 30,), size=1 << 32), "tensor a of .* lie outside the file"),
        (tensor(shard=1), "tensor a lies in .*00001-of-00001, which is missing"),
        (tensor(shard=-1), "tensor a lies in .*, which is missing"),
        (tensor(kind=COMPLEX), "tensor a of .* is of TensorFlow's type 8"),
        (tensor(kind=INT64, shape=(1,)), "tensor a of .* is of TensorFlow's type 9"),
        (tensor(more=field(7, b"")), "tensor a of .* was saved in slices"),
        (tensor(content=b"another"), "tensor a of .* is damaged: its checksum"),
        (tensor(more=field(5, b"eight")), "tensor a of .* is damaged: text stands for a number"),
        (tensor(more=field(2, 5)), "tensor a of .* is damaged: a number stands for its shape"),
        (b"\xff" * 30, "tensor a of .* is damaged: a number in it has no end"),
        (tensor(more=field(9, b"abc")[:-1]), "tensor a of .* is cut short"),
        (tensor(more=varint(9 << 3 | 3)), "tensor a of .* is damaged: it has a field of the unknown kind 3"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_tensor_that_is_not_as_it_must_be_is_refused_by_its_name(tmp_path, entry, sentence):
    with pytest.raises(WeightsError, match=sentence):
        read_tensorflow(written(tmp_path, [(b"a", entry)]))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_with_the_tensors_name(tmp_path, number):
    content = struct.pack("<2f", 1, number)
    prefix = written(tmp_path, [(b"a", tensor(content=content))], data=content)
    with pytest.raises(WeightsError, match=r"tensor a of .* holds a number that is not finite"):
        read_tensorflow(prefix)


def test_a_double_that_single_precision_cannot_hold_is_refused(tmp_path):
    content = struct.pack("<d", 1e300)
    prefix = written(tmp_path, [(b"a", tensor((1,), kind=2, content=content))], data=content)
    with pytest.raises(WeightsError, match=r"tensor a of .* holds a number that is not finite"):
        read_tensorflow(prefix)


def test_many_tensors_over_the_same_bytes_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"tensor b of .* lie outside the file or in another"):
        read_tensorflow(written(tmp_path, [(b"a", tensor()), (b"b", tensor())]))


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (b"", "names 0 files of data"),
        (field(1, -1), "names -1 files of data"),
        (field(1, 1 << 40), "names 1099511627776 files of data"),
        (field(1, 1) + field(2, 1), "big end first"),
    ],
)
def test_a_header_that_is_not_as_it_must_be_is_refused(tmp_path, header, sentence):
    with pytest.raises(WeightsError, match=f"x.index .*{sentence}"):
        read_tensorflow(written(tmp_path, [(b"a", tensor())], header=header))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no index of a TensorFlow checkpoint, or is cut short"),
        (b"\x80\x04pickle" * 20, "is no index of a TensorFlow checkpoint"),
        (table([(b"", b"")], compression=1), "is compressed"),
        (table([(b"b", b""), (b"a", b"")]), "its names are not in order"),
        (table([(b"a", b""), (b"a", b"")]), "its names are not in order"),
        (table([], raw=struct.pack("<I", 9)), "a block of it has no entries"),
        (
            table([], raw=b"\x05\x01\x01ab" + struct.pack("<II", 0, 1)),
            "a name in it is too long or has no beginning",
        ),
        (table([], raw=b"\0\x7f\x01ab" + struct.pack("<II", 0, 1)), "is cut short or damaged"),
        (table([(b"%05d" % each, b"") for each in range(10_001)]), "lists more than 10000 tensors"),
        (bytes(40) + struct.pack("<Q", 0xDB4775248B80FB57), "a block of it lies outside the file"),
        (b"\xff" * 40 + struct.pack("<Q", 0xDB4775248B80FB57), "a number in it has no end"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_index_that_is_not_as_it_must_be_is_refused_by_its_name(content, sentence):
    with pytest.raises(WeightsError, match=rf"it\.index .*{sentence}"):
        read_table(content, "it.index")


def test_half_a_shard_is_refused_with_the_tensors_name(tmp_path):
    prefix = copied(tmp_path)
    shard = Path(f"{prefix}.data-00000-of-00001")
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match=r"the tensor \S+ of .*data-00000-of-00001 is cut short"):
        read_tensorflow(prefix)


def test_a_shard_that_is_missing_is_named(tmp_path):
    prefix = copied(tmp_path)
    Path(f"{prefix}.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match=r"model\.ckpt-1234\.data-00000-of-00001, which is missing"):
        read_tensorflow(prefix)


def test_a_checkpoint_that_is_not_there_is_refused_in_words(tmp_path):
    with pytest.raises(WeightsError, match=r"give its prefix, its \.index, its folder or a \.tar of it"):
        read_tensorflow(tmp_path / "nothing")


def test_a_folder_without_a_checkpoint_is_refused_in_words(tmp_path):
    with pytest.raises(WeightsError, match=r"holds no TensorFlow checkpoint: no \.index file is in it"):
        read_tensorflow(tmp_path)


def test_another_file_is_refused_in_words(tmp_path):
    (tmp_path / "weights.pkl").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(WeightsError, match=r"weights\.pkl is no TensorFlow checkpoint"):
        read_tensorflow(tmp_path / "weights.pkl")


@pytest.mark.parametrize(
    "name",
    ["../x.index", "a/../../x.index", "/tmp/x.index", "..\\x.index", "C:x.index", "C:\\x.index", "a\nb.index"],
)
def test_an_archive_with_a_path_that_leads_out_of_it_is_refused(tmp_path, name):
    archive = packed(tmp_path / "a.tar", [(name, b""), *parts()])
    with pytest.raises(WeightsError, match="may lead out of it"):
        read_tensorflow(archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE])
def test_an_archive_with_a_link_a_pipe_or_holes_is_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("x.index")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(WeightsError, match=r"a\.tar holds 'x\.index', which is no plain file"):
        read_tensorflow(tmp_path / "a.tar")


@pytest.mark.parametrize("size", [(1 << 33) + 1, 1 << 60, -1, -(1 << 40)])
def test_an_archive_with_an_absurd_size_is_refused(tmp_path, size):
    member = tarfile.TarInfo("x.index")
    member.size = size
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(WeightsError, match=r"a\.tar is larger than any checkpoint"):
        read_tensorflow(tmp_path / "a.tar")


def test_a_header_that_unpacks_to_much_takes_no_memory(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("x")
        member.type, member.size = tarfile.XHDTYPE, 32 << 20
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"a\.tar\.gz is no TensorFlow checkpoint"):
            read_tensorflow(tmp_path / "a.tar.gz")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_two_members_of_one_name_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"a\.tar holds model\.ckpt-1234\S+ twice"):
        read_tensorflow(packed(tmp_path / "a.tar", [*parts("one/"), *parts("two/")]))


def test_messages_about_an_archive_name_the_archive(tmp_path):
    archive = packed(tmp_path / "a.tar", parts()[1:])
    with pytest.raises(WeightsError, match=r"a\.tar/model\.ckpt-1234\.data-00000-of-00001, which is missing"):
        read_tensorflow(archive)


# Whatever happens to the bytes ends in a WeightsError or in a checkpoint.

ANY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@st.composite
def damage(draw):
    """A change to some bytes: some of them others, or an end that is missing."""
    places = draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4))
    kept = draw(st.just(1.0) | st.floats(0, 1))

    def change(content):
        content = bytearray(content)
        for place, bits in places:
            content[int(place * len(content))] ^= bits
        return bytes(content[: int(kept * len(content))])

    return change


@ANY_FOLDER
@given(damage(), damage())
def test_a_damaged_checkpoint_is_refused_or_whole(tmp_path, of_index, of_shard):
    prefix = copied(tmp_path)
    for part, change in (("index", of_index), ("data-00000-of-00001", of_shard)):
        path = Path(f"{prefix}.{part}")
        path.write_bytes(change(path.read_bytes()))
    with suppress(WeightsError):
        tensors, saved = read_tensorflow(prefix).tensors, expected("melody")[0]
        for name in tensors:
            np.testing.assert_array_equal(tensors[name], saved[name])


@ANY_FOLDER
@given(damage())
def test_a_damaged_archive_is_refused_or_read(tmp_path, change):
    (tmp_path / "a.tar.gz").write_bytes(change((FIXTURE / "trio.tar.gz").read_bytes()))
    with suppress(WeightsError):
        read_tensorflow(tmp_path / "a.tar.gz")


@ANY_FOLDER
@given(damage())
def test_a_damaged_archive_that_is_not_compressed_is_refused_or_read(tmp_path, change):
    (tmp_path / "a.tar").write_bytes(change(packed(tmp_path / "whole.tar", parts()).read_bytes()))
    with suppress(WeightsError):
        read_tensorflow(tmp_path / "a.tar")


@ANY_FOLDER
@given(damage(), damage())
def test_a_damaged_block_with_a_right_checksum_is_refused_or_read(tmp_path, of_header, of_entries):
    entries = b"".join(
        varint(0) + varint(len(name)) + varint(len(entry)) + name + entry
        for name, entry in ((b"", of_header(ONE_SHARD)), (b"a/kernel", tensor()), (b"b", tensor((1,), size=4)))
    )
    prefix = written(tmp_path, [(b"a", tensor())])
    (tmp_path / "x.index").write_bytes(table([], raw=of_entries(entries) + struct.pack("<II", 0, 1)))
    with suppress(WeightsError):
        assert all(array.size <= 2 for array in read_tensorflow(prefix).tensors.values())


@ANY_FOLDER
@given(st.dictionaries(st.integers(1, 9), st.integers(-(1 << 63), (1 << 64) - 1) | st.binary(max_size=20)))
def test_an_entry_of_any_fields_is_refused_or_read(tmp_path, values):
    entry = b"".join(field(number, value) for number, value in values.items())
    with suppress(WeightsError):
        assert all(
            array.size <= 2 for array in read_tensorflow(written(tmp_path, [(b"a", entry)])).tensors.values()
        )
