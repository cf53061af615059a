"""Make the README's picture from the demo: figures, synthesised frames and the real ones.

python docs/make_picture.py [WORKDIR] [DATA] [OUT]
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lumiere_jax.inputs import archive
from lumiere_jax.inputs.lectures import open_dataset
from lumiere_jax.systems.lumierenet import synthesise
from lumiere_jax.systems.pictures import sheet
from lumiere_jax.workflows.infer import load_model

COLUMNS, BLOCK = 7, 105


def main(workdir: Path, data: Path, out: Path) -> None:
    """One column every `BLOCK` frames of the test split's first segment."""
    dataset = open_dataset(data)
    model = load_model(workdir)
    times = range(BLOCK // 2, COLUMNS * BLOCK, BLOCK)
    rows = dataset.features("test")[: times[-1] + 1]
    made = list(synthesise(model.run.config, model.run.size, model.variables, [rows]))
    records = dataset.records("test")
    picture = sheet(
        [
            np.stack([made[t].figure for t in times]),
            np.stack([made[t].frame for t in times]),
            np.stack([archive.decode(records[t]["frame"]) for t in times]),
        ]
    )
    out.write_bytes(archive.encode_png(picture))


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    defaults = [Path("runs/demo"), Path("runs/demo/data"), Path("docs/demo.png")]
    main(*given, *defaults[len(given) :])
