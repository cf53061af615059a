"""The temporal GAN's networks: the generator, in parts, and its discriminators."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float, Int

from lumiere_jax.audio.encoders import WaveformEncoder
from lumiere_jax.frames.animation import FrameDecoder, IdentityEncoder, Skips
from lumiere_jax.frames.discriminators import DCGANDiscriminator, SequenceDiscriminator, seen_frames
from lumiere_jax.layers import GRU
from lumiere_jax.shapes import AnyArray
from lumiere_jax.systems.temporal_gan.config import Config

Windows = Float[AnyArray, "batch time samples"]
Noise = Float[AnyArray, "batch time noise"]
Frames = Float[AnyArray, "batch time _rows _cols 3"]
Stills = Float[AnyArray, "batch _rows _cols 3"]
Seen = Bool[AnyArray, "batch time"]
Memory = tuple[Any, Any] | None
"""States of the context's and the noise's layers after the frames so far; None before any."""
Identity = tuple[Float[AnyArray, "batch identity"], Skips]


def _each(encoder: WaveformEncoder, x: Windows, train: bool, seen: Seen | None) -> jax.Array:
    """Encodes windows to codes (b, time, code)."""
    mask = None if seen is None else seen.reshape(-1)
    codes = encoder(x.reshape(-1, x.shape[-1]), train=train, seen=mask)
    return codes.reshape(*x.shape[:2], -1)


class Generator(nn.Module):
    """Generator from waveform and still to frames (section 3.1, Vougioukas et al. 2018).

    A frame's latent is [z_c, z_n, z_id]: context, noise and identity. A GRU over the windows' codes
    gives z_c, and another over noise z_n. The still gives z_id, and skips that the decoder reads
    too. Without `recurrent`, a dense layer replaces each GRU.
    """

    width: int = 64
    code: int = 256
    cells: int = 256
    noise: int = 10
    identity: int = 50
    recurrent: bool = True
    dtype: DTypeLike = jnp.float32

    def setup(self):
        self.encoder = WaveformEncoder(self.code, dtype=self.dtype)
        self.identity_encoder = IdentityEncoder(self.identity, self.width, dtype=self.dtype)
        self.decoder = FrameDecoder(self.width, dtype=self.dtype)
        if self.recurrent:
            self.context = GRU(self.cells, 2, dtype=self.dtype)
            self.noise_generator = GRU(self.noise, dtype=self.dtype)
        else:
            self.context, self.noise_generator = nn.Dense(self.cells), nn.Dense(self.noise)

    def __call__(
        self, x: Windows, still: Stills, noise: Noise, lengths: Int[AnyArray, " batch"], train: bool
    ) -> Frames:
        """Generates frames (b, time, rows, cols, 3) in [-1, 1] of sequences from their start."""
        seen = seen_frames(lengths, x.shape[1])
        frames, _ = self.go_on(x, self.identify(still, train), noise, None, train, seen)
        return frames

    def identify(self, still: Stills, train: bool = False) -> Identity:
        """Encodes stills once for all of their frames."""
        return self.identity_encoder(still, train=train)

    def go_on(
        self,
        x: Windows,
        identity: Identity,
        noise: Noise,
        memory: Memory,
        train: bool = False,
        seen: Seen | None = None,
    ) -> tuple[Frames, Memory]:
        """Generates the next frames; returns them and the memory for those after them."""
        a = _each(self.encoder, x, train, seen)
        context: Any = self.context
        noise_generator: Any = self.noise_generator
        if self.recurrent:
            before = memory if memory else (None, None)
            z_c, context_after = context(a, before[0])
            z_n, noise_after = noise_generator(noise, before[1])
            memory = context_after, noise_after
        else:
            z_c, z_n = context(a), noise_generator(noise)
        z_id, skips = identity
        z_id = jnp.broadcast_to(z_id[:, None], (*z_c.shape[:2], z_id.shape[-1]))
        z = jnp.concatenate([z_c, z_n, z_id], axis=-1)
        return self.decoder(z, skips, train=train, seen=seen), memory


class AudioVisualDiscriminator(nn.Module):
    """Discriminator of frames with their windows of sound, which it encodes itself."""

    size: int
    width: int = 64
    code: int = 256
    cells: int = 256
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, y: Frames, x: Windows, lengths: Int[AnyArray, " batch"], train: bool
    ) -> Float[AnyArray, " batch"]:
        seen = seen_frames(lengths, x.shape[1])
        encoder = WaveformEncoder(self.code, dtype=self.dtype, name="encoder")
        judge = SequenceDiscriminator(
            self.size, self.width, code=self.code, cells=self.cells, dtype=self.dtype, name="judge"
        )
        return judge(y, _each(encoder, x, train, seen), lengths, train=train)


def generator(config: Config) -> Generator:
    """Makes the network x, still → y of a config."""
    c = config.animator
    sizes: dict[str, Any] = {"width": c.width, "code": c.code, "cells": c.cells}
    sizes |= {"noise": c.noise, "identity": c.identity, "recurrent": c.recurrent}
    return Generator(**sizes, dtype=c.dtype)


def frame_discriminator(config: Config, shape: tuple[int, int]) -> DCGANDiscriminator:
    """Makes the discriminator of a frame concatenated with its still."""
    return DCGANDiscriminator(shape[0], config.animator.width, config.animator.dtype)


def sequence_discriminator(config: Config, shape: tuple[int, int]) -> AudioVisualDiscriminator:
    """Makes the discriminator of frames with their sound."""
    c = config.animator
    return AudioVisualDiscriminator(shape[0], c.width, c.code, c.cells, c.dtype)
