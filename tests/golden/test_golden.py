"""The networks, features and losses against PyTorch, librosa and python_speech_features.

golden.npz holds what these answered, in float64, to the weights and inputs that hashed.py makes
on both sides; make_golden.py writes it and is the only one that needs them.
"""

import json
from fractions import Fraction
from pathlib import Path

import hashed
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from lumiere_jax import losses, vgg
from lumiere_jax.audio.front_ends import log_mel, rows_of
from lumiere_jax.codes.recurrent import BLSTM
from lumiere_jax.figures.autoencoder import Decoder, Encoder
from lumiere_jax.frames.discriminators import DCGANDiscriminator
from lumiere_jax.frames.generators import UNet
from lumiere_jax.systems.lumierenet import seqpix2pix_losses, vae
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.temporal_gan.networks import Generator
from lumiere_jax.training.stage import TrainState

# Largest deviation, over the RMS of what is compared: about five times what float32 was seen to do
# against the references' float64. `pytest tests/golden -s` prints what it does here.
TOLERANCES = {
    "U-Net eval": 1e-5,
    "U-Net train": 3e-5,
    "U-Net averages": 2e-6,
    "DCGAN eval": 8e-6,
    "DCGAN train": 1.5e-5,
    "DCGAN averages": 2e-6,
    "BLSTM": 7e-6,
    "VAE encoder": 1e-5,
    "VAE decoder": 2e-6,
    "animator": 7e-6,
    "VGG-19, torchvision": 1.5e-5,
    "VGG-19, Caffe": 1.5e-5,
    "log-mel": 1e-5,
    "adversarial losses": 1e-7,
    "gradients of BLSTM": 1.5e-5,
    "gradients of VAE": 3e-5,
    "gradients of G": 1e-4,
    "gradients of P": 1.5e-4,
    "gradients of D": 1.5e-5,
}

with np.load(Path(__file__).with_name("golden.npz")) as file:
    GOLDEN = dict(file)
SHAPES = json.loads(str(GOLDEN.pop("shapes")))


def check(what, name, found, count=256):
    expected, found = GOLDEN[name], hashed.places(found, count)
    deviation = np.abs(found - expected).max() / np.sqrt(np.mean(expected**2))
    print(f"{what}: {deviation:.1e} ({name})")
    assert deviation <= TOLERANCES[what], (
        f"{name} is {deviation:.1e} of its RMS away from the reference, and {TOLERANCES[what]:.1e} "
        "is allowed: mend lumiere_jax, or, where the reference was at fault or what it is asked "
        "changed, run `uv run --script tests/golden/make_golden.py`"
    )


def parameters(name, kind=""):
    """The numbers that the reference had, under PyTorch's names and in its layout."""
    shapes = SHAPES[name + kind].items()
    return {key: hashed.parameter(f"{name}.{key}", tuple(shape)) for key, shape in shapes}


def to_flax(state):
    """PyTorch's names and layouts to variables; the vjp of this takes gradients back."""
    variables = {}
    for name, x in state.items():
        *path, leaf = name.split(".")
        if leaf.startswith("running"):
            path, leaf = ["batch_stats", *path], leaf.removeprefix("running_")
        else:
            leaf = {"weight": "kernel" if x.ndim > 1 else "scale"}.get(leaf, leaf)
            path = ["params", *path]
        if x.ndim > 1:  # (out, in, 4, 4), of a transposed convolution (in, out, 4, 4), or (out, in)
            x = x.transpose(*range(2, x.ndim), 1, 0)
        variables[*path, leaf] = x
    return traverse_util.unflatten_dict(variables)


def vae_to_flax(state, size):
    """`to_flax`, and the encoder's last map and the decoder's first from (c h w) to (h w c)."""
    start, end, state = size // 16, size // 8, dict(state)
    for head in ("encoder.mu.weight", "encoder.logvar.weight"):
        x = state[head].reshape(-1, 128, end, end)
        state[head] = x.transpose(0, 2, 3, 1).reshape(x.shape[0], -1)
    for leaf in ("decoder.dense.weight", "decoder.dense.bias"):
        x = state[leaf].reshape(256, start, start, -1)
        x = x.transpose(1, 2, 0, 3).reshape(256 * start**2, -1)
        state[leaf] = x if leaf.endswith("weight") else x[:, 0]
    return to_flax(state)


