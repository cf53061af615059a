"""The same case in PyTorch, as fast as PyTorch does it: channels_last, fused Adam (RMSprop has no
fused form), autocast, BatchNorm folded where it is used, G forwarded once, no gradients where none
are wanted; on a GPU TensorFloat-32, as in JAX, and cuDNN's search for the fastest algorithms.

  python benchmarks/twin.py CASE eager|compiled
  python benchmarks/twin.py CASES eager|compiled FOLDER
  python benchmarks/twin.py many eager|compiled

With FOLDER it compares itself with what ours.py wrote there and prints each case's largest
deviation. `many` are asked for on standard input (see rounds.py).
"""

import contextlib
import itertools
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo as dynamo
from cases import FPS, SECONDS, STREAMED, Case, arrays, narration, small
from rounds import Built, serve, serve_many
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch_animator import Animator, animator_arrays
from torch_networks import BLSTM, DCGAN, VAE, VGG, UNet, imagenet

from lumiere_jax.runtime.memory_allocation import keep_freed_memory

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAYERS = ("pool1", "pool2", "pool3")
# Every term's weight in the paper's config.
KL, LAMBDA0, LAMBDA1, LAMBDA2 = 0.02, 0.05, 10.0, 10.0
Metrics = dict[str, torch.Tensor]

# A layer that is called by name is compiled once for each name; beyond 8 it would run uncompiled.
dynamo.config.recompile_limit = 64


