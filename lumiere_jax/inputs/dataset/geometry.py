"""Framing and shape of a dataset's pictures."""

from dataclasses import dataclass

SIZES = (64, 128, 256, 512, 1024)


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A way to frame a speaker.

    Attributes:
      name: Its name in datasets and workdirs.
      sizes: Rows that pictures may have.
      size: Default rows of pictures.
      fps: Default frames a second of footage.
      quarters: Cols of a picture, in quarters of its rows.
      aligned: Whether every frame is turned and scaled so that the face stays in one place.
      pictures: What its datasets show, for messages.
      scheme: Value of a dataset's `figure`, for a geometry without figures.
    """

    name: str
    sizes: tuple[int, ...] = SIZES
    size: int
    fps: str
    quarters: int = 4
    aligned: bool = False
    pictures: str
    scheme: str = ""

    def shape(self, size: int) -> tuple[int, int]:
        """Returns rows and cols of pictures of `size` rows."""
        return size, size * self.quarters // 4


SQUARE = Geometry(name="square", size=256, fps="30", pictures="lectures")
FACE = Geometry(
    name="face",
    sizes=SIZES[1:],
    size=128,
    fps="25",
    quarters=3,
    aligned=True,
    pictures="aligned faces",
    scheme="aligned face",
)
# By name, as in datasets and workdirs.
GEOMETRIES = {geometry.name: geometry for geometry in (SQUARE, FACE)}
