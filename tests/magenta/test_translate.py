from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import WeightsError
from engine.magenta.checkpoint import Checkpoint
from engine.magenta.converter import read_converter
from engine.magenta.translate import Translation, translate
from tests.magenta.published import SHAPES, Shape, Tensors, random_tensors

KERNEL = "decoder/multi_rnn_cell/cell_1/lstm_cell/kernel"


def translated(shape: Shape, *, named: str = "", tensors: Tensors | None = None, **facts: Any) -> Translation:
    return translate(Checkpoint(tensors or random_tensors(shape), shape.config | facts), named=named)


def refusal(shape: Shape, *, tensors: Tensors | None = None, **facts: Any) -> str:
    with pytest.raises(WeightsError) as refused:
        translated(shape, tensors=tensors, **facts)
    return str(refused.value)


def with_args(kind: str, **args: Any) -> Shape:
    return replace(SHAPES[kind], args=SHAPES[kind].args | args)


PUBLISHED = {
    "cat-mel_2bar_small": replace(SHAPES["melody"], encoder=(512,), decoder=(256, 256), z=256),
    "cat-drums_2bar_small": replace(SHAPES["drums"], encoder=(512,), decoder=(256, 256), z=256),
    "nade-drums_2bar_reduced": replace(SHAPES["nade"], encoder=(1024,), decoder=(512, 512), z=256, nade=128),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_checkpoint_of_a_published_size_is_that_configuration(name: str) -> None:
    found = translated(PUBLISHED[name])
    assert (found.config.name, dict(found.sizes)) == (name, {})


KINDS = {
    "chords": "cat-mel_2bar_med_chords",
    "nade": "nade-drums_2bar_reduced",
    "melody of 16 bars": "hier-mel_16bar",
    "trio": "hier-trio_16bar",
    "flat trio": "flat-trio_16bar",
    "multitrack": "hier-multiperf_vel_1bar_med",
    "multitrack chords": "hier-multiperf_vel_1bar_med_chords",
}


@pytest.mark.parametrize(("kind", "config"), KINDS.items())
def test_another_size_is_a_configuration_of_its_kind(kind: str, config: str) -> None:
    found = translated(SHAPES[kind])
    assert found.config.name == config
    assert found.sizes["decoder"] == (24, 24)


def test_the_sizes_that_differ_are_told() -> None:
    found = translated(replace(PUBLISHED["cat-mel_2bar_small"], z=128))
    assert dict(found.sizes) == {"z": 128}


@pytest.mark.parametrize(
    ("kind", "bars"), [("melody", 2), ("melody of 16 bars", 16), ("trio", 4), ("multitrack", 1)]
)
def test_the_data_converter_tells_the_bars(kind: str, bars: int) -> None:
    assert translated(SHAPES[kind]).bars == bars


def test_without_a_configuration_the_bars_are_those_of_the_nearest() -> None:
    found = translate(Checkpoint(random_tensors(SHAPES["melody of 16 bars"])))
    assert (found.config.name, found.bars) == ("hier-mel_16bar", 16)


@pytest.mark.parametrize(("kind", "chained"), [("melody", False), ("trio", True), ("multitrack", True)])
def test_hierarchies_are_chained(kind: str, chained: bool) -> None:
    assert translated(SHAPES[kind]).chained is chained


GROOVES = [
    ({"humanize": True}, "", "groovae_2bar_humanize"),
    ({"tapify": True}, "", "groovae_2bar_tap_fixed_velocity"),
    (
        {"tapify": True},
        "groovae_2bar_tap_fixed_velocity_note_dropout",
        "groovae_2bar_tap_fixed_velocity_note_dropout",
    ),
    ({}, "", "groovae_4bar"),
    ({}, "js/groovae_2bar_add_closed_hh", "groovae_2bar_add_closed_hh"),
    ({"humanize": True}, "groovae_4bar", "groovae_2bar_humanize"),
]


@pytest.mark.parametrize(("args", "named", "config"), GROOVES)
def test_a_groove_model_is_what_its_converter_and_its_name_say(
    args: dict[str, Any], named: str, config: str
) -> None:
    assert translated(with_args("groove", **args), named=named).config.name == config


def test_without_a_configuration_a_groove_model_is_what_it_is_called() -> None:
    tensors = random_tensors(SHAPES["groove"])
    assert translate(Checkpoint(tensors), named="groovae_2bar_humanize.tar").config.name == "groovae_2bar_humanize"


def test_hits_as_a_control_are_added_to_those_of_the_groove() -> None:
    kernel = "encoder/cell_0/bidirectional_rnn/fw/multi_rnn_cell/cell_0/lstm_cell/kernel"
    tensors = random_tensors(replace(SHAPES["groove"], control=9))
    found = translate(Checkpoint(tensors))
    assert found.config.name == "groovae_2bar_hits_control"
    weight = found.tensors["encoder.lstm.weight_ih_l0"]
    assert np.allclose(weight[:20, :9].T, tensors[kernel][:9, :20] + tensors[kernel][27:36, :20])


def test_a_checkpoint_without_an_encoder_does_all_but_encode() -> None:
    tensors = {name: each for name, each in random_tensors(SHAPES["melody"]).items() if "encoder" not in name}
    found = translated(SHAPES["melody"], tensors=tensors)
    assert found.verbs == ("sample", "interpolate", "vary", "decode")
    assert found.sizes["encoder"] == ()


def test_a_checkpoint_without_sigma_says_so() -> None:
    found = translated(SHAPES["melody"])
    assert not found.tensors["encoder.sigma.weight"].any()
    assert "no sigma" in found.remarks[0]


def test_sigma_is_taken_where_it_is() -> None:
    tensors = random_tensors(SHAPES["melody"])
    tensors |= {f"encoder/sigma/{part}": tensors[f"encoder/mu/{part}"] for part in ("kernel", "bias")}
    found = translated(SHAPES["melody"], tensors=tensors)
    assert np.array_equal(found.tensors["encoder.sigma.weight"], found.tensors["encoder.mu.weight"])
    assert not found.remarks


@pytest.mark.parametrize("name", ["global_step", "beta1_power", f"{KERNEL}/Adam", f"{KERNEL}/Adam_1"])
def test_what_an_optimiser_left_is_ignored(name: str) -> None:
    tensors = random_tensors(SHAPES["melody"]) | {name: np.zeros(1, np.float32)}
    assert len(translated(SHAPES["melody"], tensors=tensors).tensors) == len(translated(SHAPES["melody"]).tensors)


@pytest.mark.parametrize("kind", SHAPES)
def test_each_missing_tensor_is_named(kind: str) -> None:
    complete = random_tensors(SHAPES[kind])
    for name in complete:
        tensors = {each: tensor for each, tensor in complete.items() if each != name}
        assert f"lacks the tensor {name}" in refusal(SHAPES[kind], tensors=tensors)


@pytest.mark.parametrize("kind", SHAPES)
def test_each_tensor_that_is_not_finite_is_named(kind: str) -> None:
    tensors = random_tensors(SHAPES[kind])
    for name, tensor in tensors.items():
        broken = tensor.copy()
        broken.flat[-1] = np.nan
        assert f"the tensor {name} holds a number that is not finite" in refusal(
            SHAPES[kind], tensors=tensors | {name: broken}
        )


@pytest.mark.parametrize("kind", SHAPES)
def test_each_misshapen_tensor_is_refused_by_a_tensors_name(kind: str) -> None:
    tensors = random_tensors(SHAPES[kind])
    for name, tensor in tensors.items():
        for misshapen in (tensor[..., :-1], tensor[None], tensor.ravel()[:0]):
            assert "the tensor " in refusal(SHAPES[kind], tensors=tensors | {name: misshapen})


def test_a_superfluous_tensor_is_named() -> None:
    tensors = random_tensors(SHAPES["melody"]) | {"control_preprocessing/x": np.zeros(1, np.float32)}
    assert "has not: control_preprocessing/x" in refusal(SHAPES["melody"], tensors=tensors)


def test_a_layer_that_is_missing_is_named() -> None:
    tensors = random_tensors(replace(SHAPES["melody"], decoder=(24, 24, 24)))
    left = {name: each for name, each in tensors.items() if "decoder/multi_rnn_cell/cell_1" not in name}
    assert f"lacks the tensor {KERNEL}" in refusal(SHAPES["melody"], tensors=left)


def test_a_third_level_is_refused_by_its_tensor() -> None:
    third = "encoder/hierarchical_level_2/cell_0/bidirectional_rnn/fw/multi_rnn_cell/cell_0/lstm_cell/kernel"
    tensors = random_tensors(SHAPES["trio"])
    tensors |= {third: tensors[third.replace("level_2", "level_1")]}
    assert f"the tensor {third} is of a third level" in refusal(SHAPES["trio"], tensors=tensors)


def test_a_groove_model_needs_its_encoder() -> None:
    tensors = {name: each for name, each in random_tensors(SHAPES["groove"]).items() if "encoder" not in name}
    assert "lacks the tensor encoder/cell_0/" in refusal(SHAPES["groove"], tensors=tensors)


def test_a_groove_model_with_a_conductor_is_refused() -> None:
    shape = replace(SHAPES["groove"], conductor=(18, 18), encoder=(20, 16))
    assert "of a groove model that is not one flat layer" in refusal(shape)


def test_another_checkpoint_is_refused() -> None:
    with pytest.raises(WeightsError, match="lacks the tensor decoder/"):
        translate(Checkpoint({"conv/kernel": np.zeros((3, 3), np.float32)}))


REFUSED = [
    (with_args("melody", minPitch=48), "minPitch of the MelodyConverter must be 21, not 48"),
    (with_args("trio", bassArgs={"minPitch": 21, "maxPitch": 90}), "maxPitch of the TrioConverter's bassArgs"),
    (with_args("trio", melArgs=None), "minPitch of the TrioConverter's melArgs must be 21, not None"),
    (with_args("groove", stepsPerQuarter=12), "stepsPerQuarter of the GrooveConverter must be 4, not 12"),
    (with_args("groove", splitInstruments=True), "splitInstruments of the GrooveConverter must be False"),
    (with_args("multitrack", totalSteps=48), "totalSteps of the MultitrackConverter must be 96"),
    (with_args("drums", pitchClasses=[[36]]), "pitchClasses must be the 9 or 61 published classes"),
    (with_args("melody", numSteps=12), "numSteps must be 1..64 bars of 16 steps, not 12"),
    (with_args("melody", numSteps="32"), "numSteps must be 1..64 bars of 16 steps, not '32'"),
    (with_args("melody", numSteps=1 << 40), "numSteps must be 1..64 bars of 16 steps, not 1099511627776"),
    (with_args("trio", numSegments=5), "numSegments must divide the 64 steps, not 5"),
    (with_args("trio", numSegments=0), "the network is hierarchical and needs numSegments"),
    (with_args("melody", numSegments=2), "the network is flat and has no numSegments"),
    (replace(SHAPES["melody"], converter="MelodyRhythmConverter"), "dataConverter must be one of MelodyConverter"),
    (replace(SHAPES["melody"], converter="DrumsConverter"), "speaks of drums, but the tensor decoder/output_proj"),
    (replace(SHAPES["melody"], outputs=(40,), read=40), "is for 40 outputs a step; known are 90 (melody)"),
    (replace(SHAPES["chords"], control=25), "is for a control of 25 numbers a step; known are 0, 49 (chords)"),
]


@pytest.mark.parametrize(("shape", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_music_that_cannot_be_held_is_refused_in_words(shape: Shape, sentence: str) -> None:
    assert sentence in refusal(shape)


FACTS = [
    ({"type": "MusicRNN"}, "describes a MusicRNN"),
    ({"chordEncoder": "PitchChordEncoder"}, "chordEncoder must be TriadChordEncoder"),
    ({"chordEncoder": "TriadChordEncoder"}, "speaks of a control of 49 numbers, but the tensor decoder/multi_rnn"),
    ({"conditionOnKey": True}, "conditionOnKey asks for a key as its control"),
    ({"useBooleanDecoder": True}, "useBooleanDecoder asks for"),
    ({"extraControls": [{"name": "x", "depth": 3}]}, "extraControls asks for"),
    ({"dataConverter": None}, "dataConverter must be one of"),
    ({"dataConverter": {"type": "MelodyConverter"}}, "dataConverter must be one of"),
    ({"dataConverter": {"type": ["MelodyConverter"], "args": {}}}, "dataConverter must be one of"),
]


@pytest.mark.parametrize(("facts", "sentence"), FACTS)
def test_a_configuration_of_other_models_is_refused_in_words(facts: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(SHAPES["melody"], **facts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    max_leaves=6,
)
CONVERTERS = ["MelodyConverter", "DrumsConverter", "TrioConverter", "MultitrackConverter", "GrooveConverter"]
ARGS = [
    "numSteps",
    "numSegments",
    "minPitch",
    "maxPitch",
    "melArgs",
    "drumsArgs",
    "pitchClasses",
    "stepsPerQuarter",
]


@given(
    kind=st.sampled_from(CONVERTERS),
    base=st.sampled_from(list(SHAPES)),
    changes=st.dictionaries(st.sampled_from(ARGS), JSON),
    facts=st.dictionaries(st.sampled_from(["type", "chordEncoder", "dataConverter", "conditionOnKey"]), JSON),
)
def test_whatever_a_configuration_says_it_is_understood_or_refused(
    kind: str, base: str, changes: dict[str, Any], facts: dict[str, Any]
) -> None:
    converter = {"type": kind, "args": SHAPES[base].args | changes}
    with suppress(WeightsError):
        told = read_converter({"type": "MusicVAE", "dataConverter": converter} | facts)
        assert told is not None
        assert told.steps % 16 == 0
