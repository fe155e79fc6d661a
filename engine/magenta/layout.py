"""Which network published tensors are of, and the name and layout of each in ours.

A published LSTM has one kernel [input and own state, 4·hidden], its gates in the order i, g, f, o, and adds 1 to
the forget gate when it runs; PyTorch's has two, transposed, in the order i, f, g, o. Names: Magenta 2.1.4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import WeightsError
from engine.magenta.converter import CHORDS
from engine.magenta.published import Array, Published

CELL = "cell_{}/lstm_cell/"
DIRECTION = "bidirectional_rnn/{}/multi_rnn_cell/" + CELL.format(0)
DECODER_CELL = "multi_rnn_cell/" + CELL
FLAT_ENCODER, ENCODER_LEVEL = "encoder/cell_{}/", "encoder/hierarchical_level_{}/cell_0/"
CONDUCTOR = "decoder/hierarchical_level_0/"

MELODY, SUBSETS, DRUMS, KIT, MULTITRACK, GROOVE = 90, 512, 9, 61, 490, 27
TRIO = (MELODY, MELODY, SUBSETS)
REPRESENTATIONS = {
    (False, (MELODY,)): "melody",
    (False, (SUBSETS,)): "drums",
    (True, (DRUMS,)): "drums",
    (True, (KIT,)): "kit",
    (False, TRIO): "trio",
    (False, (MULTITRACK,)): "multitrack",
    (False, (GROOVE,)): "groove",
}
"""What a decoder writes, by whether it has a NADE and the sizes of its parts."""

HITS = 9
"""The first columns of a groove, and the control of groove models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A published network's sizes; most fields are those of a SequenceShape.

    parts are the beginnings of its decoders' names. hierarchical: whether its encoder is, whose sizes are empty if
    there is none; read: how many numbers it reads at a step.
    """

    representation: str
    parts: tuple[str, ...]
    alphabet: tuple[int, ...]
    z: int
    encoder: tuple[int, ...]
    hierarchical: bool
    read: int
    decoder: tuple[int, ...]
    conductor: tuple[int, ...]
    nade: int
    control: int

    @property
    def shape(self) -> dict[str, Any]:
        """The sizes in the fields of a GrooveShape or of a SequenceShape, but for what only a hierarchy has."""
        if self.representation == "groove":
            return {
                "encoder_hidden": self.encoder[0],
                "decoder_hidden": self.decoder[0],
                "decoder_layers": len(self.decoder),
                "z": self.z,
                "hits_control": bool(self.control),
            }
        same = ("alphabet", "z", "encoder", "decoder", "conductor", "nade", "control")
        flat = {"encoder_levels": self.hierarchical, "levels": self.conductor}
        return {
            **{field: getattr(self, field) for field in same},
            **{field: () for field, hierarchy in flat.items() if not hierarchy},
            **({"roll": self.roll} if self.encoder else {}),
            "split": len(self.parts) > 1,
        }

    @property
    def roll(self) -> bool:
        """Whether the encoder reads the bits of drums, and one for none."""
        bits = {"drums": DRUMS, "kit": KIT}.get(self.representation)
        return bits is not None and self.read == bits + 1 + self.control

    @property
    def encoder_input_size(self) -> int:
        """What the encoder must read at a step."""
        return self.read if self.roll else sum(self.alphabet) + self.control


def read_network(published: Published) -> Network:
    """What network the tensors are of, from their names and some of their shapes."""
    conductor = _hidden(published, CONDUCTOR + CELL)
    core = "core_decoder/" if conductor else ""
    split = published.count(core + "core_decoder_{}/decoder/")
    parts = tuple(f"{core}core_decoder_{number}/decoder/" for number in range(split)) or (f"{core}decoder/",)
    nade = published.shape(parts[0] + "nade/w_enc", 3)[2] if published.has(parts[0] + "nade/") else 0
    representation, alphabet = _music(published, parts, nade)
    start = CONDUCTOR + "initial_state/kernel" if conductor else parts[0] + "z_to_initial_state/kernel"
    z, decoder = published.shape(start, 2)[0], _hidden(published, parts[0] + DECODER_CELL, least=1)
    first = parts[0] + DECODER_CELL.format(0) + "kernel"
    known = (alphabet[0] if split else sum(alphabet)) + (conductor[-1] if conductor else z) + decoder[0]
    hierarchical, level, encoder = _encoder(published, representation)
    if representation == "groove" and (conductor or hierarchical or len(encoder) > 1):
        raise WeightsError(f"the tensor {first} is of a groove model that is not one flat layer and a flat decoder")
    return Network(
        representation=representation,
        parts=parts,
        alphabet=alphabet,
        z=z,
        encoder=encoder,
        hierarchical=hierarchical,
        read=published.shape(level.format(0) + "kernel", 2)[0] - encoder[0] if encoder else 0,
        decoder=decoder,
        conductor=conductor,
        nade=nade,
        control=_control(first, published.shape(first, 2)[0] - known, representation),
    )


def take_tensors(network: Network, published: Published) -> dict[str, Array]:
    """All tensors of a network in our names; a WeightsError names one that is missing or misshapen."""
    tensors = _take_encoder(network, published) if network.encoder else {}
    z, above = network.z, "decoder."
    if network.conductor:
        cells, start = CONDUCTOR + CELL, CONDUCTOR + "initial_state/"
        tensors |= _take_cells(published, cells, start, above, 1, z, network.conductor)
        z, above = network.conductor[-1], above + "core."
    fed = network.alphabet if len(network.parts) > 1 else (sum(network.alphabet),)
    for number, (part, outputs) in enumerate(zip(network.parts, fed, strict=True)):
        ours = f"{above}parts.{number}." if len(fed) > 1 else above
        cells, start = part + DECODER_CELL, part + "z_to_initial_state/"
        tensors |= _take_cells(published, cells, start, ours, outputs + z + network.control, z, network.decoder)
        tensors |= _take_dense(
            published, f"{part}output_projection/", f"{ours}output.", network.decoder[-1], outputs + network.nade
        )
        if network.nade:
            encode = published.take(f"{part}nade/w_enc", outputs, 1, network.nade)
            decode = published.take(f"{part}nade/w_dec_t", outputs, network.nade, 1)
            tensors |= {f"{ours}nade.encode": encode[:, 0], f"{ours}nade.decode": decode[:, :, 0]}
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def _hidden(published: Published, cells: str, *, least: int = 0) -> tuple[int, ...]:
    """The hidden size of each layer, or level, of a name with a number."""
    count = max(published.count(cells), least)
    return tuple(published.shape(cells.format(number) + "kernel", 2)[1] // 4 for number in range(count))


def _music(published: Published, parts: tuple[str, ...], nade: int) -> tuple[str, tuple[int, ...]]:
    """The name of what a decoder writes, and how many tokens each part has."""
    written = tuple(published.shape(part + "output_projection/bias", 1)[0] - nade for part in parts)
    alphabet = TRIO if written == (sum(TRIO),) else written
    if (nade > 0, alphabet) not in REPRESENTATIONS:
        raise WeightsError(
            f"the tensor {parts[0]}output_projection/bias is for {' + '.join(map(str, written))} outputs a step; "
            "known are 90 (melody), 512 (drums), 90 + 90 + 512 (trio), 490 (multitrack), 27 (groove), and 9 or 61 "
            "beside a NADE's"
        )
    return REPRESENTATIONS[nade > 0, alphabet], alphabet


def _control(first: str, control: int, representation: str) -> int:
    """What the tensor that reads a step has room for, besides the token before, z and its own state."""
    if control not in (0, HITS if representation == "groove" else CHORDS):
        raise WeightsError(
            f"the tensor {first} is for a control of {control} numbers a step; known are 0, {CHORDS} (chords) and, "
            f"of a groove, {HITS} (hits)"
        )
    return control


def _encoder(published: Published, representation: str) -> tuple[bool, str, tuple[int, ...]]:
    """Whether it is hierarchical, the name of a layer's or level's cell, and the size of each; none without it."""
    hierarchical = published.has("encoder/hierarchical_level_")
    level = (ENCODER_LEVEL if hierarchical else FLAT_ENCODER) + DIRECTION.format("fw")
    if not published.has("encoder/") and representation != "groove":
        return False, level, ()
    hidden = _hidden(published, level, least=2 if hierarchical else 1)
    if hierarchical and len(hidden) > 2:
        raise WeightsError(f"the tensor {level.format(2)}kernel is of a third level; known are two")
    return hierarchical, level, hidden


def _take_encoder(network: Network, published: Published) -> dict[str, Array]:
    """Its layers or levels, mu, and sigma, which is not in every release: then zeros."""
    tensors: dict[str, Array] = {}
    reads = network.encoder_input_size
    for number, hidden in enumerate(network.encoder):
        theirs = (ENCODER_LEVEL if network.hierarchical else FLAT_ENCODER).format(number)
        ours, layer = (f"encoder.levels.{number}.", 0) if network.hierarchical else ("encoder.lstm.", number)
        for direction, suffix in (("fw", ""), ("bw", "_reverse")):
            cell = theirs + DIRECTION.format(direction)
            tensors |= _take_lstm(published, cell, ours, f"_l{layer}{suffix}", reads, hidden)
        reads = 2 * hidden
    if network.representation == "groove" and network.control:
        tensors |= {name: _heard_once(tensors[name]) for name in tensors if "weight_ih_l0" in name}
    tensors |= _take_dense(published, "encoder/mu/", "encoder.mu.", reads, network.z)
    if published.has("encoder/sigma/"):
        return tensors | _take_dense(published, "encoder/sigma/", "encoder.sigma.", reads, network.z)
    zeros = {f"encoder.sigma.{name}": np.zeros_like(tensors[f"encoder.mu.{name}"]) for name in ("weight", "bias")}
    return tensors | zeros


def _heard_once(weight: Array) -> Array:
    """[4·hidden, groove and hits] -> [4·hidden, groove]: the hits that are a control are those of the groove."""
    heard = weight[:, :-HITS].copy()
    heard[:, :HITS] += weight[:, -HITS:]
    return heard


def _take_cells(
    published: Published, cells: str, start: str, ours: str, inputs: int, z: int, hidden: tuple[int, ...]
) -> dict[str, Array]:
    """A decoder's or conductor's layers, and what they start from; all layers are as large as the first."""
    states = 2 * hidden[0] * len(hidden)
    tensors = _take_dense(published, start, f"{ours}initial_state.dense.", z, states)
    for layer in range(len(hidden)):
        cell, below = cells.format(layer), hidden[0] if layer else inputs
        tensors |= _take_lstm(published, cell, f"{ours}lstm.", f"_l{layer}", below, hidden[0])
    return tensors


def _take_lstm(
    published: Published, theirs: str, ours: str, suffix: str, inputs: int, hidden: int
) -> dict[str, Array]:
    kernel = _in_torch_order(published.take(f"{theirs}kernel", inputs + hidden, 4 * hidden))
    bias = _in_torch_order(published.take(f"{theirs}bias", 4 * hidden))
    bias[hidden : 2 * hidden] += 1
    return {
        f"{ours}weight_ih{suffix}": kernel[:inputs].T,
        f"{ours}weight_hh{suffix}": kernel[inputs:].T,
        f"{ours}bias_ih{suffix}": bias,
        f"{ours}bias_hh{suffix}": np.zeros_like(bias),
    }


def _in_torch_order(gates: Array) -> Array:
    """The last axis i, g, f, o -> i, f, g, o."""
    i, g, f, o = np.split(gates, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


def _take_dense(published: Published, theirs: str, ours: str, inputs: int, outputs: int) -> dict[str, Array]:
    kernel, bias = published.take(f"{theirs}kernel", inputs, outputs), published.take(f"{theirs}bias", outputs)
    return {f"{ours}weight": kernel.T, f"{ours}bias": bias}
