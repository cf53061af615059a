"""Hours of LumièreNet's training that measured steps foretell, by hours of footage and devices.

  python benchmarks/projection.py [--device=NAME] [--dtype=bfloat16] [--results=FILE]

Reads what compare.py has measured, and prints a table with its arithmetic. Assumptions: more
footage is seen as often as the preset `paper` sees the paper's four hours, the global batch grows
with the devices at the same number of examples, and of every device that is added EFFICIENCY is
left.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lumiere_jax.errors import UserError  # noqa: E402
from lumiere_jax.systems.lumierenet.config import Config  # noqa: E402

FPS, SIZE, PAPERS_HOURS = 30, 256, 4
HOURS = (4, 100, 10_000)
# Devices, and which share of their steps is left when gradients are summed over them.
EFFICIENCY = {1: 1.0, 8: 0.9, 64: 0.8}


@dataclass(frozen=True)
class Stage:
    """Examples that the paper's run takes, how many its footage has, and a measured step."""

    name: str
    examples: int
    items: int
    batch: int
    ms: float
    device: str

    @property
    def epochs(self) -> float:
        """How often the paper's footage is seen."""
        return self.examples / self.items

    def hours(self, footage: float, devices: int) -> float:
        """Hours of training on so many hours of footage."""
        seconds = self.examples * footage / PAPERS_HOURS * self.ms / 1000 / self.batch
        return seconds / 3600 / (devices * EFFICIENCY[devices])


def measured(results: list[dict[str, Any]], device: str | None, dtype: str) -> list[Stage]:
    """The stages with their step of the largest batch; a UserError where one was not measured."""
    steps = [r for r in results if r["pass"] == "train" and r["size"] in (None, SIZE)]
    known = sorted({r["device"] for r in steps})
    if device is None and len(known) > 1:
        raise UserError(f"several devices were measured: choose --device={' or '.join(known)}.")
    device = device or (known[0] if known else "none")
    config, frames = Config(), PAPERS_HOURS * 3600 * FPS
    stages = []
    for name, items in (
        ("vae", frames),
        ("blstm", frames),
        ("seqpix2pix", frames // config.seqpix2pix.stride),
    ):
        own = [r for r in steps if (r["name"], r["device"], r["dtype"]) == (name, device, dtype)]
        if not own:
            raise UserError(
                f"no training step of '{name}' was measured on {device} in {dtype} at {SIZE} px: "
                f"run benchmarks/compare.py there (known: {', '.join(known) or 'none'})."
            )
        best = max(own, key=lambda r: r["batch"])
        c = getattr(config, name)
        where = f"{device}, in {dtype}"
        stages.append(Stage(name, c.steps * c.batch, items, best["batch"], best["ours_ms"], where))
    return stages


def table(stages: list[Stage]) -> str:
    """Hours of training, a row a stage and their sum, in Markdown."""
    columns = [(footage, devices) for footage in HOURS for devices in EFFICIENCY]
    heads = [f"{footage:,} h on {devices}" for footage, devices in columns]
    rows = [["footage, devices", *heads], ["---"] + ["---:"] * len(columns)]
    hours = {s.name: [s.hours(*column) for column in columns] for s in stages}
    hours["together"] = [sum(column) for column in zip(*hours.values(), strict=True)]
    rows += [[name, *map(_shown, values)] for name, values in hours.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def arithmetic(stages: list[Stage]) -> str:
    """Where the numbers come from, a line a stage."""
    frames = PAPERS_HOURS * 3600 * FPS
    lines = [
        f"A device is {stages[0].device}. "
        f"{PAPERS_HOURS} h are {PAPERS_HOURS} · 3600 · {FPS} = {frames:,} frames. "
        f"Hours of training are examples · footage / {PAPERS_HOURS} h · ms / batch / 3,600,000 / "
        "(devices · efficiency), and the efficiency "
        + ", ".join(f"{share} on {devices}" for devices, share in EFFICIENCY.items())
        + " (assumed)."
    ]
    lines += [
        f"- {s.name}: {s.examples:,} examples at 4 h, which is each of {s.items:,} "
        f"{s.epochs:,.1f} times; a step of {s.batch} takes {s.ms:,.1f} ms."
        for s in stages
    ]
    return "\n".join(lines)


def _shown(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 0.1 else f"{hours:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.json")
    parser.add_argument("--device", help="as results.json names it; needed where it has several")
    parser.add_argument("--dtype", default="float32")
    arguments = parser.parse_args()
    try:
        if not arguments.results.exists():
            raise UserError(f"{arguments.results} is not there: run benchmarks/compare.py first.")
        results = json.loads(arguments.results.read_text())
        stages = measured(results, arguments.device, arguments.dtype)
    except UserError as error:
        parser.exit(2, f"error: {error}\n")
    print(f"{table(stages)}\n\n{arithmetic(stages)}")


if __name__ == "__main__":
    main()
