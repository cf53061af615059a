"""kill -9 at random moments of all three scripts, and SIGTERM and Ctrl-C of the longest."""

from pathlib import Path
from random import Random

from torture import infer_kills, prepare_kills, train_kills
from torture.footage import dataset
from torture.rows import Row
from torture.tally import Tally

# Fifty kills; those of MediaPipe's program and those that change the number of devices are more.
PREPARE, DRAWN, TRAIN, INFER, ESTIMATOR = 14, 3, 23, 10, 2


def torture(folder: Path, seed: int = 0, short: bool = False) -> list[Row]:
    """All of it; the short form has a tenth of the kills."""
    share = 10 if short else 1
    random, tally = Random(seed), Tally()
    data = dataset(folder)
    whole = train_kills.torture(folder / "train", data, random, tally, max(2, TRAIN // share))
    few = max(2, PREPARE // share), DRAWN // share
    for part in (
        lambda: train_kills.other_devices(folder / "train", data, whole, tally),
        lambda: train_kills.stops(folder / "train", data, random, tally),
        lambda: infer_kills.torture(folder / "infer", whole, random, tally, max(2, INFER // share)),
        lambda: prepare_kills.torture(folder / "prepare", random, tally, *few),
        lambda: prepare_kills.torture_estimator(
            folder / "estimator", random, tally, ESTIMATOR // share
        ),
    ):
        try:
            part()
        except Exception as error:  # the other parts' numbers are not lost with it
            tally.tried("a torture of kills ran to its end", f"{type(error).__name__}: {error}")
    return tally.rows
