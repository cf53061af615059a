"""Print the README's tables of experiments.py's results.

python docs/make_tables.py OUT [OUT ...]

A cell has one number for each folder, in their order; "–" where a trial has none.
"""

import json
import sys
from pathlib import Path
from typing import Any

COLUMNS = (
    ("PSNR", "seqpix2pix", "psnr", 1),
    ("SSIM", "seqpix2pix", "ssim", 2),
    ("face", "seqpix2pix", "face_psnr", 1),
    ("mouth", "seqpix2pix", "mouth_psnr", 1),
    ("hands", "seqpix2pix", "hands_psnr", 1),
    ("flicker", "seqpix2pix", "flicker", 2),
    ("from reconstructions", "seqpix2pix", "reconstructed_psnr", 1),
    ("chain", "video", "psnr", 1),
    ("chain's mouth correlation", "video", "mouth_correlation", 2),
)


def table(outs: list[Path]) -> str:
    """Markdown: a row for each trial of the first folder."""
    results = [json.loads((out / "results.json").read_text()) for out in outs]
    titles = ["", *(title for title, *_ in COLUMNS), "minutes of SeqPix2Pix"]
    lines = [titles, ["---"] * len(titles)]
    for name in results[0]["measures"]:
        cells = [_cell(results, name, *rest) for _, *rest in COLUMNS]
        lines.append([name, *cells, " / ".join(_minutes(each, name) for each in results)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(results: list[dict[str, Any]], name: str, stage: str, measure: str, digits: int) -> str:
    values = [each["measures"].get(name, {}).get(stage, {}).get(measure) for each in results]
    return " / ".join("–" if value is None else f"{value:.{digits}f}" for value in values)


def _minutes(results: dict[str, Any], name: str) -> str:
    row = next((row for row in results["table_1"] if row["name"] == name), {"seconds": {}})
    seconds = row["seconds"].get("seqpix2pix")
    return "–" if seconds is None else f"{seconds / 60:.1f}"


if __name__ == "__main__":
    print(table([Path(out) for out in sys.argv[1:]]))
