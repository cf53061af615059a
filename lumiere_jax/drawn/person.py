"""The person that is drawn: looks by seed, and landmarks of the face, the arms and the hands.

No colour but the two wrist bands' is green or magenta, so that the bands can be found by colour. In
all others, G stays within 10 of the larger of R and B, and the smaller of R and B within 10 of G.
"""

from dataclasses import dataclass

import numpy as np

from lumiere_jax.drawn import paint
from lumiere_jax.drawn.paint import Colour

EYES, NOSE, MOUTH, CHIN, EARS = 0.315, 0.374, 0.410, 0.488, 0.300
SHOULDERS = np.array([(0.730, 0.662), (0.270, 0.662)])  # left, right, as the person has them
REST = np.array([(0.640, 0.900), (0.360, 0.900)])
UPPER_ARM, FOREARM, HAND = 0.285, 0.268, 0.190
LEFT_BAND, RIGHT_BAND = (20, 205, 70), (235, 30, 190)

_SKIN = {
    "fair": ((172, 104, 82), (238, 188, 158), (255, 226, 202)),
    "light": ((158, 94, 68), (228, 172, 136), (252, 212, 178)),
    "olive": ((136, 80, 54), (206, 150, 110), (238, 192, 152)),
    "brown": ((96, 54, 32), (166, 110, 72), (212, 156, 112)),
    "deep": ((70, 38, 20), (136, 86, 54), (184, 128, 88)),
}
_HAIR = {
    "black": ((14, 13, 16), (42, 38, 40), (116, 108, 108)),
    "brown": ((36, 22, 16), (88, 55, 37), (166, 116, 80)),
    "auburn": ((58, 22, 14), (132, 62, 34), (206, 122, 74)),
    "blonde": ((116, 80, 38), (202, 158, 94), (250, 222, 162)),
    "grey": ((74, 75, 80), (142, 143, 148), (222, 223, 226)),
}
_CLOTH = {
    "navy": ((14, 21, 42), (42, 60, 102), (98, 122, 168)),
    "charcoal": ((26, 28, 34), (70, 74, 84), (128, 134, 146)),
    "burgundy": ((54, 16, 22), (122, 44, 50), (178, 92, 92)),
    "camel": ((106, 74, 46), (186, 144, 100), (228, 196, 156)),
    "denim": ((36, 58, 94), (84, 122, 170), (148, 182, 218)),
    "teal": ((10, 50, 62), (30, 104, 122), (94, 164, 178)),
}
_SHIRT = {
    "cream": ((176, 162, 144), (240, 232, 218), (255, 251, 242)),
    "white": ((164, 170, 184), (232, 236, 243), (255, 255, 255)),
    "sky": ((110, 138, 178), (176, 202, 232), (216, 232, 248)),
    "ink": ((16, 18, 24), (40, 43, 52), (92, 98, 110)),
}
_EYES = ((78, 50, 32), (62, 92, 128), (96, 92, 66), (52, 36, 28), (94, 108, 122))
# The people of seeds 0 to 4: skin, hair, style, clothes, cut, shirt, slender, glasses, room.
_CAST = (
    ("light", "brown", "long", "navy", "blazer", "cream", True, False, "study"),
    ("deep", "black", "short", "camel", "sweater", "white", False, False, "screen"),
    ("brown", "black", "curly", "teal", "blazer", "white", True, False, "window"),
    ("fair", "grey", "short", "charcoal", "blazer", "sky", False, True, "study"),
    ("olive", "auburn", "bob", "burgundy", "sweater", "cream", True, False, "screen"),
)
_STYLES = ("long", "short", "curly", "bob", "bun")


@dataclass(frozen=True)
class Person:
    skin: np.ndarray
    skin_tone: Colour
    skin_shadow: Colour
    hair: np.ndarray
    hair_tone: Colour
    hair_shadow: Colour
    style: str
    cloth: np.ndarray
    cut: str
    shirt: np.ndarray
    room: str
    lips: Colour
    iris: Colour
    slender: bool
    glasses: bool
    cheek: float  # half the face's width
    squareness: float  # exponent of the jaw's outline
    eye_gap: float
    eye_size: float
    brow: float  # thickness
    nose: float
    lip: float  # fullness, 1 is usual


