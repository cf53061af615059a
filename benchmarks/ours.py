"""One case in JAX: the stages' own training step, or the networks as synthesis runs them.

  python benchmarks/ours.py CASE
  python benchmarks/ours.py CASES FOLDER
  python benchmarks/ours.py many

CASE is JSON, and CASES a list of them, of which FOLDER gets what the twin is compared with. `many`
are asked for on standard input (see rounds.py).
"""

import contextlib
import dataclasses
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cases import FPS, SECONDS, STREAMED, TOTAL, Case, arrays, narration, small
from rounds import Built, serve, serve_many
from traces import longest_operations

from configs import temporal_gan as faces
from configs.lumierenet import paper
from lumiere_jax import vgg
from lumiere_jax.frames.generators import UNet
from lumiere_jax.runtime import inference_batches
from lumiere_jax.runtime.memory_allocation import keep_freed_memory
from lumiere_jax.systems.contract import Model, Run
from lumiere_jax.systems.lumierenet import seqpix2pix_losses, synthesis
from lumiere_jax.systems.lumierenet.blstm import blstm_network
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.seqpix2pix import render
from lumiere_jax.systems.lumierenet.seqpix2pix_losses import generator
from lumiere_jax.systems.lumierenet.synthesis import painter
from lumiere_jax.systems.lumierenet.system import SYSTEM, stages
from lumiere_jax.systems.lumierenet.vae import reconstruct, vae_network
from lumiere_jax.systems.temporal_gan.networks import generator as animator
from lumiere_jax.systems.temporal_gan.synthesis import animate
from lumiere_jax.training.device_mesh import compile_step, first_state, place, replicate, stage_mesh
from lumiere_jax.training.guard import SKIPPED
from lumiere_jax.training.stage import Batch, Stage, State
from lumiere_jax.workflows import trained_model

# What a step says of itself, and PyTorch's has no part in.
NO_MEASURES = {"learning_rate", SKIPPED}


def config_of(case: Case) -> Config:
    """The paper's, with its losses, at the case's size."""
    config = paper()
    config.vgg = "random"
    config.blstm.cells, config.seqpix2pix.width = case.cells, case.width
    for part in (config.vae, config.blstm, config.seqpix2pix):
        part.dtype, part.batch, part.steps = case.dtype, case.batch, int(TOTAL)
        part.learning_rate = 1e-4
    return config


def begin(stage: Stage, frozen: Any, batch: Batch) -> tuple[Any, State, Any, Batch]:
    """The jitted step of a stage, and its arguments as training places them.

    With a state from elsewhere the second step would be compiled anew.
    """
    mesh = stage_mesh(stage)
    state = first_state(stage, mesh, seed=0)
    return compile_step(stage, mesh), state, replicate(frozen, mesh), place(batch, mesh)


def step_seconds(stage: Stage, frozen: Any, batch: Batch, steps: int = 3) -> float:
    """The median of some steps, after the one that is compiled."""
    step, state, frozen, batch = begin(stage, frozen, batch)
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        state, metrics = step(state, frozen, batch)
        jax.block_until_ready((state, metrics))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def training(case: Case) -> tuple[Any, State, Any, Batch]:
    """The jitted step of a case's stage, and its arguments."""
    stage = stages(config_of(case), case.size or 32)[case.name]
    return begin(stage, {"vgg": vgg.load_vgg19("random")}, arrays(case))


def train(case: Case) -> Callable[[int], None]:
    step, state, *rest = training(case)
    return repeated(step, rest, state)


def forward(case: Case) -> Callable[[int], None]:
    function, *rest = forward_of(case)
    return repeated(function, rest)


def repeated(function: Callable, rest: Sequence[Any], state: Any = None) -> Callable[[int], None]:
    """What takes steps of a function of `rest`, and of a state that it gives anew where there is
    one, and returns when they are done."""

    def run(steps: int) -> None:
        nonlocal state
        made: Any = None
        for _ in range(steps):
            if state is None:
                made = function(*rest)
            else:
                state, made = function(state, *rest)
        jax.block_until_ready((state, made))

    return run


