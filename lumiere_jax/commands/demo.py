"""A system's demo: its four commands in order, on the drawn lecturer.

python -m lumiere_jax.commands.demo [SYSTEM]
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lumiere_jax.systems.entry import Entry
from lumiere_jax.systems.registry import ENTRIES

ROOT = Path(__file__).parents[2]
NARRATION = "lumiere_jax/drawn/narrations/second.flac"


def folder_of(entry: Entry) -> str:
    """Returns the demo's folder, relative to the root of the repository."""
    first = next(iter(ENTRIES))
    return "runs/demo" if entry.name == first else f"runs/demo_{entry.name}"


def commands(entry: Entry) -> list[list[str]]:
    """Returns the demo's scripts with their flags, in order."""
    folder = folder_of(entry)
    data, video = f"{folder}/data", f"{folder}/{entry.demo.video}"
    speak = [flag.format(data=data) for flag in entry.demo.infer]
    workdir = f"--workdir={folder}"
    return [
        ["prepare.py", "--synthetic", *entry.demo.prepare, f"--out={data}"],
        ["train.py", f"--config={entry.config}:demo", f"--data={data}", workdir],
        ["infer.py", workdir, f"--audio={NARRATION}", *speak, f"--out={video}"],
        ["evaluate.py", workdir, f"--data={data}", "--split=test", f"--out={folder}/report"],
    ]


def main(arguments: Sequence[str]) -> int:
    """Runs a system's demo, by default the first system's, and returns the exit code."""
    name = next(iter(arguments), next(iter(ENTRIES)))
    if name not in ENTRIES:
        print(f"error: SYSTEM={name}: use {' or '.join(ENTRIES)}", file=sys.stderr)
        return 2
    entry = ENTRIES[name]
    for script, *flags in commands(entry):
        if script == "prepare.py" and (ROOT / folder_of(entry) / "data" / "dataset.json").exists():
            continue
        print(f"python {' '.join([script, *flags])}", flush=True)
        if code := subprocess.run([sys.executable, script, *flags], cwd=ROOT).returncode:
            return code
    print(f"{folder_of(entry)}/{entry.demo.video}\n{folder_of(entry)}/report/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