def cast(seed: int) -> Person:
    """Makes the person of a seed: seeds 0 to 4 are cast by hand, the others by chance."""
    rng = np.random.default_rng([seed, 11])
    names = [list(table) for table in (_SKIN, _HAIR, _STYLES, _CLOTH)]
    skin, hair, style, cloth = (str(rng.choice(table)) for table in names)
    slender = style != "short"
    cut, shirt = str(rng.choice(["blazer", "sweater"])), str(rng.choice(list(_SHIRT)))
    room, glasses = str(rng.choice(["study", "screen", "window"])), bool(rng.random() < 0.25)
    if seed < len(_CAST):
        skin, hair, style, cloth, cut, shirt, slender, glasses, room = _CAST[seed]
    tone, shadow = _SKIN[skin][1], _SKIN[skin][0]
    lips = 0.50 * np.array(tone) + 0.50 * np.array((192, 44, 60) if slender else (150, 66, 60))
    lips[2] = min(lips[2], lips[1] + 4)
    return Person(
        skin=paint.ramp(*_SKIN[skin]),
        skin_tone=tone,
        skin_shadow=shadow,
        hair=paint.ramp(*_HAIR[hair]),
        hair_tone=_HAIR[hair][1],
        hair_shadow=_HAIR[hair][0],
        style=style,
        cloth=paint.ramp(*_CLOTH[cloth]),
        cut=cut,
        shirt=paint.ramp(*_SHIRT[shirt]),
        room=room,
        lips=tuple(int(c) for c in lips),
        iris=_EYES[rng.integers(len(_EYES))] if skin in ("fair", "light") else _EYES[3],
        slender=slender,
        glasses=glasses,
        cheek=rng.uniform(0.129, 0.134) if slender else rng.uniform(0.133, 0.139),
        squareness=rng.uniform(0.86, 0.94) if slender else rng.uniform(0.72, 0.80),
        eye_gap=rng.uniform(0.056, 0.060),
        eye_size=rng.uniform(1.06, 1.16) if slender else rng.uniform(0.92, 1.0),
        brow=rng.uniform(0.0075, 0.009) if slender else rng.uniform(0.011, 0.0135),
        nose=rng.uniform(0.88, 1.0) if slender else rng.uniform(1.05, 1.2),
        lip=rng.uniform(1.05, 1.2) if slender else rng.uniform(0.8, 0.95),
    )


def jaw(person: Person, drop: float = 0.0) -> np.ndarray:
    """Returns the outline (17, 2) from the right ear over the chin to the left ear."""
    angle = np.linspace(np.pi, 0, 17)
    c, s = np.cos(angle), np.sin(angle)
    x = 0.5 + person.cheek * np.sign(c) * np.abs(c) ** person.squareness
    y = EARS + (CHIN - EARS) * s**0.96
    return np.stack([x, stretch(y, drop)], 1)


def stretch(y: np.ndarray, drop: float) -> np.ndarray:
    """Spreads heights on the face below the nose, for a chin that falls by `drop`."""
    return y + drop * np.maximum(y - NOSE, 0) / (CHIN - NOSE)


def jaw_drop(aperture: float) -> float:
    return 0.5 * aperture


def face_points(person: Person, aperture, width, lids, gaze, brows) -> np.ndarray:
    """Returns the 70 landmarks (70, 2) of the face looking straight ahead."""
    points = np.zeros((70, 2))
    points[:17] = jaw(person, jaw_drop(aperture))
    across = np.array([0.106, 0.088, 0.066, 0.044, 0.022])
    height = np.array([0.274, 0.2635, 0.260, 0.264, 0.2705]) - 0.010 * brows
    points[17:22] = np.stack([0.5 - across, height], 1)
    points[22:27] = np.stack([0.5 + across, height], 1)[::-1]
    points[27:31] = np.stack([np.full(4, 0.5), np.linspace(0.308, 0.358, 4)], 1)
    base = np.array([-0.026, -0.013, 0, 0.013, 0.026]) * person.nose
    points[31:36] = np.stack(
        [0.5 + base, NOSE + np.array([-0.004, 0.001, 0.003, 0.001, -0.004])], 1
    )
    for first, side in ((36, -1), (42, 1)):
        eye = _eye(person, lids)
        eye[:, 0] *= -side
        centre = np.array([0.5 + side * person.eye_gap, EYES])
        order = [0, 1, 2, 3, 4, 5] if side < 0 else [3, 2, 1, 0, 5, 4]
        points[first : first + 6] = centre + eye[order]
        look = np.array([0.009, 0.004]) * gaze * person.eye_size
        points[68 if side < 0 else 69] = centre + look + (0, -0.0015)
    points[48:68] = _lips(person, aperture, width)
    return points


