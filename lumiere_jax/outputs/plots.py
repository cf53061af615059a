"""Line plots as SVG in the page's colours, light or dark."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

# matplotlib needs a concrete colour; this placeholder is replaced by the page's text colour.
_INK = "#010203"
_BLUE, _ORANGE, _GREEN = "#2f7ed8", "#e8833a", "#3aa76d"
COLOURS = {
    "training": _BLUE,
    "held out": _ORANGE,
    "true": _BLUE,
    "synthesised": _ORANGE,
    "real": _GREEN,
}
LOG_RANGE = 50
Numbers = Sequence[float | int]


def line_plot(
    series: Mapping[str, tuple[Numbers, Numbers]],
    *,
    name: str,
    xlabel: str = "",
    ylabel: str = "",
    log: bool | None = None,
    inches: tuple[float, float] = (3.6, 2.2),
) -> str:
    """Draws lines as an SVG element.

    Args:
      series: The (x, y) of each line, by label. Labels of `COLOURS` have the same colour in every
        plot. Values that are not finite leave a gap.
      name: Text for screen readers.
      xlabel: Label of the x axis.
      ylabel: Label of the y axis.
      log: Whether the y axis is logarithmic. None: where values are positive and span more than a
        factor of 50.
      inches: Width and height.
    """
    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 8,
        **{key: _INK for key in ("text.color", "axes.edgecolor", "axes.labelcolor")},
        **{key: _INK for key in ("xtick.color", "ytick.color", "legend.labelcolor")},
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=inches, layout="constrained")
        axes = figure.subplots()
        for label, (x, y) in series.items():
            colour = COLOURS.get(label)
            marker = "o" if len(x) == 1 else None
            axes.plot(x, y, label=label, color=colour, linewidth=1.2, marker=marker, markersize=3)
        values = np.concatenate([np.asarray(y, float) for _, y in series.values()])
        values = values[np.isfinite(values)]
        if log is None:
            log = bool(len(values) and values.min() > 0 and values.max() > LOG_RANGE * values.min())
        if log:
            axes.set_yscale("log")
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        if len(series) > 1:
            axes.legend(frameon=False, loc="best", fontsize=7)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    # Without width and height the SVG scales to the page's width.
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{name}"', 1)