def blstm_to_flax(state):
    """PyTorch has its gates in our order, and two biases where one is enough."""
    found = to_flax({key: x for key, x in state.items() if key.startswith("code")})
    for name, direction in (("forward", "l0"), ("backward", "l0_reverse")):
        bias = state[f"lstm.bias_ih_{direction}"] + state[f"lstm.bias_hh_{direction}"]
        inputs = {"kernel": state[f"lstm.weight_ih_{direction}"].T, "bias": bias}
        recurrent = state[f"lstm.weight_hh_{direction}"].T
        found["params"][name] = {"inputs": inputs, "recurrent": recurrent}
    return found


def animator_to_flax(state):
    """Convolutions over time are dense layers of stacked steps here, and a GRU has one bias where
    PyTorch adds two that do the same."""
    parts = {"encoder": "encoder", "identity": "identity_encoder", "decoder": "decoder"}
    found = {}
    for name, x in state.items():
        module, leaf = name.split(".")
        part, _, layer = module.partition("_")
        if part not in parts:
            continue
        if leaf.startswith("running"):
            found["batch_stats", parts[part], layer, leaf.removeprefix("running_")] = x
            continue
        if x.ndim == 3:
            x = x.transpose(2, 1, 0).reshape(-1, len(x))
        elif layer == "start":
            x = x.transpose(0, 2, 3, 1).reshape(len(x), -1)
        elif x.ndim > 1:
            x = x.transpose(2, 3, 1, 0)
        elif leaf == "weight":
            leaf = "scale"
        found["params", parts[part], layer, {"weight": "kernel"}.get(leaf, leaf)] = x
    for module, ours, layers in (("context", "context", 2), ("noise", "noise_generator", 1)):
        for i in range(layers):
            kernels, biases = (
                {kind: np.split(state[f"{module}.{what}_{kind}_l{i}"], 3) for kind in ("ih", "hh")}
                for what in ("weight", "bias")
            )
            for g, gate in enumerate("rzn"):
                at = "params", ours, f"layer{i}"
                found[*at, f"i{gate}", "kernel"] = kernels["ih"][g].T
                found[*at, f"h{gate}", "kernel"] = kernels["hh"][g].T
                both = biases["ih"][g] + (biases["hh"][g] if gate != "n" else 0)
                found[*at, f"i{gate}", "bias"] = both
            found[*at, "hn", "bias"] = biases["hh"][2]
    return traverse_util.unflatten_dict(found)


def check_gradients(name, state, convert, gradients):
    """Of every parameter, taken back to PyTorch's layout."""
    state = {key: x for key, x in state.items() if "running" not in key}
    back = jax.jit(lambda state, gradients: jax.vjp(convert, state)[1](gradients)[0])
    for key, gradient in back(state, {"params": gradients}).items():
        check(f"gradients of {name}", f"gradient {name}.{key}", gradient, 64)


@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize(
    "name, net", [("U-Net", UNet(256, dropout=0.0)), ("DCGAN", DCGANDiscriminator(256))]
)
def test_networks_with_batch_norm(name, net, channels):
    variables = jax.tree.map(jnp.asarray, to_flax(parameters(name, f" {channels}")))
    x = hashed.uniform("x", (2, 256, 256, channels))

    @jax.jit
    def both(variables, x):
        return net.apply(variables, x, train=False), net.apply(
            variables, x, train=True, mutable=["batch_stats"]
        )

    used, (trained, changed) = both(variables, x)
    check(f"{name} eval", f"{name} {channels} eval", used)
    check(f"{name} train", f"{name} {channels} train", trained)
    averages = traverse_util.flatten_dict(changed["batch_stats"], sep=".")
    averages = [averages[key] for key in sorted(averages)]
    check(f"{name} averages", f"{name} {channels} averages", np.concatenate(averages))


def test_blstm():
    state = parameters("BLSTM")
    a, z = hashed.uniform("a", (32, 15, 40)), hashed.uniform("z", (32, 128))

    def loss(params):
        found = BLSTM().apply({"params": params}, a)
        return losses.mse(found, z).mean(), found

    gradients, found = jax.jit(jax.grad(loss, has_aux=True))(blstm_to_flax(state)["params"])
    check("BLSTM", "BLSTM", found)
    check_gradients("BLSTM", state, blstm_to_flax, gradients)


def test_vae():
    params = vae_to_flax(parameters("VAE"), 256)["params"]
    w, z = np.abs(hashed.uniform("w", (2, 256, 256, 3))), hashed.uniform("z", (2, 128))
    mu, logvar = jax.jit(Encoder().apply)({"params": params["encoder"]}, w)
    check("VAE encoder", "VAE mu", mu)
    check("VAE encoder", "VAE logvar", logvar)
    decoded = jax.jit(Decoder(256).apply)({"params": params["decoder"]}, z)
    check("VAE decoder", "VAE decode", decoded)