def _eye(person: Person, lids: float) -> np.ndarray:
    """Returns an eye: outer corner, two of the upper lid, inner corner, two of the lower.

    The outer side is at +x.
    """
    w = 0.0285 * person.eye_size
    upper, lower = -0.0138 * person.eye_size, 0.0105 * person.eye_size
    upper = lower * 0.75 + (upper - lower * 0.75) * lids
    x = np.array([w, 0.38 * w, -0.36 * w, -w, -0.36 * w, 0.40 * w])
    y = np.array([-0.003, upper, upper * 0.97, 0.004, lower, lower])
    return np.stack([x, y], 1)


def _lips(person: Person, aperture: float, width: float) -> np.ndarray:
    half = 0.0525 * width
    top, bottom = MOUTH - 0.22 * aperture, MOUTH + 0.78 * aperture
    corner = MOUTH - 0.0035 + 0.16 * aperture
    thin = 1 - 4 * aperture  # stretched lips are thinner
    upper, lower = 0.0125 * person.lip * thin, 0.0165 * person.lip * thin
    outer_x = np.array([-1, -0.64, -0.24, 0, 0.24, 0.64, 1, 0.70, 0.34, 0, -0.34, -0.70]) * half
    rise = [0, 0.66, 1.08, 0.86, 1.08, 0.66, 0]
    outer_y = [corner + (top - corner) * min(1.0, 1.15 * r) - upper * r for r in rise]
    fall = [0.66, 0.95, 1, 0.95, 0.66]
    outer_y += [corner + (bottom - corner) * min(1.0, 1.06 * f) + lower * f for f in fall]
    inner_x = np.array([-0.88, -0.50, 0, 0.50, 0.88, 0.50, 0, -0.50]) * half
    high, low = corner + (top - corner) * 0.80, corner + (bottom - corner) * 0.80
    inner_y = [corner, high, top, high, corner, low, bottom, low]
    x = np.concatenate([outer_x, inner_x]) + 0.5
    return np.stack([x, np.array(outer_y + inner_y)], 1)


def elbow(shoulder: np.ndarray, wrist: np.ndarray, outward: float) -> np.ndarray:
    """Returns where two bones of fixed length meet, on the side away from the body."""
    line = wrist - shoulder
    reach = np.clip(np.hypot(*line), UPPER_ARM - FOREARM + 0.02, UPPER_ARM + FOREARM - 1e-3)
    unit = line / max(np.hypot(*line), 1e-6)
    along = (UPPER_ARM**2 - FOREARM**2 + reach**2) / (2 * reach)
    side = np.array([unit[1], -unit[0]]) * outward
    return shoulder + along * unit + np.sqrt(max(UPPER_ARM**2 - along**2, 0)) * side


def hand_points(wrist: np.ndarray, angle: float, spread: float, outward: float) -> np.ndarray:
    """Returns a hand's 21 landmarks (21, 2), pointing along `angle` with its thumb upwards."""
    points = np.zeros((21, 2))
    points[1:5] = [(0.15, 0.15), (0.29, 0.26 + 0.05 * spread), (0.41, 0.33 + 0.10 * spread)] + [
        (0.52, 0.37 + 0.14 * spread)
    ]
    bend = 1 - spread
    for finger, (x, y, length, fan) in enumerate(
        [(0.50, 0.165, 0.42, 9), (0.53, 0.055, 0.47, 2), (0.505, -0.06, 0.43, -5)]
        + [(0.45, -0.16, 0.34, -13)]
    ):
        first = 5 + 4 * finger
        turn = np.radians(fan * (0.45 + 1.15 * spread) - 6 * bend)
        place = np.array([x, y])
        points[first] = place
        for joint, share in enumerate((0.44, 0.31, 0.25)):
            turn -= np.radians((5, 16, 14)[joint] * bend)
            short = 1 - (0.08, 0.22, 0.30)[joint] * bend
            place = place + length * share * short * np.array([np.cos(turn), np.sin(turn)])
            points[first + 1 + joint] = place
    c, s = np.cos(angle), np.sin(angle)
    ahead, thumb = np.array([c, s]), np.array([s, -c]) * -outward
    return wrist + HAND * (points[:, :1] * ahead + points[:, 1:] * thumb)
