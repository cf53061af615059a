"""Measure a trained model on frames that it has not seen, and write a report to look at.

  python evaluate.py --workdir=runs/ada --data=data/ada --split=test --out=runs/ada/report

Writes metrics.json and index.html (numbers, pictures, loss curves, the video beside the real one).
An older report in the same place is replaced.
"""

from pathlib import Path

from absl import flags

from lumiere_jax.errors import UserError
from lumiere_jax.workflows import cli

WORKDIR = flags.DEFINE_string(
    "workdir", None, "A workdir in which train.py has trained all stages."
)
DATA = flags.DEFINE_string("data", None, "A dataset made by prepare.py.")
SPLIT = flags.DEFINE_string("split", "test", "One of test, val, train.")
OUT = flags.DEFINE_string("out", None, "The report's folder.")


def main() -> None:
    if not (WORKDIR.value and DATA.value and OUT.value):
        raise UserError("name --workdir, --data and --out (see --help).")
    from lumiere_jax.outputs.report import text_table
    from lumiere_jax.workflows.evaluate import evaluate

    metrics = evaluate(
        workdir=Path(WORKDIR.value),
        data=Path(DATA.value),
        split=SPLIT.value,
        out=Path(OUT.value),
    )
    print(text_table(metrics))
    print(f"{OUT.value}/index.html: the report; the numbers are in {OUT.value}/metrics.json.")


if __name__ == "__main__":
    cli.run(main)
