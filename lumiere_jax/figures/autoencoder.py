"""z ↔ w: the variational autoencoder of pose figures (Kim and Ganapathi 2019, 3.2 and 4.3)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from lumiere_jax.convolutions import Pictures
from lumiere_jax.layers import Conv3x3, UpsampleConv3x3, max_pool
from lumiere_jax.shapes import Code


class Encoder(nn.Module):
    """Encoder of figures (b, rows, cols, 3) in [0, 1] to means and log-variances of codes."""

    code: int = 128
    channels: tuple[int, ...] = (32, 64, 128)
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, w: Pictures) -> tuple[Code, Code]:
        x = w
        for i, channels in enumerate(self.channels):
            x = max_pool(nn.relu(Conv3x3(channels, dtype=self.dtype, name=f"conv{i}")(x)))
        x = x.reshape(x.shape[0], -1)
        mu = nn.Dense(self.code, dtype=self.dtype, name="mu")(x)
        logvar = nn.Dense(self.code, dtype=self.dtype, name="logvar")(x)
        return mu.astype(jnp.float32), logvar.astype(jnp.float32)


class Decoder(nn.Module):
    """Decoder of codes to figures (b, size, size, 3) in [0, 1].

    Starts at size / 16 and doubles four times.
    """

    size: int
    code: int = 128
    channels: tuple[int, ...] = (256, 128, 64, 32)
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, z: Code) -> Pictures:
        start = self.size // 16
        x = nn.Dense(start * start * self.channels[0], dtype=self.dtype, name="dense")(z)
        x = nn.relu(x).reshape(-1, start, start, self.channels[0])
        for i, channels in enumerate(self.channels[1:]):
            x = nn.relu(UpsampleConv3x3(channels, dtype=self.dtype, name=f"conv{i}")(x))
        x = UpsampleConv3x3(3, dtype=self.dtype, name=f"conv{len(self.channels) - 1}")(x)
        return nn.sigmoid(x.astype(jnp.float32))


class VAE(nn.Module):
    """Encoder and decoder; their parameters, `encoder` and `decoder`, are usable on their own."""

    size: int
    code: int = 128
    dtype: DTypeLike = jnp.float32

    def setup(self):
        self.encoder = Encoder(self.code, dtype=self.dtype)
        self.decoder = Decoder(self.size, self.code, dtype=self.dtype)

    def __call__(self, w: Pictures, key: jax.Array) -> tuple[Pictures, Code, Code]:
        """Returns the reconstruction from a sampled code, and the code's mean and log-variance."""
        mu, logvar = self.encoder(w)
        return self.decoder(sample(key, mu, logvar)), mu, logvar

    def encode(self, w: Pictures) -> tuple[Code, Code]:
        return self.encoder(w)

    def decode(self, z: Code) -> Pictures:
        return self.decoder(z)


def sample(key: jax.Array, mu: Code, logvar: Code) -> Code:
    """Samples z = μ + σ ε."""
    return mu + jnp.exp(0.5 * logvar) * jax.random.normal(key, mu.shape, mu.dtype)
