"""What a step's time goes into: its longest operations, by JAX's profiler."""

import collections
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.profiler import ProfileData

LONGEST = 8


def longest_operations(run: Callable[[], None]) -> list[dict[str, Any]]:
    """The operations that take the most of a run's time, with their share of all of them."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        (path,) = Path(folder).rglob("*.xplane.pb")
        spent = collections.Counter[str]()
        for name, seconds in _operations(ProfileData.from_file(str(path))):
            spent[name] += seconds
    total = sum(spent.values())
    return [
        {"operation": name[:60], "ms": 1000 * seconds, "share": seconds / total}
        for name, seconds in spent.most_common(LONGEST)
    ]


def _operations(profile: Any) -> Iterator[tuple[str, float]]:
    """Names and seconds of a GPU's kernels, or of what the CPU's threads did for XLA."""
    planes = {plane.name: plane for plane in profile.planes}
    device = next((p for name, p in planes.items() if name.startswith("/device:")), None)
    for line in (device or planes["/host:CPU"]).lines:
        if line.name.startswith("Stream" if device else "tf_XLA"):
            for event in line.events:
                # A CPU's threads tell of their own affairs too.
                own = not device and ("::" in event.name or event.name.startswith("end: "))
                if event.duration_ns and not own:
                    yield event.name, event.duration_ns / 1e9
