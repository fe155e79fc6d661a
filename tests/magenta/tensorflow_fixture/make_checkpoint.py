"""Make the checkpoints of this folder: TensorFlow writes them, and TensorFlow says what they compute.

python3.11 -m venv tf && tf/bin/pip install tensorflow-cpu==2.16.2 && tf/bin/python make_checkpoint.py

Variables have the published names, random values (whole 64ths, so that the expectation packs well) and small
sizes. melody: cat-mel_2bar with Adam's slots and a step; trio: hierdec-trio, in a .tar.gz; kinds: one variable of
each type of number, in two shards. The cell is the op that the published models run, LSTMBlockCell; the rest is
written from "Layers" of MusicVAE, arXiv 1803.05428, and the shapes of the published variables.
"""

import tarfile
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
RANDOM = np.random.default_rng(6)
v1 = tf.compat.v1


def values(*shape, reach=32):
    return (RANDOM.integers(-reach, reach + 1, shape) / 64).astype(np.float32)


def cell(name, inputs, hidden, reach=32):
    return {f"{name}/kernel": values(inputs + hidden, 4 * hidden, reach=reach), f"{name}/bias": values(4 * hidden)}


def dense(name, inputs, outputs, reach=32):
    return {f"{name}/kernel": values(inputs, outputs, reach=reach), f"{name}/bias": values(outputs)}


def encoder(depth, hidden, layers, z):
    tensors = {}
    for layer in range(layers):
        for way in ("fw", "bw"):
            name = f"encoder/cell_{layer}/bidirectional_rnn/{way}/multi_rnn_cell/cell_0/lstm_cell"
            tensors |= cell(name, 2 * hidden if layer else depth, hidden)
    return tensors | dense("encoder/mu", 2 * hidden, z) | dense("encoder/sigma", 2 * hidden, z)


def decoder(name, depth, hidden, layers, z):
    tensors = dense(f"{name}/z_to_initial_state", z, 2 * layers * hidden, reach=96)
    for layer in range(layers):
        each = f"{name}/multi_rnn_cell/cell_{layer}/lstm_cell"
        tensors |= cell(each, hidden if layer else depth + z, hidden, reach=128)
    return tensors | dense(f"{name}/output_projection", hidden, depth, reach=128)


def conductor(hidden, layers, z):
    tensors = dense("decoder/hierarchical_level_0/initial_state", z, 2 * layers * hidden, reach=96)
    for layer in range(layers):
        each = f"decoder/hierarchical_level_0/cell_{layer}/lstm_cell"
        tensors |= cell(each, hidden if layer else 1, hidden, reach=96)
    return tensors


# What TensorFlow computes.


def project(tensors, name, values):
    return tf.matmul(values, tensors[f"{name}/kernel"]) + tensors[f"{name}/bias"]


def step(tensors, name, values, state):
    c, h = state
    nothing = tf.zeros(c.shape[1:])
    _, c, _, _, _, _, h = tf.raw_ops.LSTMBlockCell(
        x=values, cs_prev=c, h_prev=h, w=tensors[f"{name}/kernel"], b=tensors[f"{name}/bias"],
        wci=nothing, wcf=nothing, wco=nothing, forget_bias=1.0, cell_clip=-1.0, use_peephole=False,
    )  # fmt: skip
    return c, h


def encode(tensors, layers, sequence):
    """(batch, step, depth) -> mu, sigma (batch, z)."""
    inputs = tf.unstack(sequence, axis=1)
    for layer in range(layers):
        ways = []
        for way in ("fw", "bw"):
            name = f"encoder/cell_{layer}/bidirectional_rnn/{way}/multi_rnn_cell/cell_0/lstm_cell"
            hidden = tensors[f"{name}/bias"].shape[0] // 4
            state = (tf.zeros((len(sequence), hidden)),) * 2
            outputs = []
            for each in inputs if way == "fw" else inputs[::-1]:
                state = step(tensors, name, each, state)
                outputs.append(state[1])
            ways.append(outputs)
        inputs = [tf.concat(both, 1) for both in zip(ways[0], ways[1][::-1], strict=True)]
    last = tf.concat((ways[0][-1], ways[1][-1]), 1)
    return project(tensors, "encoder/mu", last), tf.nn.softplus(project(tensors, "encoder/sigma", last))


def initial_states(tensors, name, layers, z):
    """c and h of each layer in turn."""
    parts = tf.split(tf.tanh(project(tensors, name, z)), 2 * layers, axis=1)
    return list(zip(parts[::2], parts[1::2], strict=True))


def decode(tensors, name, layers, z, steps, token):
    """The likeliest token of each step, (batch, step), and how far the second was behind at the closest."""
    states, tokens, closest = initial_states(tensors, f"{name}/z_to_initial_state", layers, z), [], np.inf
    for _ in range(steps):
        values = tf.concat((token, z), 1)
        for layer in range(layers):
            states[layer] = step(tensors, f"{name}/multi_rnn_cell/cell_{layer}/lstm_cell", values, states[layer])
            values = states[layer][1]
        logits = project(tensors, f"{name}/output_projection", values)
        best = np.sort(logits.numpy(), axis=1)
        closest = min(closest, float((best[:, -1] - best[:, -2]).min()))
        tokens.append(tf.argmax(logits, 1))
        token = tf.one_hot(tokens[-1], logits.shape[1])
    return tf.stack(tokens, 1).numpy(), closest


