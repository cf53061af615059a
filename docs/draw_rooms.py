"""Draw the rooms of lumiere_jax, their sizes, and who imports whom: docs/rooms.png.

python docs/draw_rooms.py [PACKAGE_FOLDER] [PNG]
"""

import ast
import sys
from collections import Counter
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

ROOT = Path(__file__).resolve().parents[1]
# Modules at the top level of the package.
COMMON = "common"


def rooms_of(package: Path) -> tuple[Counter, Counter]:
    """Lines of each room, and import statements between rooms by (importer, imported)."""
    lines, arrows = Counter(), Counter()
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0] if path.parent != package else COMMON
        text = path.read_text()
        lines[room] += len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            found = {n.split(".")[1] for n in names if n.startswith(f"{package.name}.")}
            for other in {n if (package / n).is_dir() else COMMON for n in found} - {room}:
                arrows[room, other] += 1
    return lines, arrows


def in_circles(arrows: Counter) -> set[tuple[str, str]]:
    """The arrows whose end leads back to their start."""
    reached = set(arrows)
    while more := {(a, d) for a, b in reached for c, d in arrows if b == c} - reached:
        reached |= more
    return {(a, b) for a, b in arrows if (b, a) in reached}


def levels_of(rooms: list[str], arrows: Counter) -> dict[str, int]:
    """The length of the longest way down from each room, arrows in circles left out."""
    level, down = dict.fromkeys(rooms, 0), set(arrows) - in_circles(arrows)
    for _ in rooms:
        for importer, imported in down:
            level[importer] = max(level[importer], level[imported] + 1)
    return level


def draw(package: Path = ROOT / "lumiere_jax", png: Path = ROOT / "docs" / "rooms.png") -> None:
    """Draws a package's rooms; arrows lead from importers to what they import, red in circles."""
    lines, arrows = rooms_of(package)
    level, circles = levels_of(sorted(lines), arrows), in_circles(arrows)
    order = sorted(set(level.values()))
    height = {value: i for i, value in enumerate(order)}
    places = {}
    for value in order:
        row = sorted(room for room in level if level[room] == value)
        for i, room in enumerate(row):
            shift = 0.18 * (-1) ** height[value]
            places[room] = ((i + 0.5) / len(row) * 10 + shift, 1.5 * height[value])
    figure = Figure(figsize=(11, 1.3 * len(order) + 1), layout="constrained")
    axes = figure.subplots()
    for (importer, imported), count in arrows.items():
        arrow = FancyArrowPatch(
            places[importer],
            places[imported],
            arrowstyle="-|>",
            mutation_scale=10,
            shrinkA=20,
            shrinkB=20,
            linewidth=0.4 + 0.25 * count**0.5,
            color="red" if (importer, imported) in circles else "0.6",
            connectionstyle="arc3,rad=0.06",
        )
        axes.add_patch(arrow)
    for room, (x, y) in places.items():
        text = f"{room}\n{lines[room]:,} lines"
        box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "0.3"}
        axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box)
    axes.set(xlim=(-0.3, 10.3), ylim=(-0.7, 1.5 * len(order) - 0.7))
    axes.axis("off")
    figure.savefig(png, dpi=80)


if __name__ == "__main__":
    draw(*map(Path, sys.argv[1:]))
