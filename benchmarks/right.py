"""Whether steps, synthesis, features and metrics equal the CPU's; a part of accelerator.py.

All of the preset `tiny`, from the same numbers: in float32 on the CPU and, on the device, in
float32, in float32 whose products may be TensorFloat-32 (what JAX does on such GPUs unless told
otherwise) and in bfloat16. Where the device is a CPU, what it does in float32 is held against the
forms of convolutions that accelerators take.
"""

import argparse
import contextlib
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from fractions import Fraction
from typing import Any
from unittest import mock

import jax
import numpy as np
from cases import speech
from ours import lively, lively_state
from rounds import say
from sides import QUICKLY

from configs import lumierenet as lectures
from configs import temporal_gan as faces
from lumiere_jax import vgg
from lumiere_jax.audio.features import RATE
from lumiere_jax.audio.front_ends import log_mel, rows_of
from lumiere_jax.measures import frame_comparison
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import System
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.synthesis import painter
from lumiere_jax.systems.lumierenet.system import stages
from lumiere_jax.systems.temporal_gan.synthesis import animate
from lumiere_jax.training.stage import TrainState

# Largest relative deviations (of root mean squares). TensorFloat-32 keeps 10 bits of a number and
# bfloat16 7. A step amplifies what is lost, networks as narrow as these the most: bfloat16 gave
# 0.12; and of small differences optimisers make large ones, so float32 alone has a second step.
TOLERANCES = {
    "step": {"float32": 1e-3, "tf32": 3e-2, "bfloat16": 0.2},
    "synthesis": {"float32": 1e-3, "tf32": 5e-3, "bfloat16": 2e-2},
    "features": {"float32": 1e-4, "tf32": 1e-4},
    "metrics": {"float32": 1e-4, "tf32": 1e-4},
}
SECOND = 2e-2
SIZE, FACE = 64, (128, 96)
CPU = jax.devices("cpu")[0]
THREADS = 8

Key = tuple[str, str]
"""A kind of computation, as in `TOLERANCES`, and what it is of."""
Numbers = dict[str, np.ndarray]
Computation = Callable[[str], Numbers]
"""Numbers by name, computed on JAX's default device with products of this dtype."""


def computations(short: bool) -> dict[Key, Computation]:
    """All that is compared, by kind and name; the slowest to compile come first."""
    found: dict[Key, Computation] = {("step", "temporal_gan animator"): face_steps}
    for losses, names in {
        "paper": () if short else ("seqpix2pix", "vae"),
        "lecture": ("seqpix2pix", "vae", "blstm"),
    }.items():
        for name in names:
            compute = functools.partial(lecture_steps, losses, name)
            found["step", f"lumierenet {name}, losses of {losses}"] = compute
    found["synthesis", "temporal_gan"] = face_frames
    found["synthesis", "lumierenet"] = lecture_frames
    found["features", "log-mel"] = rows_of_sound
    found["metrics", "of pictures"] = measures
    return found


def lecture_config(losses: str, dtype: str) -> Config:
    config = lectures.tiny()
    if losses == "paper":
        whole = lectures.paper()
        for part in ("perceptual", "pixel"):
            setattr(config.vae, part, getattr(whole.vae, part))
        for part in ("lambda0", "lambda1", "lambda2", "adversarial", "pixel", "motion"):
            setattr(config.seqpix2pix, part, getattr(whole.seqpix2pix, part))
        config.seqpix2pix.reconstructed, config.vgg = 0.0, "random"
    for part in (config.vae, config.blstm, config.seqpix2pix):
        part.dtype = dtype
    return config


def random_pictures(*lead: int, shape: tuple[int, int] = (SIZE, SIZE)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*lead, *shape, 3), np.uint8)


def keypoints(*lead: int) -> np.ndarray:
    return np.random.default_rng(1).random((*lead, 137, 3), np.float32)


def lecture_steps(losses: str, name: str, dtype: str) -> Numbers:
    config = lecture_config(losses, dtype)
    every, system = stages(config, SIZE), registry.get("lumierenet")
    b = every[name].batch
    random = np.random.default_rng(2)
    batch = {
        "vae": {"figure": random_pictures(b), "keypoints": keypoints(b)},
        "blstm": {
            "features": random.standard_normal((b, config.blstm.window, 40), np.float32),
            "codes": random.standard_normal((b, config.vae.code), np.float32),
        },
        "seqpix2pix": {
            "figures": random_pictures(b, 3),
            "frames": random_pictures(b, 3)[:, ::-1],
            "keypoints": keypoints(b, 3),
        },
    }[name]
    frozen: dict[str, Any] = {"vgg": vgg.load_vgg19("random") if losses == "paper" else {}}
    if name == "seqpix2pix":
        frozen["vae"] = used(on_cpu(every["vae"].init, jax.random.key(0)).networks["vae"])
    return steps(system, config, (SIZE, SIZE), name, frozen, batch)


def face_steps(dtype: str) -> Numbers:
    config = faces.tiny()
    c = config.animator
    c.dtype, c.epoch = dtype, 1
    batch = {
        "frames": random_pictures(c.batch, c.frames, shape=FACE),
        "still": random_pictures(c.batch, shape=FACE),
        "windows": np.random.default_rng(3).standard_normal((c.batch, c.frames, 2560), np.float32),
        "lengths": np.full(c.batch, c.frames, np.int32),
    }
    return steps(registry.get("temporal_gan"), config, FACE, "animator", {}, batch)


