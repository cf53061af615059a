"""The temporal GAN's case in JAX."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cases import Case

from configs.temporal_gan import paper
from lumiere_jax.systems.temporal_gan.networks import generator
from lumiere_jax.systems.temporal_gan.synthesis import animate
from systems.temporal_gan.cases import arrays


def forward_of(case: Case) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """Windows to frames, one at a time; its variables by stage and network, and its input."""
    config, batch = paper(), arrays(case)
    c = config.animator
    c.width, c.cells, c.dtype = case.width, case.cells, case.dtype
    c.noise_deviation *= case.dropout > 0
    model, still = generator(config), batch["still"]
    given = jnp.zeros((1, 1, 2560)), jnp.zeros((1, *still.shape)), jnp.zeros((1, 1, c.noise))
    variables = jax.jit(model.init, static_argnums=5)(
        jax.random.key(0), *given, jnp.ones(1, jnp.int32), False
    )

    def function(variables: Any, windows: np.ndarray) -> np.ndarray:
        return np.stack(list(animate(config, variables, still, windows, chunk=case.batch)))

    return function, {"animator": {"G": variables}}, batch["windows"]
