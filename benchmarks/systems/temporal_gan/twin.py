"""The temporal GAN's case in PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from cases import Case
from torch import nn
from torch_side import DEVICE, LAST, Twin, folded, to_uint8

from systems.temporal_gan.torch_networks import AUDIO, Animator


def networks(case: Case) -> dict[str, nn.Module]:
    """The generator."""
    return {"G": Animator(case.width, case.cells)}


def streaming(twin: Twin) -> Callable[[], torch.Tensor]:
    """A face that speaks window by window."""
    net: Any = twin.nets["G"]
    net.fold_skips()
    net = folded(net)
    still = twin.batch["still"][None].permute(0, 3, 1, 2).float() / 127.5 - 1
    skips, z = net.identify(still.contiguous(memory_format=LAST))
    deviation = 0.33 if twin.case.dropout else 0.0

    def spoken(x: Any, noise: Any, memory: Any) -> Any:
        y, memory = net.go_on(x, noise, memory, z, skips)
        return to_uint8(y, -1.0), memory

    go_on = twin.compile(spoken)

    def once() -> torch.Tensor:
        memory = net.no_memory(DEVICE)
        frames = []
        for x in twin.batch["windows"]:
            noise = deviation * torch.randn(1, 1, 10, device=DEVICE)
            frame, memory = go_on(x[None], noise, memory)
            frames.append(frame.cpu())
        return torch.cat(frames)

    return once


def torch_arrays(net: nn.Module, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Variables of ours, by their path, in PyTorch's layout and names."""
    parts = {"encoder": "encoder", "identity_encoder": "identity", "decoder": "decoder"}
    leaves = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    found = {**_gru(arrays, "context", "context"), **_gru(arrays, "noise_generator", "noise")}
    for path, x in arrays.items():
        part, name, leaf = path.split("/")[0], path.split("/")[-2], path.split("/")[-1]
        if part not in parts:
            continue
        if leaf == "kernel" and part == "encoder":
            x = x.reshape(-1, AUDIO[int(name[4:])], x.shape[-1]).transpose(2, 1, 0)
        elif name == "start":
            x = x.reshape(len(x), 4, 3, -1).transpose(0, 3, 1, 2)
        elif leaf == "kernel":
            x = x.transpose(3, 2, 0, 1)
        found[f"{parts[part]}_{name}.{leaves.get(leaf, leaf)}"] = np.ascontiguousarray(x)
    return found


def _gru(arrays: dict[str, np.ndarray], ours: str, theirs: str) -> dict[str, np.ndarray]:
    """Of its two biases ours has one but for the new state's."""
    found, layers = {}, {path.split("/")[1] for path in arrays if path.startswith(f"{ours}/")}
    for layer in layers:
        at, end = f"{ours}/{layer}", f"l{layer.removeprefix('layer')}"
        for kind, letter in (("ih", "i"), ("hh", "h")):
            kernels = [arrays[f"{at}/{letter}{gate}/kernel"].T for gate in "rzn"]
            found[f"{theirs}.weight_{kind}_{end}"] = np.concatenate(kernels)
            zero = np.zeros(len(kernels[0]), np.float32)
            biases = [arrays.get(f"{at}/{letter}{gate}/bias", zero) for gate in "rzn"]
            found[f"{theirs}.bias_{kind}_{end}"] = np.concatenate(biases)
    return found
