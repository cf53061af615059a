"""a → z: the bidirectional LSTM over look-back windows (Kim and Ganapathi 2019, 3.3 and 4.3)."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from lumiere_jax.shapes import AnyArray, Code

Windows = Float[AnyArray, "time width feature"]


def window_steps(frames: int, width: int, delay: int = 0) -> Int[np.ndarray, "frames width"]:
    """Returns the rows t + delay - width + 1 to t + delay that each frame t reads.

    Beyond the ends, the first and the last row are repeated.
    """
    steps = np.arange(frames)[:, None] + np.arange(1 - width, 1)[None] + delay
    return np.clip(steps, 0, frames - 1)


def _forget_one(key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Initialises the gates' biases: 1 for the forget gate, 0 for input, cell and output.

    Gates are input, forget, cell, output; the forget gate starts open (Jozefowicz 2015).
    """
    cells = shape[0] // 4
    return jnp.zeros(shape, dtype).at[cells : 2 * cells].set(1)


def _scan(gates: jax.Array, recurrent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the last state, and the states before it, from the inputs' part of the gates.

    No state comes before the first step, so its gates are the inputs' alone.
    """
    states, c = [], jnp.zeros((), jnp.float32)
    for inputs in gates:
        heard = 0.0
        if states:
            h = states[-1].astype(recurrent.dtype)
            heard = jnp.matmul(h, recurrent, preferred_element_type=jnp.float32)
        i, f, g, o = jnp.split(inputs + heard, 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        states.append(nn.sigmoid(o) * jnp.tanh(c))
    return states[-1], jnp.stack(states)[:-1]


@jax.custom_vjp
def _recur(gates: jax.Array, recurrent: jax.Array) -> jax.Array:
    """Returns the last state (b, cells) from gates (width, b, 4 cells)."""
    return _scan(gates, recurrent)[0]


def _recur_forward(gates, recurrent):
    h, pullback, before = jax.vjp(lambda gates: _scan(gates, recurrent), gates, has_aux=True)
    return h, (pullback, before, recurrent)


def _recur_backward(residuals, dh):
    """Computes the weights' gradient as one product over all steps.

    The gradient of a scan would add up one product per step.
    """
    pullback, before, recurrent = residuals
    (dgates,) = pullback(dh)
    dtype = recurrent.dtype
    drecurrent = jnp.einsum(
        "tbc,tbg->cg",
        before.astype(dtype),
        dgates[1:].astype(dtype),
        preferred_element_type=jnp.float32,
    )
    return dgates, drecurrent.astype(dtype)


_recur.defvjp(_recur_forward, _recur_backward)


class LSTM(nn.Module):
    """LSTM from (b, width, features) to its last state (b, cells); `reverse` reads from the end."""

    cells: int
    reverse: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, a: Windows) -> Float[AnyArray, "time cells"]:
        a = jnp.swapaxes(a[:, ::-1] if self.reverse else a, 0, 1)
        # The inputs of all steps are one product; only the recurrent half has to wait.
        gates = nn.Dense(4 * self.cells, bias_init=_forget_one, dtype=self.dtype, name="inputs")(a)
        recurrent = self.param(
            "recurrent", nn.initializers.orthogonal(), (self.cells, 4 * self.cells)
        )
        return _recur(gates.astype(jnp.float32), recurrent.astype(self.dtype))


class BLSTM(nn.Module):
    """Bidirectional LSTM from windows (b, width, features) to codes (b, code).

    The forward state at the last step and the backward state at the first see the whole window; a
    linear layer reads both.
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
