"""The temporal GAN's generator, of PyTorch's own layers, with the saving of ours: what a still's
skips add to the decoder is computed once, where the paper concatenates them for each frame."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

AUDIO = (1, 16, 32, 64, 128, 256, 512)
CODE, NOISE, IDENTITY = 256, 10, 50
HALVINGS = 5


class Animator(nn.Module):
    """Sections 3.1.1 to 3.1.3, and the decoder, of Vougioukas et al. 2018."""

    def __init__(self, width: int, cells: int):
        super().__init__()
        kernels = [(80, 16, 32)] + 5 * [(4, 2, 1)]
        for i, sizes in enumerate(kernels):
            self._add("encoder", f"conv{i}", nn.Conv1d(AUDIO[i], AUDIO[i + 1], *sizes, bias=False))
        self._add("encoder", "conv6", nn.Conv1d(AUDIO[-1], CODE, 5), norm=False)
        self.context = nn.GRU(CODE, cells, 2, batch_first=True)
        self.noise = nn.GRU(NOISE, NOISE, batch_first=True)
        widths = [width * 2**i for i in range(HALVINGS)]
        for i, c in enumerate(widths):
            before = widths[i - 1] if i else 3
            self._add("identity", f"down{i}", nn.Conv2d(before, c, 4, 2, 1, bias=False))
        code = nn.Conv2d(widths[-1], IDENTITY, (4, 3), bias=False)
        self._add("identity", "code", code, norm=False)
        latent = cells + NOISE + IDENTITY
        self._add("decoder", "start", nn.ConvTranspose2d(latent, widths[-1], (4, 3), bias=False))
        for i, c in enumerate(widths[:0:-1]):
            self._add("decoder", f"conv{i}", nn.Conv2d(c, c, 3, 1, 1, bias=False))
            skip = nn.Conv2d(c, c, 3, 1, 1, bias=False)
            self._add("identity", f"skip{HALVINGS - 1 - i}", skip, norm=False)
            self._add("decoder", f"up{i}", nn.ConvTranspose2d(c, c // 2, 4, 2, 1, bias=False))
        self._add("decoder", "up4", nn.ConvTranspose2d(width, 3, 4, 2, 1), norm=False)

    def _add(self, part: str, name: str, layer: Any, norm: bool = True) -> None:
        self.add_module(f"{part}_{name}", layer)
        if norm:
            channels = layer.out_channels
            kind = nn.BatchNorm1d if isinstance(layer, nn.Conv1d) else nn.BatchNorm2d
            self.add_module(f"{part}_{name}_norm", kind(channels))

    def layer(self, name: str, x: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
        x = self.get_submodule(name)(x)
        x = x if skip is None else x + skip
        x = self.get_submodule(f"{name}_norm")(x) if hasattr(self, f"{name}_norm") else x
        return F.relu(x, inplace=True)

    def fold_skips(self) -> None:
        """Puts the scale of the BatchNorm after a sum into the skip, before it is folded into the
        convolution."""
        for i in range(HALVINGS - 1):
            norm = self.get_submodule(f"decoder_conv{i}_norm")
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight = self.get_submodule(f"identity_skip{HALVINGS - 1 - i}").weight
            weight.data *= scale.data[:, None, None, None]

    def no_memory(self, device: str) -> tuple[torch.Tensor, torch.Tensor]:
        cells = self.context.hidden_size
        return torch.zeros(2, 1, cells, device=device), torch.zeros(1, 1, NOISE, device=device)

    def identify(self, still: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """A still's skips, the finest first, and its code."""
        found = []
        for i in range(HALVINGS):
            found.append(self.layer(f"identity_down{i}", found[-1] if found else still))
        skips = [self.get_submodule(f"identity_skip{i}")(x) for i, x in enumerate(found[1:], 1)]
        return skips, torch.tanh(self.identity_code(found[-1])).flatten(1)

    def go_on(self, x: torch.Tensor, noise: torch.Tensor, memory: Any, z: Any, skips: Any) -> Any:
        """The next frame, of a window (1, 2560)."""
        x = x[:, None]
        for i in range(6):
            x = self.layer(f"encoder_conv{i}", x)
        a = torch.tanh(self.encoder_conv6(x)).transpose(1, 2)
        z_c, context = self.context(a, memory[0])
        z_n, noise_memory = self.noise(noise, memory[1])
        latent = torch.cat([z_c[:, 0], z_n[:, 0], z], 1)
        y = self.layer("decoder_start", latent[:, :, None, None])
        for i, skip in enumerate(skips[::-1]):
            y = self.layer(f"decoder_conv{i}", y, skip)
            y = self.layer(f"decoder_up{i}", y)
        return torch.tanh(self.decoder_up4(y)), (context, noise_memory)
