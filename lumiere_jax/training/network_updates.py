"""Parts of training steps: applying a network, updating it, and norms of its gradients."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import optax

from lumiere_jax.training.stage import TrainState


def apply_in_training(
    model: nn.Module, params: Any, batch_stats: Any, *inputs: Any, **options: Any
) -> tuple[Any, Any]:
    """Applies a network with the statistics of the batch.

    Args:
      model: A module whose call takes `train`.
      params: Its parameters.
      batch_stats: Its running statistics.
      *inputs: The arguments of its call.
      **options: Further options of `Module.apply`, such as `rngs`.

    Returns:
      The output, and the running statistics after this batch.
    """
    variables = {"params": params, "batch_stats": batch_stats}
    output, changed = model.apply(
        variables, *inputs, train=True, mutable=["batch_stats"], **options
    )
    return output, changed["batch_stats"]


def update_networks(
    networks: Mapping[str, TrainState],
    optimiser: optax.GradientTransformation,
    gradients: Mapping[str, Any],
    batch_stats: Mapping[str, Any],
) -> dict[str, TrainState]:
    """Updates every network by its gradients, and sets its new running statistics."""
    return {
        name: network.update(optimiser, gradients[name], batch_stats[name])
        for name, network in networks.items()
    }


def gradient_norms(gradients: Mapping[str, Any]) -> dict[str, jax.Array]:
    """Computes the L2 norm of each network's gradients, as "gradient_norm_<network>"."""
    return {f"gradient_norm_{name}": optax.tree.norm(g) for name, g in sorted(gradients.items())}
