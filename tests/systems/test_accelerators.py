"""Every stage's step as a GPU would be given it: it can be lowered where there is none."""

import re

import jax
import jax.numpy as jnp
import pytest

from lumiere_jax import vgg
from lumiere_jax.systems import registry

CONVOLUTION = re.compile(r"stablehlo\.convolution\(.*?\) ?.*?: \(tensor<[\dx]*(\w+)>, ")


def lowered(stage, batch, frozen):
    """A step's StableHLO for CUDA."""
    state = jax.eval_shape(stage.init, jax.random.key(0))
    traced = jax.jit(stage.step).trace(state, frozen, batch)
    return traced.lower(lowering_platforms=("cuda",)).as_text()


def pictures(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.uint8)


def numbers(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def lecture(presets, dtype):
    """Stages of LumièreNet with the paper's losses, their batches and what is frozen."""
    config = presets.get_config("tiny")
    config.vgg, config.seqpix2pix.lambda1, config.seqpix2pix.lambda2 = "random", 10.0, 10.0
    config.vae.perceptual = 1.0
    for part in (config.vae, config.blstm, config.seqpix2pix):
        part.dtype = dtype
    stages = registry.get("lumierenet").stages(config, (64, 64))
    vae = jax.eval_shape(stages["vae"].init, jax.random.key(0)).networks["vae"]
    frozen = {"vgg": vgg.load_vgg19("random"), "vae": vae.inference_variables}
    triplets = pictures(1, 3, 64, 64, 3)
    batches = {
        "vae": {"figure": pictures(2, 64, 64, 3), "keypoints": numbers(2, 137, 3)},
        "blstm": {"features": numbers(4, 15, 40), "codes": numbers(4, 8)},
        "seqpix2pix": {"figures": triplets, "frames": triplets, "keypoints": numbers(1, 3, 137, 3)},
    }
    return stages, batches, frozen


@pytest.mark.parametrize("dtype, kind", [("float32", "f32"), ("bfloat16", "bf16")])
def test_steps_of_lumierenet_have_native_convolutions_on_a_gpu(presets, dtype, kind):
    stages, batches, frozen = lecture(presets, dtype)
    for name in ("vae", "seqpix2pix"):
        kinds = CONVOLUTION.findall(lowered(stages[name], batches[name], frozen))
        # A convolution, and its gradients for the input and the kernel.
        assert len(kinds) > 20 and set(kinds) == {kind}, (name, kinds)
    assert "stablehlo.convolution" not in lowered(stages["blstm"], batches["blstm"], frozen)


@pytest.mark.parametrize("dtype, kind", [("float32", "f32"), ("bfloat16", "bf16")])
def test_a_step_of_the_animator_has_native_convolutions_on_a_gpu(faces_presets, dtype, kind):
    config = faces_presets.get_config("tiny")
    config.animator.dtype, config.animator.epoch = dtype, 1
    stage = registry.get("temporal_gan").stages(config, (128, 96))["animator"]
    batch = {
        "frames": pictures(2, 6, 128, 96, 3),
        "still": pictures(2, 128, 96, 3),
        "windows": numbers(2, 6, 2560),
        "lengths": jax.ShapeDtypeStruct((2,), jnp.int32),
    }
    with jax.numpy_dtype_promotion("standard"):  # inside Flax's GRU
        kinds = CONVOLUTION.findall(lowered(stage, batch, {}))
    assert len(kinds) > 20 and set(kinds) == {kind}, kinds
