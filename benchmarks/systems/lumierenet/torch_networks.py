"""The networks as the papers have them, of PyTorch's own layers: the golden tests' reference, and
what `compare.py` measures against."""

import torch
from torch import nn
from torch.nn import functional as F

LAYERS = ("relu1_1", "pool1", "pool2", "pool3")


class UNet(nn.Module):
    """pix2pix's U-Net (Isola et al. 2017, 6.1.1)."""

    def __init__(self, size: int, width: int, channels: int, dropout: float = 0.0):
        super().__init__()
        self.dropout = dropout
        self.depth = size.bit_length() - 1
        downs = [width * min(2**i, 8) for i in range(self.depth)]
        ups = [*downs[-2::-1], 3]
        seen = [channels, *downs]
        for i, c in enumerate(downs):
            self.add_module(f"down{i}", nn.Conv2d(seen[i], c, 4, 2, 1, bias=False))
            if 0 < i < self.depth - 1:
                self.add_module(f"down{i}_norm", nn.BatchNorm2d(c))
        seen = [downs[-1], *(2 * c for c in ups)]
        for i, c in enumerate(ups):
            last = i == self.depth - 1
            self.add_module(f"up{i}", nn.ConvTranspose2d(seen[i], c, 4, 2, 1, bias=last))
            if not last:
                self.add_module(f"up{i}_norm", nn.BatchNorm2d(c))

    def layer(self, name: str, x: torch.Tensor) -> torch.Tensor:
        x = self.get_submodule(name)(x)
        return self.get_submodule(f"{name}_norm")(x) if hasattr(self, f"{name}_norm") else x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = [self.layer("down0", x)]
        for i in range(1, self.depth):
            skips.append(self.layer(f"down{i}", F.leaky_relu(skips[-1], 0.2)))
        x = skips.pop()
        for i in range(self.depth - 1):
            x = self.layer(f"up{i}", F.relu(x, inplace=True))
            if i < 3:
                x = F.dropout(x, self.dropout, self.training)
            x = torch.cat([x, skips.pop()], 1)
        return torch.tanh(self.layer(f"up{self.depth - 1}", F.relu(x, inplace=True)))


class DCGAN(nn.Sequential):
    """DCGAN's discriminator (Radford et al. 2016) with more halvings, and no sigmoid."""

    def __init__(self, size: int, width: int, channels: int):
        super().__init__()
        for i in range(size.bit_length() - 3):
            c = width * min(2**i, 8)
            self.add_module(f"down{i}", nn.Conv2d(channels, c, 4, 2, 1, bias=i == 0))
            if i:
                self.add_module(f"down{i}_norm", nn.BatchNorm2d(c))
            self.add_module(f"down{i}_leak", nn.LeakyReLU(0.2, inplace=True))
            channels = c
        self.add_module("logit", nn.Conv2d(channels, 1, 4))


class VAE(nn.Module):
    """Section 4.3 of Kim and Ganapathi 2019, starting the decoder at size / 16."""

    def __init__(self, size: int, code: int):
        super().__init__()
        self.start, down, up = size // 16, (3, 32, 64, 128), (256, 128, 64, 32, 3)
        inside = down[-1] * (size // 8) ** 2
        self.encoder = nn.ModuleDict({"mu": nn.Linear(inside, code)})
        self.encoder["logvar"] = nn.Linear(inside, code)
        for i in range(3):
            self.encoder[f"conv{i}"] = nn.Conv2d(down[i], down[i + 1], 3, padding=1)
        self.decoder = nn.ModuleDict({"dense": nn.Linear(code, up[0] * self.start**2)})
        for i in range(4):
            self.decoder[f"conv{i}"] = nn.Conv2d(up[i], up[i + 1], 3, padding=1)

    def encode(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for i in range(3):
            w = F.max_pool2d(F.relu(self.encoder[f"conv{i}"](w), inplace=True), 2)
        return self.encoder["mu"](w.flatten(1)), self.encoder["logvar"](w.flatten(1))

    def forward(
        self, w: torch.Tensor, noise: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mu, logvar = self.encode(w)
        noise = torch.randn_like(mu) if noise is None else noise
        return self.decode(mu + torch.exp(0.5 * logvar) * noise), mu, logvar

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        x = self.decoder["dense"](z).unflatten(1, (256, self.start, self.start))
        for i in range(4):
            x = self.decoder[f"conv{i}"](F.interpolate(F.relu(x, inplace=True), scale_factor=2))
        return torch.sigmoid(x)


class BLSTM(nn.Module):
    """The forward state at the last step and the backward state at the first, then a layer."""

    def __init__(self, cells: int = 256):
        super().__init__()
        self.lstm = nn.LSTM(40, cells, batch_first=True, bidirectional=True)
        self.code = nn.Linear(2 * cells, 128)

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        _, (h, _) = self.lstm(a)
        return self.code(torch.cat([h[0], h[1]], dim=1))


class VGG(nn.Module):
    """VGG-19 (Simonyan and Zisserman 2015) to its third pool, indexed as torchvision does it."""

    def __init__(self):
        super().__init__()
        layers, c = [], 3
        for step in (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M"):
            if step == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(c, step, 3, padding=1), nn.ReLU(inplace=True)]
                c = step
        self.features = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        found = []
        for layer in self.features:
            x = layer(x)
            found.append(x)
        return dict(zip(LAYERS, (found[i] for i in (1, 4, 9, 18)), strict=True))


def imagenet(rgb: torch.Tensor) -> torch.Tensor:
    """torchvision's input, of RGB in [0, 1]."""
    mean = torch.tensor([0.485, 0.456, 0.406], device=rgb.device)
    std = torch.tensor([0.229, 0.224, 0.225], device=rgb.device)
    return (rgb - mean[:, None, None]) / std[:, None, None]


def caffe(rgb: torch.Tensor) -> torch.Tensor:
    """Caffe's input, of RGB in [0, 1]: BGR from 0 to 255 less its means."""
    return 255 * rgb.flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
