"""LumièreNet's cases in PyTorch."""

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from cases import FPS, Case, narration
from torch import nn
from torch.nn import functional as F
from torch_side import DEVICE, Metrics, Twin, folded, to_device, to_uint8

from systems.lumierenet.torch_networks import BLSTM, DCGAN, VAE, VGG, UNet, imagenet

LAYERS = ("pool1", "pool2", "pool3")
# Every term's weight in the paper's config.
KL, LAMBDA0, LAMBDA1, LAMBDA2 = 0.02, 0.05, 10.0, 10.0
ZERO = torch.zeros((), device=DEVICE)


def networks(case: Case) -> dict[str, nn.Module]:
    """The networks of a case, by name."""
    s, w, training = case.size, case.width, case.kind == "train"
    if case.name == "blstm":
        return {"blstm": _blstm(case)}
    vgg = {"vgg": VGG().requires_grad_(False)} if training else {}
    if case.name == "vae":
        return {"vae": VAE(s, 128), **vgg}
    g = UNet(s, w, 3, case.dropout)
    if case.name == "synthesis":
        return {"blstm": _blstm(case), "vae": VAE(s, 128), "G": g}
    if not training:
        return {"G": g}
    return {"G": g, "P": UNet(s, w, 6, case.dropout), "D": DCGAN(s, w, 3), **vgg}


def _blstm(case: Case) -> BLSTM:
    net = BLSTM(case.cells)
    # Its second bias is a bias more than ours has.
    for bias in (net.lstm.bias_hh_l0, net.lstm.bias_hh_l0_reverse):
        bias.requires_grad_(False)
    return net


def train(twin: Twin) -> Callable[[], Metrics]:
    """A step of a stage."""
    rms = lambda net: torch.optim.RMSprop(net.parameters(), 1e-4, alpha=0.9, eps=1e-7)  # noqa: E731
    adam = lambda net: torch.optim.Adam(net.parameters(), 1e-4, (0.5, 0.999), fused=True)  # noqa: E731
    for name, net in twin.nets.items():
        if name != "vgg":
            twin.optimise(name, (adam if twin.case.name == "seqpix2pix" else rms)(net))
    if vgg := twin.nets.get("vgg"):
        twin.run["vgg"] = twin.compile(lambda x: itemgetter(*LAYERS)(vgg(imagenet(x))))
    step = {"vae": _vae_step, "blstm": _blstm_step, "seqpix2pix": _triplet_step}[twin.case.name]
    return lambda: step(twin)


