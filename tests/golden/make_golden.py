# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "librosa==0.11.0",
#     "numpy==2.4.6",
#     "python_speech_features==0.6",
#     "torch==2.13.0",
# ]
# ///
"""Writes golden.npz: what PyTorch, librosa and python_speech_features answer, in float64.

    uv run --script tests/golden/make_golden.py [FILE]

Pictures are stored as NHWC, parameters' gradients in PyTorch's layout, under PyTorch's names.
"""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import hashed
import librosa
import numpy as np
import python_speech_features as psf
import torch
from systems.lumierenet.torch_networks import (
    BLSTM,
    DCGAN,
    LAYERS,
    VAE,
    VGG,
    UNet,
    caffe,
    imagenet,
)
from systems.temporal_gan.torch_networks import Animator
from torch import nn
from torch.nn import functional as F

golden: dict[str, np.ndarray] = {}
shapes: dict[str, dict[str, list[int]]] = {}


def filled(net: nn.Module, name: str, kind: str = "") -> nn.Module:
    """The network with its numbers from the hash; remembers which it has."""
    wanted = {key: tuple(x.shape) for key, x in net.state_dict().items() if x.ndim}
    shapes[name + kind] = {key: list(shape) for key, shape in wanted.items()}
    state = {key: hashed.parameter(f"{name}.{key}", shape) for key, shape in wanted.items()}
    net.load_state_dict({k: torch.from_numpy(x).double() for k, x in state.items()}, strict=False)
    return net


def tensor(x: np.ndarray) -> torch.Tensor:
    """float64; pictures from (..., rows, cols, c) to (..., c, rows, cols)."""
    x = torch.from_numpy(x).double()
    return x.movedim(-1, -3) if x.ndim >= 4 else x


def keep(name: str, x: torch.Tensor, count: int = 256) -> None:
    golden[name] = hashed.places((x.movedim(1, -1) if x.ndim == 4 else x).detach().numpy(), count)


def keep_gradients(net: nn.Module, name: str) -> None:
    for key, parameter in net.named_parameters():
        golden[f"gradient {name}.{key}"] = hashed.places(parameter.grad.numpy(), 64)


def normalised_networks() -> None:
    """Both of 256 px, with 3 and 6 channels, on running averages and on batch statistics."""
    for name, make in (("U-Net", UNet), ("DCGAN", DCGAN)):
        for channels in (3, 6):
            x = tensor(hashed.uniform("x", (2, 256, 256, channels)))
            net = filled(make(256, 64, channels), name, f" {channels}")
            keep(f"{name} {channels} eval", net.eval()(x))
            y, averages = averages_after(net.train(), x)
            keep(f"{name} {channels} train", y)
            keep(f"{name} {channels} averages", averages)