def test_animator():
    """Three frames at once, where the reference makes one after the other."""
    model = Generator(width=8, cells=32)
    variables = jax.tree.map(jnp.asarray, animator_to_flax(parameters("animator")))
    still = hashed.picture("still", (1, 128, 96, 3)) / np.float32(127.5) - 1
    x, noise = hashed.uniform("windows", (1, 3, 2560)), hashed.uniform("noise", (1, 3, 10))
    lengths = jnp.full(1, 3)
    run = jax.jit(lambda *given: model.apply(*given, lengths, False))
    y = run(variables, x, still, noise)
    check("animator", "animator", y[0])


def load_vgg(folder, convention):
    """The reference's weights through the files that users bring."""
    arrays = parameters(convention)
    if convention == "Caffe":
        names = [key for key in arrays if key.endswith("weight")]
        names = dict(zip(names, vgg.CONVOLUTIONS, strict=False))
        arrays = {
            f"conv{names[weight]}.{leaf}": arrays[weight.replace("weight", leaf)]
            for weight in names
            for leaf in ("weight", "bias")
        }
    np.savez(folder / "vgg19.npz", **arrays)
    return vgg.load_vgg19(folder / "vgg19.npz")


@pytest.mark.parametrize("convention, scale", [("torchvision", 1), ("Caffe", 255 * 0.225)])
def test_vgg19(tmp_path, convention, scale):
    layers = ("relu1_1", "pool1", "pool2", "pool3")
    x = np.abs(hashed.uniform("x", (2, 64, 64, 3)))
    found = jax.jit(vgg.features, static_argnums=2)(load_vgg(tmp_path, convention), x, layers)
    for layer, one in zip(layers, found, strict=True):
        check(f"VGG-19, {convention}", f"{convention} {layer}", np.asarray(one) * scale)


def config():
    config = Config()
    config.vae.code, config.vae.pixel = 8, 1.0
    config.seqpix2pix.width, config.seqpix2pix.pixel = 8, 1.0
    return config


def test_gradients_of_the_vaes_loss(tmp_path, monkeypatch):
    noise = hashed.uniform("noise", (2, 8))
    monkeypatch.setattr(jax.random, "normal", lambda key, shape, *_: jnp.asarray(noise[: shape[0]]))
    state = parameters("VAE", " 32")
    batch = {
        "figure": hashed.picture("w", (2, 32, 32, 3)),
        "keypoints": np.zeros((2, 137, 3), np.float32),
    }
    frozen = {"vgg": load_vgg(tmp_path, "torchvision")}
    gradient = jax.grad(vae.loss, has_aux=True)
    found, _ = jax.jit(lambda params: gradient(params, config(), frozen, batch, jax.random.key(0)))(
        vae_to_flax(state, 32)["params"]
    )
    check_gradients("VAE", state, lambda state: vae_to_flax(state, 32), found)


def test_gradients_of_seqpix2pixs_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(seqpix2pix_losses, "UNet", lambda *sizes: UNet(*sizes, dropout=0.0))
    states = {name: parameters(name) for name in "GPD"}
    batch = {
        "figures": hashed.picture("w", (2, 3, 32, 32, 3)),
        "frames": hashed.picture("y", (2, 3, 32, 32, 3)),
        "keypoints": np.zeros((2, 3, 137, 3), np.float32),
    }
    frozen = {"vgg": load_vgg(tmp_path, "torchvision")}
    networks = {
        name: TrainState.create(to_flax(state), optax.identity(), ema=False)
        for name, state in states.items()
    }
    gradients = jax.jit(
        lambda networks, batch, key: seqpix2pix_losses.gradients(
            networks, config(), frozen, batch, key
        )
    )
    found, _, _ = gradients(networks, batch, jax.random.key(0))
    for name, state in states.items():
        check_gradients(name, state, to_flax, found[name])


def test_adversarial_losses_and_their_gradients():
    real, fake = (2 * hashed.uniform(x, (16,)) for x in ("real", "fake"))

    def d(real, fake):
        return losses.least_squares_discriminator(real, fake).mean()

    def g(fake):
        return losses.least_squares_generator(fake).mean()

    found = [d(real, fake)[None], g(fake)[None]]
    found += [*jax.grad(d, argnums=(0, 1))(real, fake), jax.grad(g)(fake)]
    check("adversarial losses", "adversarial losses", np.concatenate(found))


@pytest.mark.parametrize("fps, frames", [(30, 72), (25, 60)])
def test_log_mel(fps, frames):
    """30 fps by librosa, 25 by python_speech_features."""
    rows = rows_of(log_mel(Fraction(fps)), [hashed.sound()], frames)
    check("log-mel", f"log-mel {fps}", rows, 1024)