def _structural(twin: Twin, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    phi = twin.run["vgg"]
    with twin.autocast():
        with torch.no_grad():
            wanted = phi(real)
        found = phi(fake)
    terms = (F.mse_loss(a.float(), b.float()) for a, b in zip(found, wanted, strict=True))
    return sum(terms, ZERO)


def _vae_step(twin: Twin) -> Metrics:
    noise = None if twin.case.dropout else twin.batch["noise"]
    w = twin.batch["figure"].permute(0, 3, 1, 2).float() / 255
    with twin.autocast():
        decoded, mu, logvar = twin.run["vae"](w, noise)
    mu, logvar = mu.float(), logvar.float()
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()
    perceptual = _structural(twin, w, decoded.float())
    loss = KL * kl + perceptual
    loss.backward()
    (norm,) = twin.update("vae").values()
    return {"loss": loss, "kl": kl, "perceptual": perceptual, "gradient_norm": norm}


def _blstm_step(twin: Twin) -> Metrics:
    with twin.autocast():
        z = twin.run["blstm"](twin.batch["features"])
    loss = F.mse_loss(z.float(), twin.batch["codes"])
    loss.backward()
    return {"loss": loss, "gradient_norm": twin.update("blstm")["gradient_norm_blstm"]}


def _triplet_step(twin: Twin) -> Metrics:
    w, y = (
        twin.batch[name].flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
        for name in ("figures", "frames")
    )
    d = twin.nets["D"].requires_grad_(False)
    with twin.autocast():
        fakes = twin.run["G"](w)
        logits = twin.run["D"](fakes).flatten()
    fakes = fakes.float()
    adversarial = 3 * ((logits.float() - 1) ** 2).mean()
    g, real = (x.unflatten(0, (-1, 3)) for x in (fakes, y))
    structural = _structural(twin, (real[:, 2] + 1) / 2, (g[:, 2] + 1) / 2)
    with twin.autocast():
        from_g, from_y = (twin.run["P"](x[:, :2].flatten(1, 2)) for x in (g, real))
    temporal_g, temporal_y = (F.l1_loss(x.float(), real[:, 2]) for x in (from_g, from_y))
    total = adversarial + LAMBDA0 * structural + LAMBDA1 * temporal_g + LAMBDA2 * temporal_y
    total.backward()

    d.requires_grad_(True)
    with twin.autocast():
        said_real, said_fake = (twin.run["D"](x).flatten() for x in (y, fakes.detach()))
    said_real, said_fake = said_real.float(), said_fake.float()
    discriminator = 1.5 * ((said_real - 1) ** 2 + said_fake**2).mean()
    discriminator.backward()
    twin.counts["discriminator_accuracy"] = 2 * len(fakes)
    right = torch.cat([said_real > 0.5, said_fake < 0.5]).float().mean()
    return {
        "adversarial": adversarial,
        "structural": structural,
        "temporal_g": temporal_g,
        "temporal_y": temporal_y,
        "discriminator": discriminator,
        "discriminator_accuracy": right,
        **twin.update("G", "P", "D"),
    }


def forward(twin: Twin) -> Callable[[], torch.Tensor]:
    """A network in use, or windows to frames."""
    case, nets = twin.case, {name: folded(net) for name, net in twin.nets.items()}
    if case.name == "synthesis":
        run = twin.compile(_chain(nets))
        return lambda: run(twin.batch["features"])
    (net,) = nets.values()
    if case.name == "blstm":
        run = twin.compile(net)
        return lambda: run(twin.batch["features"])
    low = -1.0 if case.name == "seqpix2pix" else 0.0
    through = (lambda w: net.decode(net.encode(w)[0])) if case.name == "vae" else net

    def pictures(figures: torch.Tensor) -> torch.Tensor:
        y = through(figures.permute(0, 3, 1, 2).float() * ((1 - low) / 255) + low)
        return to_uint8(y, low)

    run = twin.compile(pictures)
    return lambda: run(twin.batch["figure"])


def _chain(nets: dict[str, nn.Module]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Windows to frames."""
    blstm, vae, g = nets["blstm"], nets["vae"], nets["G"]
    return lambda a: to_uint8(g(vae.decode(blstm(a)) * 2 - 1), -1.0)


def synthesis(twin: Twin) -> Callable[[], None]:
    """A sound file to an MP4; the encoder and the sound's features are those of ours."""
    # Here, because they import JAX, which takes seconds that no other case has to wait.
    from lumiere_jax.audio.features import gain_to_loudness, normalise
    from lumiere_jax.audio.frame_times import frames_covering
    from lumiere_jax.audio.front_ends import log_mel, stream
    from lumiere_jax.audio.level_and_band import measure
    from lumiere_jax.commands.infer import WAITING
    from lumiere_jax.inputs.sound.sound_tracks import heard, probe_audio, read_sound
    from lumiere_jax.outputs.video import write_video
    from lumiere_jax.runtime.prefetch import made_ahead
    from lumiere_jax.systems.lumierenet.synthesis import stream_windows

    nets = {name: folded(net) for name, net in twin.nets.items()}
    run, folder = twin.compile(_chain(nets)), Path(tempfile.mkdtemp())
    path, nothing = narration(folder), np.zeros(40, np.float32)
    sound, fps, size = probe_audio(path), Fraction(FPS), twin.case.batch
    frames = frames_covering(sound.samples, fps, sound.rate)

    def pictures() -> Iterator[np.ndarray]:
        level, band, _ = measure(heard(sound))
        band = min(band, sound.rate / 2)
        rows = stream(log_mel(fps), heard(sound), frames, gain_to_loudness(level))
        normal = (normalise(piece, nothing, nothing + 1, band) for piece in rows)
        windows = stream_windows(normal, 15)
        with torch.inference_mode(), twin.autocast():
            while piece := list(itertools.islice(windows, size)):
                padded = np.stack(piece + [piece[-1]] * (size - len(piece)))
                yield from run(to_device(padded)).cpu().numpy()[: len(piece)]

    def once() -> None:
        with contextlib.closing(made_ahead(pictures(), WAITING)) as made:
            out, samples = folder / "video.mp4", read_sound(sound)
            write_video(out, made, fps, samples, sound.rate, sound.channels, {})

    return once


def torch_arrays(net: nn.Module, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Variables of ours, by their path, in PyTorch's layout and names."""
    found = _lstm(arrays) if isinstance(net, BLSTM) else {}
    for path, x in arrays.items():
        *middle, leaf = path.split("/")
        middle = [_vgg_name(part) if part[0].isdigit() else part for part in middle]
        if not middle or middle[0] in ("forward", "backward"):
            continue
        x = x.T if x.ndim == 2 else x.transpose(3, 2, 0, 1) if x.ndim > 2 else x
        if isinstance(net, VAE) and middle[-1] in ("mu", "logvar") and x.ndim > 1:
            side = net.start * 2
            x = x.reshape(-1, side, side, 128).transpose(0, 3, 1, 2).reshape(x.shape)
        if isinstance(net, VAE) and middle[-1] == "dense":
            x = x.reshape(net.start, net.start, 256, -1).transpose(2, 0, 1, 3)
            x = x.reshape(256 * net.start**2, -1) if leaf == "kernel" else x.ravel()
        torch_leaf = {"kernel": "weight", "scale": "weight", "mean": "running_mean"}
        found[
            ".".join([*middle, torch_leaf.get(leaf, "running_var" if leaf == "var" else leaf)])
        ] = x
    return found


def _lstm(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {}
    for name, end in (("forward", "l0"), ("backward", "l0_reverse")):
        found[f"lstm.weight_ih_{end}"] = arrays[f"{name}/inputs/kernel"].T
        found[f"lstm.weight_hh_{end}"] = arrays[f"{name}/recurrent"].T
        found[f"lstm.bias_ih_{end}"] = bias = arrays[f"{name}/inputs/bias"]
        found[f"lstm.bias_hh_{end}"] = np.zeros_like(bias)
    return found


def _vgg_name(name: str) -> str:
    """torchvision's place of a convolution in `features`."""
    block, number = map(int, name.split("_"))
    before = sum((2, 2, 4, 4)[: block - 1])
    return f"features.{2 * (before + number - 1) + block - 1}"
