"""What the pictures of a dataset show, and their shape."""

from dataclasses import dataclass

SIZES = (64, 128, 256, 512, 1024)


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A way to frame a speaker.

    Attributes:
      name: Its name in datasets and workdirs.
      sizes: Rows that pictures may have.
      size: Rows of pictures, unless a user says another number.
      fps: Frames a second of footage, unless a user says another number.
      quarters: Cols of a picture, in quarters of its rows.
      aligned: Whether every frame is turned and scaled so that the face stays in one place.
      pictures: What a dataset of them is of, for messages.
      scheme: Its name for figures in datasets, where its pictures have none.
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
        """Rows and cols of pictures of `size` rows."""
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
# By the name that datasets and workdirs have for it.
GEOMETRIES = {geometry.name: geometry for geometry in (SQUARE, FACE)}