def decode_bars(tensors, layers, alphabet, z, bars, steps):
    """(batch, bar * step, part): each bar starts from the conductor and the last token of the bar before."""
    states = initial_states(tensors, "decoder/hierarchical_level_0/initial_state", layers, z)
    last, played, closest = [tf.zeros((len(z), size)) for size in alphabet], [], np.inf
    for _ in range(bars):
        values = tf.zeros((len(z), 1))
        for layer in range(layers):
            name = f"decoder/hierarchical_level_0/cell_{layer}/lstm_cell"
            states[layer] = step(tensors, name, values, states[layer])
            values = states[layer][1]
        parts = []
        for part, size in enumerate(alphabet):
            name = f"core_decoder/core_decoder_{part}/decoder"
            tokens, margin = decode(tensors, name, layers, values, steps, last[part])
            last[part], closest = tf.one_hot(tokens[:, -1], size), min(closest, margin)
            parts.append(tokens)
        played.append(np.stack(parts, 2))
    return np.concatenate(played, 1), closest


def one_hot(tokens, alphabet):
    return tf.concat([tf.one_hot(tokens[:, :, part], size) for part, size in enumerate(alphabet)], 2)


# What it writes.


def save(prefix, tensors, *, global_step=None, slots=(), sharded=False):
    """One Saver's checkpoint; slots are the ends of the names that get Adam's variables."""
    prefix.parent.mkdir(exist_ok=True)
    with tf.Graph().as_default():
        made = {}
        for number, (name, value) in enumerate(tensors.items()):
            with tf.device(f"/cpu:{number % 2 if sharded else 0}"):
                made[name] = v1.get_variable(name, initializer=value, use_resource=False)
        if slots:
            trained = [made[name] for name in tensors if name.endswith(slots)]
            step_variable = v1.train.get_or_create_global_step()
            loss = tf.add_n([tf.reduce_sum(each) for each in trained])
            v1.train.AdamOptimizer().minimize(loss, var_list=trained, global_step=step_variable)
        with v1.Session(config=v1.ConfigProto(device_count={"CPU": 2})) as session:
            session.run(v1.global_variables_initializer())
            if slots:
                session.run(step_variable.assign(global_step))
            v1.train.Saver(sharded=sharded, save_relative_paths=True).save(
                session, str(prefix), global_step=global_step, write_meta_graph=False
            )


def make_melody():
    tensors = encoder(90, 16, 1, 4) | decoder("decoder", 90, 8, 2, 4)
    save(
        HERE / "melody" / "model.ckpt",
        tensors,
        global_step=1234,
        slots=("decoder/output_projection/kernel", "bias"),
    )
    tokens = np.where(RANDOM.random((3, 32, 1)) < 0.6, 0, RANDOM.integers(1, 90, (3, 32, 1)))
    mu, sigma = encode(tensors, 1, one_hot(tokens, (90,)))
    z = values(4, 4, reach=128)
    decoded, margin = decode(tensors, "decoder", 2, z, 32, tf.zeros((4, 90)))
    expect("melody", tensors, tokens, mu, sigma, z, decoded[:, :, None], margin)


def make_trio():
    alphabet = (90, 90, 512)
    tensors = encoder(692, 2, 2, 3) | conductor(2, 2, 3)
    for part, size in enumerate(alphabet):
        tensors |= decoder(f"core_decoder/core_decoder_{part}/decoder", size, 2, 2, 2)
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "trio.ckpt", tensors)
        with tarfile.open(HERE / "trio.tar.gz", "w:gz") as tar:
            for path in sorted(Path(folder).glob("trio.ckpt.*")):
                tar.add(path, path.name)
    tokens = RANDOM.integers(0, alphabet, (2, 256, 3))
    mu, sigma = encode(tensors, 2, one_hot(tokens, alphabet))
    z = values(3, 3, reach=128)
    expect("trio", tensors, tokens, mu, sigma, z, *decode_bars(tensors, 2, alphabet, z, 16, 16))


def make_kinds():
    tensors = {
        "double": values(3, 2).astype(np.float64),
        "half": values(2, 3).astype(np.float16),
        "bfloat": values(5).astype(tf.bfloat16.as_numpy_dtype),
        "single": values(4),
        "count": np.int64(7),
        "words": np.array([b"no", b"weight"]),
    }
    save(HERE / "kinds" / "model.ckpt", tensors, sharded=True)
    numbers = {name: tensors[name].astype(np.float32) for name in ("double", "half", "bfloat", "single")}
    np.savez_compressed(HERE / "kinds.npz", **numbers)


def expect(name, tensors, tokens, mu, sigma, z, decoded, margin):
    """Write what the reader and the model have to find; a near tie would make equal tokens a matter of luck."""
    assert margin > 1e-5, margin
    assert len(np.unique(decoded[:, :, 0])) > 4, np.unique(decoded)
    computed = {"tokens": tokens, "mu": mu, "sigma": sigma, "z": z, "decoded": decoded}
    np.savez_compressed(
        HERE / f"{name}.npz", **tensors, **{f"computed/{key}": each for key, each in computed.items()}
    )


if __name__ == "__main__":
    make_melody()
    make_trio()
    make_kinds()
