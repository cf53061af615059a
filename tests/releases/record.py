"""Records steps and parameters, to show that a refactoring changes no number.

    python tests/releases/record.py write            records the code that is checked out
    python tests/releases/record.py write runs/demo  records a demo's report
    python tests/releases/record.py compare          says what is no longer as it was recorded
    python tests/releases/record.py steps            the same of the steps alone
    python tests/releases/record.py demo runs/demo   the same of a demo's report
    python tests/releases/record.py texts FOLDER     the steps' StableHLO, for diff

The record is of each preset's training steps (StableHLO, without the names of the module and its
results) and of each stage's parameters after three steps from seed 0 on the dataset that release
0.3.0 made. StableHLO depends on JAX's version, and the last bits of parameters on the processor:
parameters are compared by hash where both are those of the record, and within 1e-6 elsewhere.
"""

import hashlib
import json
import os
import re
import runpy
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

from lumiere_jax.commands.train import train
from lumiere_jax.runtime import compiled_programs
from lumiere_jax.systems import registry
from lumiere_jax.training import checkpoint, device_mesh

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
RELEASE = FOLDER / "release_0_3_0.tar.xz"
STEPS, PARAMETERS = FOLDER / "steps.json", FOLDER / "parameters.npz"
DEMOS = FOLDER / "demos.json"
PRESETS = {
    "lumierenet": ("paper", "lecture", "small", "demo", "tiny"),
    "temporal_gan": ("paper", "small", "demo", "tiny", "small-l1", "small-frame", "small-static"),
}
DATA = {"lumierenet": "lectures", "temporal_gan": "faces"}
TRAINED = ("tiny", "demo")
STEPS_TAKEN = 3
# Values compared per array.
KEPT = 16
TOLERANCE = 1e-6
# How far a demo's numbers may move: PSNR in dB, and the others. The MSE is the PSNR once more.
DECIBELS, OTHERS = 0.1, 0.01
UNNAMED = (
    (re.compile(r"^module @\w+", re.MULTILINE), "module @step"),
    (re.compile(r'jax\.result_info = "[^"]*"(, )?'), ""),
)


def get_config(system: str, preset: str) -> Any:
    """A preset's config, with random weights where it wants VGG-19's."""
    config = runpy.run_path(str(ROOT / "configs" / f"{system}.py"))["get_config"](preset)
    if getattr(config, "vgg", "none") != "none":
        config.vgg = "random"
    return config


def lowered_steps() -> Iterator[tuple[str, str]]:
    """The StableHLO of each preset's steps at 128 px, by "system preset stage"."""
    for system, presets in PRESETS.items():
        for preset in presets:
            config = get_config(system, preset)
            shape = (128, 128) if system == "lumierenet" else (128, 96)
            frozen = registry.of(config).pretrained(config)
            if system == "temporal_gan":
                config.animator.epoch = 10
            stages = registry.of(config).stages(config, shape)
            if system == "lumierenet":
                vae = jax.eval_shape(stages["vae"].init, jax.random.key(0)).networks["vae"]
                frozen["vae"] = vae.inference_variables
            for name, stage in stages.items():
                state = jax.eval_shape(stage.init, jax.random.key(0))
                step = device_mesh.compile_step(stage, device_mesh.data_mesh(1))
                text = step.lower(state, frozen, batch_of(name, stage.batch, config, shape))
                text = text.as_text()
                for named, nameless in UNNAMED:
                    text = named.sub(nameless, text)
                yield f"{system} {preset} {name}", text