class Twin:
    """The networks of a case on the device, and what is done with them."""

    def __init__(self, case: Case, compiled: bool, noise: torch.Tensor | None = None):
        self.case, self.noise = case, noise
        self.compile = (lambda f: torch.compile(f, dynamic=False)) if compiled else (lambda f: f)
        self.batch = {name: _to_device(x) for name, x in arrays(case).items()}
        s, w = case.size, case.width
        made: dict[str, Callable[[], nn.Module]] = {
            "vae": lambda: VAE(s, 128),
            "blstm": lambda: BLSTM(case.cells),
            "G": lambda: UNet(s, w, 3, case.dropout),
            "P": lambda: UNet(s, w, 6, case.dropout),
            "D": lambda: DCGAN(s, w, 3),
            "animator": lambda: Animator(w, case.cells),
        }
        several = {"seqpix2pix": ["G", "P", "D"] if case.kind == "train" else ["G"]}
        several["synthesis"] = ["blstm", "vae", "G"]
        wanted = several.get(case.name, [case.name])
        self.nets = {name: made[name]().to(DEVICE, memory_format=LAST) for name in wanted}
        if "blstm" in self.nets:  # its second bias is a bias more than ours has
            for bias in (
                self.nets["blstm"].lstm.bias_hh_l0,
                self.nets["blstm"].lstm.bias_hh_l0_reverse,
            ):
                bias.requires_grad_(False)
        self.vgg = VGG() if case.kind == "train" and case.name != "blstm" else nn.Module()
        self.vgg.to(DEVICE, memory_format=LAST).requires_grad_(False)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        on = self.case.dtype == "bfloat16"
        return torch.autocast(DEVICE, torch.bfloat16, enabled=on)

    def train(self) -> Callable[[], Metrics]:
        self.run = {name: self.compile(net.train()) for name, net in self.nets.items()}
        self.phi = self.compile(lambda x: itemgetter(*LAYERS)(self.vgg(imagenet(x))))
        rms = lambda net: torch.optim.RMSprop(net.parameters(), 1e-4, alpha=0.9, eps=1e-7)  # noqa: E731
        adam = lambda net: torch.optim.Adam(net.parameters(), 1e-4, (0.5, 0.999), fused=True)  # noqa: E731
        kind = adam if self.case.name == "seqpix2pix" else rms
        self.optimisers = {name: kind(net) for name, net in self.nets.items()}
        return {"vae": self.vae, "blstm": self.blstm, "seqpix2pix": self.seqpix2pix}[self.case.name]

    def update(self, *names: str) -> Metrics:
        norms = {name: _norm(self.nets[name]) for name in names}
        for name in names:
            self.optimisers[name].step()
            self.optimisers[name].zero_grad()
        return {f"gradient_norm_{name}": norm for name, norm in norms.items()}

    def structural(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        with self.autocast():
            with torch.no_grad():
                wanted = self.phi(real)
            found = self.phi(fake)
        return sum(
            (F.mse_loss(a.float(), b.float()) for a, b in zip(found, wanted, strict=True)), _0
        )

    def vae(self) -> Metrics:
        w = self.batch["figure"].permute(0, 3, 1, 2).float() / 255
        with self.autocast():
            decoded, mu, logvar = self.run["vae"](w, self.noise)
        mu, logvar = mu.float(), logvar.float()
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()
        perceptual = self.structural(w, decoded.float())
        loss = KL * kl + perceptual
        loss.backward()
        (norm,) = self.update("vae").values()
        return {"loss": loss, "kl": kl, "perceptual": perceptual, "gradient_norm": norm}

    def blstm(self) -> Metrics:
        with self.autocast():
            z = self.run["blstm"](self.batch["features"])
        loss = F.mse_loss(z.float(), self.batch["codes"])
        loss.backward()
        return {"loss": loss, "gradient_norm": self.update("blstm")["gradient_norm_blstm"]}

    def seqpix2pix(self) -> Metrics:
        w, y = (
            self.batch[name].flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
            for name in ("figures", "frames")
        )
        d = self.nets["D"].requires_grad_(False)
        with self.autocast():
            fakes = self.run["G"](w)
            logits = self.run["D"](fakes).flatten()
        fakes = fakes.float()
        adversarial = 3 * ((logits.float() - 1) ** 2).mean()
        g, real = (x.unflatten(0, (-1, 3)) for x in (fakes, y))
        structural = self.structural((real[:, 2] + 1) / 2, (g[:, 2] + 1) / 2)
        with self.autocast():
            from_g, from_y = (self.run["P"](x[:, :2].flatten(1, 2)) for x in (g, real))
        temporal_g, temporal_y = (F.l1_loss(x.float(), real[:, 2]) for x in (from_g, from_y))
        total = adversarial + LAMBDA0 * structural + LAMBDA1 * temporal_g + LAMBDA2 * temporal_y
        total.backward()

        d.requires_grad_(True)
        with self.autocast():
            said_real, said_fake = (self.run["D"](x).flatten() for x in (y, fakes.detach()))
        said_real, said_fake = said_real.float(), said_fake.float()
        discriminator = 1.5 * ((said_real - 1) ** 2 + said_fake**2).mean()
        discriminator.backward()
        right = torch.cat([said_real > 0.5, said_fake < 0.5]).float().mean()
        return {
            "adversarial": adversarial,
            "structural": structural,
            "temporal_g": temporal_g,
            "temporal_y": temporal_y,
            "discriminator": discriminator,
            "discriminator_accuracy": right,
            **self.update("G", "P", "D"),
        }

    def forward(self) -> Callable[[], torch.Tensor]:
        case, self.nets = self.case, {k: _folded(net.eval()) for k, net in self.nets.items()}
        if case.name == "synthesis":
            run = self.compile(self.chain)
            return lambda: run(self.batch["features"])
        (net,) = self.nets.values()
        if case.name == "blstm":
            run = self.compile(net)
            return lambda: run(self.batch["features"])
        low = -1.0 if case.name == "seqpix2pix" else 0.0
        through = (lambda w: net.decode(net.encode(w)[0])) if case.name == "vae" else net

        def pictures(figures: torch.Tensor) -> torch.Tensor:
            y = through(figures.permute(0, 3, 1, 2).float() * ((1 - low) / 255) + low)
            return _to_uint8(y, low)

        run = self.compile(pictures)
        return lambda: run(self.batch["figure"])

    def chain(self, a: torch.Tensor) -> torch.Tensor:
        """Windows to frames."""
        w = self.nets["vae"].decode(self.nets["blstm"](a))
        return _to_uint8(self.nets["G"](w * 2 - 1), -1.0)

    def stream(self) -> Callable[[], torch.Tensor]:
        """A face that speaks window by window."""
        self.nets["animator"].eval().fold_skips()
        net = _folded(self.nets["animator"])
        still = self.batch["still"][None].permute(0, 3, 1, 2).float() / 127.5 - 1
        skips, z = net.identify(still.contiguous(memory_format=LAST))
        deviation = 0.33 if self.case.dropout else 0.0
        go_on = self.compile(lambda x, n, memory: _spoken(net, x, n, memory, z, skips))

        def once() -> torch.Tensor:
            memory = net.no_memory(DEVICE)
            frames = []
            for x in self.batch["windows"]:
                noise = deviation * torch.randn(1, 1, 10, device=DEVICE)
                frame, memory = go_on(x[None], noise, memory)
                frames.append(frame.cpu())
            return torch.cat(frames)

        return once

    def synthesise(self) -> Callable[[], None]:
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

        self.nets = {name: _folded(net.eval()) for name, net in self.nets.items()}
        run, folder = self.compile(self.chain), Path(tempfile.mkdtemp())
        path, nothing = narration(folder), np.zeros(40, np.float32)
        sound, fps, size = probe_audio(path), Fraction(FPS), self.case.batch
        frames = frames_covering(sound.samples, fps, sound.rate)

        def pictures() -> Iterator[np.ndarray]:
            level, band, _ = measure(heard(sound))
            band = min(band, sound.rate / 2)
            rows = stream(log_mel(fps), heard(sound), frames, gain_to_loudness(level))
            normal = (normalise(piece, nothing, nothing + 1, band) for piece in rows)
            windows = stream_windows(normal, 15)
            with torch.inference_mode(), self.autocast():
                while piece := list(itertools.islice(windows, size)):
                    padded = np.stack(piece + [piece[-1]] * (size - len(piece)))
                    yield from run(_to_device(padded)).cpu().numpy()[: len(piece)]

        def once() -> None:
            with contextlib.closing(made_ahead(pictures(), WAITING)) as made:
                out, samples = folder / "video.mp4", read_sound(sound)
                write_video(out, made, fps, samples, sound.rate, sound.channels, {})

        return once


LAST, _0 = torch.channels_last, torch.zeros((), device=DEVICE)


def _to_device(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).to(DEVICE)


def _to_uint8(y: torch.Tensor, low: float) -> torch.Tensor:
    scaled = (y.float() - low) * (255 / (1 - low))
    return scaled.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _spoken(net: Animator, x: Any, noise: Any, memory: Any, z: Any, skips: Any) -> Any:
    y, memory = net.go_on(x, noise, memory, z, skips)
    return _to_uint8(y, -1.0), memory


def _norm(net: nn.Module) -> torch.Tensor:
    return nn.utils.get_total_norm([p.grad for p in net.parameters() if p.grad is not None])


def _folded(net: nn.Module) -> nn.Module:
    """With each BatchNorm inside of the convolution before it."""
    for name, norm in list(net.named_modules()):
        if name.endswith("_norm"):
            conv = net.get_submodule(name.removesuffix("_norm"))
            transposed = isinstance(conv, nn.ConvTranspose2d)
            setattr(net, name.removesuffix("_norm"), fuse_conv_bn_eval(conv, norm, transposed))
            delattr(net, name)
    return net.to(memory_format=LAST)


def build(twin: Twin) -> Callable[[int], None]:
    case = twin.case
    make = {"train": twin.train, "forward": twin.forward, "synthesis": twin.synthesise}
    make["streaming"] = twin.stream
    step = make[case.kind]()
    in_use = case.kind in ("forward", "streaming")
    inference = torch.inference_mode if in_use else contextlib.nullcontext
    autocast = twin.autocast if in_use else contextlib.nullcontext

    def run(steps: int) -> None:
        with inference(), autocast():
            for _ in range(steps):
                step()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return run


def built(case: Case, compiled: bool) -> Built:
    """A case, with the seconds that its first step takes where it is compiled, and on a GPU the
    bytes that it takes."""
    memory = torch.cuda.memory_allocated if DEVICE == "cuda" else lambda: 0
    before = memory()
    run = build(Twin(case, compiled))
    began = time.perf_counter()
    run(1)
    facts: dict[str, Any] = {"platform": "gpu" if DEVICE == "cuda" else "cpu"}
    if compiled:
        facts["compile_s"] = time.perf_counter() - began
    run(1)
    own = memory() - before

    def peak() -> float | None:
        if DEVICE != "cuda":
            return None
        others = memory() - own
        torch.cuda.reset_peak_memory_stats()
        run(1)
        return torch.cuda.max_memory_allocated() - others

    parts = {"streaming": STREAMED}.get(case.kind, 1)
    return Built(run, parts, facts, peak)


def deviation(case: Case, compiled: bool, path: Path) -> float:
    """The largest relative one between what a step gives here and what it gave in JAX."""
    case = small(case)
    with np.load(path) as file:
        known = dict(file)
    twin = Twin(case, compiled, _to_device(arrays(case)["noise"]))
    for name, net in {**twin.nets, "vgg": twin.vgg}.items():
        _load(net, {k[len(name) + 1 :]: x for k, x in known.items() if k.startswith(f"{name}/")})
    if case.kind != "train":
        with torch.inference_mode(), twin.autocast():
            made = twin.stream() if case.kind == "streaming" else twin.forward()
            found = {"output": made()}
    else:
        found = twin.train()()
    wanted = {k.removeprefix("expected/"): x for k, x in known.items() if k.startswith("expected")}
    if alone := found.keys() ^ wanted.keys():
        raise RuntimeError(
            f"{case.name} {case.kind}: one side alone has {', '.join(sorted(alone))}"
        )
    if case.dtype == "bfloat16" and "discriminator_accuracy" in found:
        # A count: of the logits, one that is beside the threshold may fall on its other side.
        logits = 2 * 3 * case.batch
        flips = abs(found.pop("discriminator_accuracy").item() - wanted["discriminator_accuracy"])
        assert round(flips * logits) <= 1, flips
    every = [_relative(x.detach().float().cpu().numpy(), wanted[k]) for k, x in found.items()]
    return float(np.max(every))  # Python's own may lose a NaN


def _relative(found: np.ndarray, wanted: np.ndarray) -> float:
    wanted = wanted.astype(np.float32)
    return float(np.sqrt(np.mean((found - wanted) ** 2) / np.mean(wanted**2)))


def _load(net: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Variables of ours, by their path, into PyTorch's layout and names."""
    if not arrays:
        return
    arrays = {re.sub("^(params|batch_stats)/", "", path): x for path, x in arrays.items()}
    if isinstance(net, Animator):
        found = {k: torch.from_numpy(x) for k, x in animator_arrays(arrays).items()}
        found |= {k: x for k, x in net.state_dict().items() if k.endswith("tracked")}
        net.load_state_dict(found)
        return
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
    wanted = {k for k, x in net.state_dict().items() if x.ndim}
    assert found.keys() >= wanted, wanted - found.keys()
    net.load_state_dict({k: torch.from_numpy(found[k]) for k in wanted}, strict=False)


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


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(len(os.sched_getaffinity(0)))  # as many as XLA takes
    if DEVICE == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    compiled = sys.argv[2] == "compiled"
    if sys.argv[1] == "many":
        serve_many(lambda values: built(Case(**values), compiled), forget=torch.cuda.empty_cache)
    elif sys.argv[3:]:
        for number, values in enumerate(json.loads(sys.argv[1])):
            print(deviation(Case(**values), compiled, Path(sys.argv[3]) / f"{number}.npz"))
    else:
        case = Case(**json.loads(sys.argv[1]))
        parts = {"synthesis": SECONDS * FPS, "streaming": STREAMED}
        serve(build(Twin(case, compiled)), parts.get(case.kind, 1))