def synthesise(case: Case, seconds: float = SECONDS) -> Callable[[int], None]:
    """What infer.py does, with networks that nobody has trained."""
    from lumiere_jax.commands import infer  # which wants PyAV

    model = model_of(case)
    trained_model.load_model, infer.read_run = lambda _: model, lambda _: model.run
    synthesis.chunk_frames = lambda _: case.batch
    folder = Path(tempfile.mkdtemp())
    sound = narration(folder, seconds)

    def once(steps: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # ours has the answers alone
            for _ in range(steps):
                infer.infer(workdir=folder, audio=sound, out=folder / "video.mp4")

    return once


def model_of(case: Case) -> Model:
    """A model of this case, as a workdir would give it."""
    _, variables, _ = forward_of(case)
    nothing = np.zeros(40, np.float32)
    run = Run(
        size=case.size,
        fps=Fraction(FPS),
        figure="drawn",
        mean=nothing,
        std=nothing + 1,
        consent={},
        drawn_seed=0,
        config=config_of(case),
        geometry=SYSTEM.geometry,
        columns=SYSTEM.columns,
    )
    return Model(system=SYSTEM, run=run, variables=variables)


def built(case: Case) -> Built:
    """A case compiled ahead of time: the seconds that took, the bytes that it needs, and the
    operations of a step as a GPU would be given it, in 1e9."""
    platform = {"platform": jax.default_backend()}
    if case.kind == "streaming":
        run = stream(case)
        began = time.perf_counter()
        run(1)
        return Built(run, STREAMED, {**platform, "compile_s": time.perf_counter() - began})
    state: Any = None
    if case.kind == "train":
        function, state, *rest = training(case)
    else:
        function, *rest = forward_of(case)
        rest = jax.device_put(rest)
    given = rest if state is None else (state, *rest)
    traced = function.trace(*given)
    began = time.perf_counter()
    compiled = traced.lower().compile()
    seconds = time.perf_counter() - began
    run = repeated(compiled, rest, state)
    run(1)
    needs = compiled.memory_analysis()
    parts = needs.argument_size_in_bytes, needs.temp_size_in_bytes, needs.output_size_in_bytes
    bytes_needed = sum(parts) - needs.alias_size_in_bytes
    gflop = traced.lower(lowering_platforms=("cuda",)).cost_analysis()["flops"] / 1e9
    facts = {**platform, "compile_s": seconds, "gflop": gflop}
    return Built(run, 1, facts, lambda: bytes_needed)


def stream(case: Case) -> Callable[[int], None]:
    """A face that speaks window by window, as it would live."""
    function, variables, windows = frames_of(case)
    inference_batches.AHEAD = 0  # a frame is there before the next window comes

    def run(steps: int) -> None:
        for _ in range(steps):
            function(variables, windows)

    return run


def frames_of(case: Case) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """Windows to frames, one at a time, which depend on those before; without dropout also without
    noise."""
    config, batch = faces.paper(), arrays(case)
    c = config.animator
    c.width, c.cells, c.dtype = case.width, case.cells, case.dtype
    c.noise_deviation *= case.dropout > 0
    model, still = animator(config), batch["still"]
    given = jnp.zeros((1, 1, 2560)), jnp.zeros((1, *still.shape)), jnp.zeros((1, 1, c.noise))
    variables = jax.jit(model.init, static_argnums=5)(
        jax.random.key(0), *given, jnp.ones(1, jnp.int32), False
    )

    def function(variables: Any, windows: np.ndarray) -> np.ndarray:
        given = {"animator": {"G": variables}}
        return np.stack(list(animate(config, given, still, windows, chunk=case.batch)))

    return function, variables, batch["windows"]


def forward_of(case: Case) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """The network in use, its variables, and its input."""
    config, batch = config_of(case), arrays(case)
    key, size = jax.random.key(0), case.size
    if case.name == "blstm":
        z_of_a = blstm_network(config)
        variables = jax.jit(z_of_a.init)(key, batch["features"])
        return jax.jit(z_of_a.apply), variables, batch["features"]
    if case.name == "vae":
        vae = vae_network(config, size)
        variables = jax.jit(vae.init)(key, jnp.zeros((1, size, size, 3)), key)
        return jax.jit(lambda v, w: reconstruct(vae, v, w)), variables, batch["figure"]
    if case.name == "synthesis":
        return chain_of(case)
    y_of_w = generator(config, size)
    init = lambda key: y_of_w.init(key, jnp.zeros((1, size, size, 3)), train=False)  # noqa: E731
    return jax.jit(lambda v, w: render(y_of_w, v, w)), jax.jit(init)(key), batch["figure"]


def chain_of(case: Case) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """Windows to frames."""
    config = config_of(case)
    variables = {}
    for name, network in (("blstm", "blstm"), ("vae", "vae"), ("seqpix2pix", "G")):
        one = forward_of(dataclasses.replace(case, name=name, kind="forward"))
        variables[name] = {network: one[1]}
    function = lambda v, a: painter(config, case.size, v)(a)[1]  # noqa: E731
    return function, variables, arrays(case)["features"]


def write_expected(case: Case, path: Path) -> None:
    """Variables, and what a step makes of them: losses and the norms of gradients, or outputs."""
    case = small(case)
    seqpix2pix_losses.UNet = lambda *sizes: UNet(*sizes, dropout=0.0)
    noise = arrays(case)["noise"]
    if case.kind == "train":
        normal, jax.random.normal = jax.random.normal, lambda *_: jnp.asarray(noise)
        step, state, frozen, batch = training(case)
        state = lively_state(state)
        networks = {name: n.variables for name, n in state.networks.items()}
        flat = _flat(networks | {"vgg": frozen["vgg"]})
        state, metrics = step(state, frozen, batch)
        jax.random.normal = normal
        if metrics[SKIPPED]:
            raise RuntimeError(f"{case}: the step is not finite")
        expected = {f"expected/{k}": v for k, v in metrics.items() if k not in NO_MEASURES}
    else:
        function, variables, x = (frames_of if case.kind == "streaming" else forward_of)(case)
        variables = lively(variables)
        alone = {"seqpix2pix": "G"}.get(case.name, case.name)
        if case.name == "synthesis":
            flat = _flat({n: x for own in variables.values() for n, x in own.items()})
        else:
            flat = _flat({alone: variables})
        expected = {"expected/output": function(variables, x)}
    np.savez(path, **flat, **{k: np.asarray(v) for k, v in expected.items()})


def lively_state(state: State) -> State:
    """A first state whose networks answer as trained ones do, see `lively`."""
    networks = {
        name: dataclasses.replace(n, params=lively(n.params), batch_stats=lively(n.batch_stats))
        for name, n in state.networks.items()
    }
    return dataclasses.replace(state, networks=networks)


def lively(tree: Any) -> Any:
    """Numbers of the size that training gives: fresh networks answer everything alike."""
    random = np.random.default_rng(1)

    def filled(path: Any, x: Any) -> Any:
        noise = random.standard_normal(x.shape, np.float32)
        fan = np.sqrt(2 / (x.size / x.shape[-1])) if x.ndim > 1 else 0.1
        positive = jax.tree_util.keystr(path).endswith(("['scale']", "['var']"))
        return jnp.asarray(np.exp(noise * 0.1) if positive else noise * np.float32(fan))

    return jax.tree_util.tree_map_with_path(filled, tree)


def _flat(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree.leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.array(x) for path, x in leaves
    }


if __name__ == "__main__":
    keep_freed_memory()
    if sys.argv[1:] == ["many"]:
        serve_many(lambda values: built(Case(**values)), together=8, trace=longest_operations)
    elif sys.argv[2:]:
        for number, values in enumerate(json.loads(sys.argv[1])):
            write_expected(Case(**values), Path(sys.argv[2]) / f"{number}.npz")
    else:
        case = Case(**json.loads(sys.argv[1]))
        make = {"train": train, "forward": forward, "synthesis": synthesise, "streaming": stream}
        parts = {"synthesis": SECONDS * FPS, "streaming": STREAMED}
        serve(make[case.kind](case), parts.get(case.kind, 1))