def batch_of(stage: str, size: int, config: Any, shape: tuple[int, int]) -> dict[str, Any]:
    """The shapes of a stage's batch."""

    def pictures(*lead: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((size, *lead, *shape, 3), jnp.uint8)

    def numbers(*rest: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((size, *rest), jnp.float32)

    if stage == "vae":
        return {"figure": pictures(), "keypoints": numbers(137, 3)}
    if stage == "blstm":
        return {
            "features": numbers(config.blstm.window, 40),
            "codes": numbers(config.vae.code),
        }
    if stage == "seqpix2pix":
        return {"figures": pictures(3), "frames": pictures(3), "keypoints": numbers(3, 137, 3)}
    frames = 75
    return {
        "frames": pictures(frames),
        "still": pictures(),
        "windows": numbers(frames, 2560),
        "lengths": jax.ShapeDtypeStruct((size,), jnp.int32),
    }


def trained_parameters() -> Iterator[tuple[str, list[np.ndarray]]]:
    """Each network's arrays after three steps, by "system preset stage network"."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(RELEASE) as archive:
        archive.extractall(folder, filter="data")
        for system in PRESETS:
            for preset in TRAINED:
                config = get_config(system, preset)
                data = Path(folder) / "release" / DATA[system]
                workdir = Path(folder) / f"{system} {preset}"
                for name in registry.of(config).networks:
                    getattr(config, name).steps = STEPS_TAKEN
                train(config=config, data=data, workdir=workdir)
                shape = (64, 64) if system == "lumierenet" else (128, 96)
                for name, stage in registry.of(config).stages(config, shape).items():
                    state = restored(workdir / name, stage)
                    for network, found in state.networks.items():
                        leaves = jax.tree.leaves(found)
                        yield f"{system} {preset} {name} {network}", leaves


def restored(folder: Path, stage: Any) -> Any:
    """A stage's newest state."""
    abstract = checkpoint.abstract_state(stage, device_mesh.whole(device_mesh.data_mesh(1)))
    with checkpoint.open_checkpoints(folder, alone=True) as manager:
        step = manager.latest_step()
        assert step is not None
        return checkpoint.restore(manager, step, abstract)


def digest(content: bytes) -> str:
    """SHA-256 of the content."""
    return hashlib.sha256(content).hexdigest()


def summary(leaves: list[np.ndarray]) -> tuple[str, np.ndarray]:
    """A hash of all arrays' bytes, and a few numbers of each over its RMS, and that."""
    kept = []
    for leaf in map(np.asarray, leaves):
        flat = leaf.ravel().astype(np.float64)
        places = np.linspace(0, flat.size - 1, KEPT).astype(int)
        rms = np.sqrt(np.mean(flat**2)) or 1.0
        kept.append(np.append(flat[places] / rms, rms))
    return digest(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)), np.stack(kept)


def maker() -> str:
    """The versions and the processor that hashes of parameters depend on."""
    return f"jax {jax.__version__}, {compiled_programs.machine_name()}"


def write() -> None:
    """Writes the record."""
    hashes = {name: digest(text.encode()) for name, text in lowered_steps()}
    STEPS.write_text(json.dumps({"jax": jax.__version__, **hashes}, indent=1) + "\n")
    known: dict[str, Any] = {"maker": np.array(maker())}
    for name, leaves in trained_parameters():
        hashed, kept = summary(leaves)
        known |= {f"{name} hash": np.array(hashed), name: kept}
    np.savez_compressed(PARAMETERS, **known)


def compare_steps() -> list[str]:
    """What of the steps' StableHLO is not as it was recorded, a line each."""
    before = json.loads(STEPS.read_text())
    if (made_by := before.pop("jax")) != jax.__version__:
        return [f"steps were recorded with jax {made_by}, not {jax.__version__}: not compared"]
    now = {name: digest(text.encode()) for name, text in lowered_steps()}
    names = sorted(name for name in before | now if before.get(name) != now.get(name))
    return [f"{name}: another StableHLO" for name in names]


def compare_parameters() -> tuple[list[str], float]:
    """What of the parameters is not as it was recorded, a line each, and the largest deviation of
    a number over its array's RMS."""
    with np.load(PARAMETERS) as file:
        before = dict(file)
    same_maker, found, largest = str(before.pop("maker")) == maker(), [], 0.0
    for name, leaves in trained_parameters():
        hashed, kept = summary(leaves)
        hash_before, kept_before = before.pop(f"{name} hash", ""), before.pop(name, np.zeros(0))
        if kept.shape != kept_before.shape:
            found.append(f"{name}: other arrays")
            continue
        values, rms = np.abs(kept - kept_before)[:, :-1].max(), kept[:, -1] / kept_before[:, -1]
        deviation = max(values, np.abs(rms - 1).max())
        largest = max(largest, deviation)
        if deviation > TOLERANCE:
            found.append(f"{name}: {deviation:.1e} of an array's RMS away")
        elif same_maker and hashed != str(hash_before):
            found.append(f"{name}: other bits, within {deviation:.1e}")
    return found + [f"{name} is gone" for name in before if not name.endswith(" hash")], largest


def compare_demo(workdir: Path) -> list[str]:
    """What of a demo's `metrics.json` is not as it was recorded, a line each."""
    found = json.loads((workdir / "report" / "metrics.json").read_text())
    lines = []
    for part, values in json.loads(DEMOS.read_text())[workdir.name].items():
        for name, before in values.items():
            now = found[part][name]
            far = DECIBELS if "psnr" in name else OTHERS
            if name != "mse" and not abs(now - before) <= far:
                lines.append(f"{part} {name}: {now:.4f}, was {before:.4f}")
    return lines


def main(arguments: list[str]) -> int:
    match arguments:
        case ["write"]:
            write()
            return 0
        case ["write", workdir]:
            demos = json.loads(DEMOS.read_text()) if DEMOS.exists() else {}
            metrics = Path(workdir) / "report" / "metrics.json"
            demos[Path(workdir).name] = json.loads(metrics.read_text())
            DEMOS.write_text(json.dumps(demos, indent=1) + "\n")
            return 0
        case ["compare"]:
            lines, largest = compare_parameters()
            print(f"largest deviation of a parameter: {largest:.1e} of its array's RMS")
            lines += compare_steps()
        case ["steps"]:
            lines = compare_steps()
        case ["demo", workdir]:
            lines = compare_demo(Path(workdir))
        case ["texts", folder]:
            Path(folder).mkdir(parents=True)
            for name, text in lowered_steps():
                (Path(folder) / f"{name}.mlir").write_text(text)
            return 0
        case _:
            print(__doc__)
            return 2
    print("\n".join(lines) or "all as it was recorded")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
