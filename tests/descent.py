"""Gradient descent in place of a stage's optimiser: its steps show the gradients.

Adam and RMSProp would make the gradients' signs of them.
"""

import jax
import optax
from jax import lax

# So large that a step leaves nothing of the parameters before it but rounding.
RATE = 1e6


def descent(axis=None):
    """The optimiser; with an axis, gradients are averaged over that axis of a pmapped step."""

    def average(gradients, _=None):
        return gradients if axis is None else lax.pmean(gradients, axis)

    return optax.chain(optax.stateless(average), optax.sgd(RATE))


def gradients(before, after):
    """The gradients of a step between two `TrainState`s."""
    return jax.tree.map(lambda old, new: (old - new) / RATE, before.params, after.params)
