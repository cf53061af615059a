"""What PyTorch's side of every system has in common: the device, and a case's networks on it."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch._dynamo as dynamo
from cases import Case, arrays
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAST = torch.channels_last
Metrics = dict[str, torch.Tensor]

# A layer that is called by name is compiled once for each name; beyond 8 it would run uncompiled.
dynamo.config.recompile_limit = 64


class Twin:
    """The networks of a case on the device, and what is done with them.

    Attributes:
      batch: The case's arrays.
      nets: Networks by name.
      run: Networks in training, as they are called.
      counts: Metrics that are shares, and of how many; in bfloat16 one may fall on the other side.
    """

    def __init__(self, case: Case, compiled: bool, nets: dict[str, nn.Module]):
        self.case = case
        self.compile = (lambda f: torch.compile(f, dynamic=False)) if compiled else (lambda f: f)
        self.batch = {name: to_device(x) for name, x in arrays(case).items()}
        self.nets = {name: net.to(DEVICE, memory_format=LAST) for name, net in nets.items()}
        self.run: dict[str, Callable[..., Any]] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.counts: dict[str, int] = {}

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        on = self.case.dtype == "bfloat16"
        return torch.autocast(DEVICE, torch.bfloat16, enabled=on)

    def optimise(self, name: str, optimiser: torch.optim.Optimizer) -> None:
        """Makes a network ready for training."""
        self.run[name] = self.compile(self.nets[name].train())
        self.optimisers[name] = optimiser

    def update(self, *names: str) -> Metrics:
        """Takes a step of these networks' optimisers, and returns the norms of their gradients."""
        norms = {f"gradient_norm_{name}": _norm(self.nets[name]) for name in names}
        for name in names:
            self.optimisers[name].step()
            self.optimisers[name].zero_grad()
        return norms


def to_device(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).to(DEVICE)


def to_uint8(y: torch.Tensor, low: float) -> torch.Tensor:
    """NHWC pictures of NCHW ones in [low, 1]."""
    scaled = (y.float() - low) * (255 / (1 - low))
    return scaled.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def folded(net: nn.Module) -> nn.Module:
    """In use, with each BatchNorm inside of the convolution before it."""
    net.eval()
    for name, norm in list(net.named_modules()):
        if name.endswith("_norm"):
            conv = net.get_submodule(name.removesuffix("_norm"))
            transposed = isinstance(conv, nn.ConvTranspose2d)
            setattr(net, name.removesuffix("_norm"), fuse_conv_bn_eval(conv, norm, transposed))
            delattr(net, name)
    return net.to(memory_format=LAST)


def _norm(net: nn.Module) -> torch.Tensor:
    return nn.utils.get_total_norm([p.grad for p in net.parameters() if p.grad is not None])
