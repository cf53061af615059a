"""a → z: the bidirectional LSTM over look-back windows (Kim and Ganapathi 2019, 3.3 and 4.3)."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from lumiere_jax.shapes import AnyArray, Code

Windows = Float[AnyArray, "time width feature"]


def window_steps(frames: int, width: int, delay: int = 0) -> Int[np.ndarray, "frames width"]:
    """The rows t + delay - width + 1 to t + delay that each frame t hears; beyond the ends the
    first and the last row are repeated."""
    steps = np.arange(frames)[:, None] + np.arange(1 - width, 1)[None] + delay
    return np.clip(steps, 0, frames - 1)


def _forget_one(key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Gates are input, forget, cell, output; the forget gate starts open (Jozefowicz 2015)."""
    cells = shape[0] // 4
    return jnp.zeros(shape, dtype).at[cells : 2 * cells].set(1)


class LSTM(nn.Module):
    """The last state (b, cells) over (b, width, features); `reverse` reads from the end."""

    cells: int
    reverse: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, a: Windows) -> Float[AnyArray, "time cells"]:
        # The inputs of all steps are one product; only the recurrent half has to wait.
        gates = nn.Dense(4 * self.cells, bias_init=_forget_one, dtype=self.dtype, name="inputs")(a)
        recurrent = self.param(
            "recurrent", nn.initializers.orthogonal(), (self.cells, 4 * self.cells)
        )

        recurrent = recurrent.astype(self.dtype)

        def step(carry, gates):
            h, c = carry
            gates += jnp.matmul(h.astype(self.dtype), recurrent, preferred_element_type=jnp.float32)
            i, f, g, o = jnp.split(gates, 4, axis=-1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
            return (nn.sigmoid(o) * jnp.tanh(c), c), None

        gates = gates.astype(jnp.float32)
        start = jnp.zeros((a.shape[0], self.cells), jnp.float32)
        (h, _), _ = lax.scan(step, (start, start), jnp.swapaxes(gates, 0, 1), reverse=self.reverse)
        return h


class BLSTM(nn.Module):
    """Windows (b, width, features) to codes (b, code).

    The forward state at the last step and the backward state at the first see the whole window;
    a linear layer reads both.
    """

    cells: int = 256
    code: int = 128
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, a: Windows) -> Code:
        forward = LSTM(self.cells, dtype=self.dtype, name="forward")(a)
        backward = LSTM(self.cells, reverse=True, dtype=self.dtype, name="backward")(a)
        z = nn.Dense(self.code, dtype=self.dtype, name="code")
        return z(jnp.concatenate([forward, backward], axis=-1)).astype(jnp.float32)
