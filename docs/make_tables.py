"""Print the tables of docs/experiments.md from experiments.py's results.

python docs/make_tables.py OUT [OUT ...]

A cell has one number for each folder, in their order; "–" where a trial has none. First the trials
that draw frames, then those that are a VAE alone, below the first trial's own.
"""

import json
import sys
from pathlib import Path
from typing import Any

PICTURES = (
    ("PSNR", "psnr", 1),
    ("SSIM", "ssim", 2),
    ("face", "face_psnr", 1),
    ("mouth", "mouth_psnr", 1),
    ("hands", "hands_psnr", 1),
)
FIGURES = [(title, "vae", measure, digits) for title, measure, digits in PICTURES]
FRAMES = [
    *((title, "seqpix2pix", measure, digits) for title, measure, digits in PICTURES),
    ("flicker", "seqpix2pix", "flicker", 2),
    ("from reconstructions", "seqpix2pix", "reconstructed_psnr", 1),
    ("chain", "video", "psnr", 1),
    ("chain's mouth correlation", "video", "mouth_correlation", 2),
]


def tables(outs: list[Path]) -> list[str]:
    """Markdown, with the rows of the first folder."""
    results = [json.loads((out / "results.json").read_text()) for out in outs]
    measures = results[0]["measures"]
    alone = [name for name, stages in measures.items() if set(stages) == {"vae"}]
    drawn = [name for name in measures if name not in alone]
    rows = [[f"`{name}`", *_cells(results, name, FRAMES)] for name in drawn]
    found = [_table([title for title, *_ in FRAMES], rows)]
    if alone:
        rows = [[f"`{name}`", *_cells(results, name, FIGURES)] for name in (drawn[0], *alone)]
        found.append(_table([title for title, *_ in FIGURES], rows))
    return found


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [["", *titles], ["---"] * (len(titles) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(results: list[dict[str, Any]], name: str, columns: Any) -> list[str]:
    cells = []
    for _, stage, measure, digits in columns:
        values = [r["measures"].get(name, {}).get(stage, {}).get(measure) for r in results]
        shown = ["–" if value is None else f"{value:.{digits}f}" for value in values]
        cells.append(" / ".join(shown))
    return cells


if __name__ == "__main__":
    print("\n\n".join(tables([Path(out) for out in sys.argv[1:]])))