def averages_after(net: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The output, and all running averages afterwards in the order of their names.

    PyTorch normalises by the biased variance and averages the unbiased one; flax averages what it
    normalises by, so the difference is taken out here.
    """
    values, old = {}, {key: x.clone() for key, x in net.named_buffers()}
    for name, layer in net.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            count = lambda _, x, name=name: values.update({name: x[0][:, 0].numel()})  # noqa: E731
            layer.register_forward_pre_hook(count)
    y, new = net(x), dict(net.named_buffers())
    for name, n in values.items():
        key = f"{name}.running_var"
        new[key] = 0.9 * old[key] + (new[key] - 0.9 * old[key]) * (n - 1) / n
    return y, torch.cat([new[key] for key in sorted(new) if "running" in key])


def other_networks() -> None:
    blstm = filled(BLSTM(), "BLSTM")
    z = blstm(tensor(hashed.uniform("a", (32, 15, 40))))
    keep("BLSTM", z)
    F.mse_loss(z, tensor(hashed.uniform("z", (32, 128)))).backward()
    keep_gradients(blstm, "BLSTM")

    vae = filled(VAE(256, 128), "VAE")
    mu, logvar = vae.encode(tensor(hashed.uniform("w", (2, 256, 256, 3))).abs())
    keep("VAE mu", mu)
    keep("VAE logvar", logvar)
    keep("VAE decode", vae.decode(tensor(hashed.uniform("z", (2, 128)))))

    x = tensor(hashed.uniform("x", (2, 64, 64, 3))).abs()
    for name, convention in (("torchvision", imagenet), ("Caffe", caffe)):
        for layer, features in filled(VGG(), name)(convention(x)).items():
            keep(f"{name} {layer}", features)


def animator() -> None:
    """Three frames, one after the other, on running averages."""
    net = filled(Animator(8, 32), "animator").eval()
    still = tensor(hashed.picture("still", (1, 128, 96, 3))) / 127.5 - 1
    skips, z = net.identify(still)
    memory, frames = tuple(x.double() for x in net.no_memory("cpu")), []
    noise, windows = (
        torch.from_numpy(hashed.uniform(name, (3, 1, n))).double()
        for name, n in (("noise", 10), ("windows", 2560))
    )
    for x, n in zip(windows, noise, strict=True):
        frame, memory = net.go_on(x, n[None], memory, z, skips)
        frames.append(frame)
    keep("animator", torch.cat(frames))


def vae_step() -> None:
    """Section 3.2's loss over VGG-19's pools, 0.02 of the divergence, and the pixels' loss."""
    vae, phi = filled(VAE(32, 8), "VAE", " 32"), filled(VGG(), "torchvision")
    w = tensor(hashed.picture("w", (2, 32, 32, 3))) / 255
    mu, logvar = vae.encode(w)
    normal = torch.distributions.Normal
    code = normal(mu, torch.exp(logvar / 2))
    kl = torch.distributions.kl_divergence(code, normal(0.0, 1.0)).sum(1).mean()
    decoded = vae.decode(mu + code.scale * tensor(hashed.uniform("noise", (2, 8))))
    real, fake = phi(imagenet(w)), phi(imagenet(decoded))
    structural = sum(F.mse_loss(fake[layer], real[layer]) for layer in LAYERS[1:])
    (structural + 0.02 * kl + F.mse_loss(decoded, w)).backward()
    keep_gradients(vae, "VAE")


def seqpix2pix_step() -> None:
    """Eq. 10 to 13 with the paper's weights, and the pixels' loss, on two triplets."""
    g, p = filled(UNet(32, 8, 3), "G"), filled(UNet(32, 8, 6), "P")
    d, phi = filled(DCGAN(32, 8, 3), "D"), filled(VGG(), "torchvision")
    w, y = (tensor(hashed.picture(x, (2, 3, 32, 32, 3))) / 127.5 - 1 for x in "wy")
    fakes = g(w.flatten(0, 1)).unflatten(0, (2, 3))

    def judge(y: torch.Tensor) -> torch.Tensor:
        return d(y.flatten(0, 1)).reshape(2, 3)

    mse, ones, zeros = nn.MSELoss(), torch.ones(2), torch.zeros(2)
    logits = judge(fakes)
    adversarial = sum(mse(logits[:, i], ones) for i in range(3))
    real, fake = (phi(imagenet((x[:, 2] + 1) / 2)) for x in (y, fakes))
    structural = sum(mse(fake[layer], real[layer]) for layer in LAYERS[1:])
    temporal = [F.l1_loss(p(x[:, :2].flatten(1, 2)), y[:, 2]) for x in (fakes, y)]
    pixel = F.l1_loss(fakes, y)
    (adversarial + 0.05 * structural + 10 * temporal[0] + 10 * temporal[1] + pixel).backward()
    keep_gradients(g, "G")
    keep_gradients(p, "P")

    d.zero_grad()
    real, fake = judge(y), judge(fakes.detach())
    sum((mse(real[:, i], ones) + mse(fake[:, i], zeros)) / 2 for i in range(3)).backward()
    keep_gradients(d, "D")


def adversarial_losses() -> None:
    real, fake = (2 * tensor(hashed.uniform(x, (16,))) for x in ("real", "fake"))
    real.requires_grad_(), fake.requires_grad_()
    mse, ones, zeros = nn.MSELoss(), torch.ones(16), torch.zeros(16)
    d, g = (mse(real, ones) + mse(fake, zeros)) / 2, mse(fake, ones)
    found = [d[None], g[None], *torch.autograd.grad(d, (real, fake)), *torch.autograd.grad(g, fake)]
    keep("adversarial losses", torch.cat(found))


def log_mel_by_librosa() -> np.ndarray:
    """At 30 fps three frames are 1600 samples, so each third frame is a grid of its own.

    librosa centres the window of 704 in the FFT's 1024, hence the 160 samples before.
    """
    x = librosa.effects.preemphasis(hashed.sound().astype(float), coef=0.97, zi=[0.0])
    grids = [
        librosa.feature.melspectrogram(
            y=np.pad(x, (160, 160))[1600 * i // 3 :],
            **dict(sr=16_000, n_fft=1024, win_length=704, hop_length=1600, center=False),
            **dict(power=2.0, n_mels=40, fmin=0, fmax=8000, htk=True, norm=None),
        )[:, :24]
        for i in range(3)
    ]
    energies = np.stack(grids, axis=-1).reshape(40, -1).T / 1024
    return np.log(np.maximum(energies, 1e-8))


def log_mel_by_python_speech_features() -> np.ndarray:
    """At 25 fps, with the library's mel scale and filters that it would round to whole bins."""
    x = psf.sigproc.preemphasis(hashed.sound().astype(float), 0.97)
    hann = lambda n: np.hanning(n + 1)[:-1]  # noqa: E731
    power = psf.sigproc.powspec(psf.sigproc.framesig(x, 704, 640, hann), 1024)
    edges = psf.base.mel2hz(np.linspace(0, psf.base.hz2mel(8000), 42))
    bins = np.linspace(0, 8000, 513)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    energies = power[:60] @ np.maximum(0, np.minimum(rise, fall))
    return np.log(np.maximum(energies, 1e-8))


def main(path: Path) -> None:
    torch.set_default_dtype(torch.float64)
    for make in (normalised_networks, other_networks, animator, vae_step, seqpix2pix_step):
        make()
    adversarial_losses()
    golden["log-mel 30"] = hashed.places(log_mel_by_librosa(), 1024)
    golden["log-mel 25"] = hashed.places(log_mel_by_python_speech_features(), 1024)
    np.savez_compressed(path, shapes=np.array(json.dumps(shapes)), **golden)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).with_name("golden.npz"))