def steps(
    system: System, config: Any, shape: tuple[int, int], name: str, frozen: Any, batch: Any
) -> Numbers:
    """The metrics of two steps: losses, and the norms of all gradients."""
    stage = system.stages(config, shape)[name]
    state = lively_state(on_cpu(stage.init, jax.random.key(0)))
    device = jax.config.jax_default_device
    state, frozen, batch = jax.device_put((state, frozen, batch), device)
    step = jax.jit(stage.step, compiler_options=QUICKLY if device.platform == "cpu" else None)
    found = {}
    for place in ("first", "second"):
        state, metrics = step(state, frozen, batch)
        found |= {f"{place} {name}": np.asarray(x) for name, x in metrics.items()}
    # Counts: one that is beside the threshold may fall on its other side.
    return {name: x for name, x in found.items() if "accuracy" not in name}


def on_cpu(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the CPU makes of arguments, for any device."""
    with jax.default_device(CPU):
        return jax.jit(function, compiler_options=QUICKLY)(*arguments)


def lecture_frames(dtype: str) -> Numbers:
    config = lecture_config("lecture", dtype)
    every = stages(config, SIZE)
    variables = {}
    for stage, networks in registry.get("lumierenet").networks.items():
        state = on_cpu(every[stage].init, jax.random.key(0))
        variables[stage] = {network: used(state.networks[network]) for network in networks}
    windows = np.random.default_rng(4).standard_normal((4, config.blstm.window, 40), np.float32)
    figures, frames = painter(config, SIZE, variables)(windows)
    return {"figures": np.asarray(figures), "frames": np.asarray(frames)}


def used(network: TrainState) -> Any:
    """A network's variables in use, of the size that training gives."""
    return jax.tree.map(np.asarray, lively(network.inference_variables))


def face_frames(dtype: str) -> Numbers:
    config = faces.tiny()
    config.animator.dtype = dtype
    stage = registry.get("temporal_gan").stages(config, FACE)["animator"]
    variables = {"animator": {"G": used(on_cpu(stage.init, jax.random.key(0)).networks["G"])}}
    windows = np.random.default_rng(5).standard_normal((6, 2560), np.float32) / 4
    made = animate(config, variables, random_pictures(shape=FACE), windows, chunk=3)
    return {"frames": np.stack(list(made))}


def rows_of_sound(dtype: str) -> Numbers:
    sound = speech("second")[:RATE]
    return {"rows": rows_of(log_mel(Fraction(30)), [sound], 30)}


def measures(dtype: str) -> Numbers:
    a, b = random_pictures(4), random_pictures(4)[::-1] // 2
    return frame_comparison.judge(a, b, keypoints(4))


def deviation(found: Numbers, wanted: Numbers) -> float:
    """The largest of the numbers' relative deviations, of root mean squares."""
    if found.keys() != wanted.keys():
        raise RuntimeError(f"one side alone has {', '.join(sorted(found.keys() ^ wanted.keys()))}")
    pairs = [(x.astype(np.float64), wanted[k].astype(np.float64)) for k, x in found.items()]
    every = [np.sqrt(np.mean((a - b) ** 2) / max(np.mean(b**2), 1e-12)) for a, b in pairs]
    return float(np.max(every))  # Python's own may lose a NaN


def references(every: Mapping[Key, Computation]) -> dict[Key, Numbers | Exception]:
    """What the CPU computes in float32; where it is the device, in the forms of accelerators."""

    def reference(compute: Computation) -> Numbers | Exception:
        try:
            with jax.default_device(CPU), jax.default_matmul_precision("highest"):
                return compute("float32")
        except Exception as error:  # one that does not work leaves the others
            return error

    others = lambda *x, cpu=None, default: default(*x)  # noqa: E731
    alone = jax.devices()[0] == CPU
    with mock.patch("jax.lax.platform_dependent", others) if alone else contextlib.nullcontext():
        with ThreadPoolExecutor(THREADS) as pool:
            found = dict(zip(every, pool.map(reference, every.values()), strict=True))
    jax.clear_caches()
    return found


def compared(
    key: Key, precision: str, compute: Computation, wanted: Numbers | Exception
) -> dict[str, Any]:
    """How far the device is from the reference in one precision."""
    (kind, what), tolerance = key, TOLERANCES[key[0]][precision]
    row = {"kind": kind, "what": what, "precision": precision, "tolerance": tolerance}
    exact = "highest" if precision == "float32" else "default"
    dtype = "bfloat16" if precision == "bfloat16" else "float32"
    try:
        if isinstance(wanted, Exception):
            raise wanted
        with jax.default_device(jax.devices()[0]), jax.default_matmul_precision(exact):
            found = compute(dtype)
        row["deviation"] = deviation(_of("first", found), _of("first", wanted))
        right = row["deviation"] <= tolerance
        if precision == "float32" and (later := _of("second", found)):
            row["second_step"] = deviation(later, _of("second", wanted))
            right &= row["second_step"] <= SECOND
        return {**row, "right": bool(right)}
    except Exception as error:
        return {**row, "right": False, "error": f"{type(error).__name__}: {error}"[:300]}


def precisions(kind: str) -> list[str]:
    """Those that are compared; a CPU knows no TensorFloat-32, and is slow in bfloat16."""
    return ["float32"] if jax.devices()[0] == CPU else list(TOLERANCES[kind])


def _of(step: str, numbers: Numbers) -> Numbers:
    """Those of one of two steps; what is no step's counts as the first's."""
    second = {k: x for k, x in numbers.items() if k.startswith("second ")}
    return second if step == "second" else {k: numbers[k] for k in numbers if k not in second}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="without the paper's losses")
    every = computations(parser.parse_args().short)
    known = references(every)
    # float32 first: it tells the most.
    tasks = [(p, key) for p in TOLERANCES["step"] for key in every if p in precisions(key[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        begun = [pool.submit(compared, key, p, every[key], known[key]) for p, key in tasks]
        for done in as_completed(begun):
            say(**done.result())
