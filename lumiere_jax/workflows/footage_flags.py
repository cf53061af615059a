"""Footage as prepare.py's flags name it: clips, frame rate, crop, figures and system."""

import os
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from lumiere_jax.audio.level_and_band import band_message, measure
from lumiere_jax.errors import UserError, printable, shortened
from lumiere_jax.inputs.clips.clip_plan import Source
from lumiere_jax.inputs.dataset.description import FASTEST, SLOWEST
from lumiere_jax.inputs.dataset.geometry import Geometry
from lumiere_jax.inputs.footage import probing, reading
from lumiere_jax.inputs.media import upright_pictures
from lumiere_jax.inputs.sound.sound_tracks import track_message
from lumiere_jax.paths import expanded, matching
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import System

# Least seconds of sound above silence in a clip with a voice; a click has fewer.
SPOKEN = 0.5
# Most bytes of a clip's name without its extension; most disks allow 255 with the added parts.
LONGEST_NAME = 200
NTSC = {Fraction(n, 1000): Fraction(r * 1000, 1001) for n, r in ((23976, 24), (29970, 30))}


def system_for(name: str | None, align: str | None = None) -> System:
    """Returns the system of this name, or by default the first with, or without, aligned faces.

    Raises:
      UserError: there is no such system, or it does not learn from aligned faces as `align` asks.
    """
    if name is None:
        every = map(registry.get, registry.ENTRIES)
        return next(s for s in every if s.geometry.aligned == bool(align))
    if name not in registry.ENTRIES:
        raise UserError(f"--system={name}: choose one of {', '.join(registry.ENTRIES)}.")
    geometry = registry.get(name).geometry
    if align and not geometry.aligned:
        raise UserError(
            f"--align={align} makes aligned faces, and --system={name} learns from "
            f"{geometry.pictures}: leave one of them out."
        )
    return registry.get(name)


def parse_fps(text: str) -> Fraction:
    """Parses a frame rate such as 30, 29.97 (which means 30000/1001) or 30000/1001."""
    # No exponents, since a fraction of a billion digits takes very long to make.
    if not re.fullmatch(r"\d{1,9}(\.\d{0,9}|/0*[1-9]\d{0,8})?", text):
        raise UserError(f"--fps={shortened(text)}: write a frame rate such as 30 or 29.97.")
    fps = Fraction(text)
    if not SLOWEST <= fps <= FASTEST:
        raise UserError(f"--fps={text}: use a frame rate from {SLOWEST} to {FASTEST}.")
    return NTSC.get(fps, fps)


def parse_crop(text: str | None) -> upright_pictures.Crop | None:
    """Parses a square X,Y,SIDE in pixels of the upright picture."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(re.fullmatch(r"\d{1,9}", p) for p in parts) or not int(parts[2]):
        wanted = "write X,Y,SIDE in whole pixels, such as 0,420,1080."
        raise UserError(f"--crop={shortened(text)}: {wanted}")
    return upright_pictures.Crop(*map(int, parts))


def check_figures(figure: str, explicit: bool, poses: Path | None, geometry: Geometry) -> None:
    if figure not in get_args(Source):
        raise UserError(f"--figure={figure}: choose one of {', '.join(get_args(Source))}.")
    if (figure == "mediapipe") != (poses is None):
        raise UserError(
            f"--figure={figure} needs --poses, the folder of its results."
            if poses is None
            else "--poses goes with --figure=densepose or openpose: MediaPipe makes its own."
        )
    if geometry.aligned and figure != "mediapipe":
        raise UserError(f"--align=face finds faces by --figure=mediapipe, not {figure}.")
    if not explicit and figure != "mediapipe":
        raise UserError(f"--noexplicit goes with --figure=mediapipe, not {figure}: leave it out.")


def clips_by_name(footage: str) -> dict[str, Path]:
    """Names clips by their files' stems, with the folder's name in front where stems repeat."""
    paths = matching(expanded("--footage", footage))
    if not paths:
        raise UserError(
            f"--footage={footage}: no such file; quote a pattern such as 'talks/*.mp4'."
        )
    often = Counter(path.stem for path in paths)
    named: dict[str, Path] = {}
    for path in paths:
        raw = path.stem if often[path.stem] == 1 else f"{path.parent.name}-{path.stem}"
        name = printable(raw)
        if name in named:
            raise UserError(f"--footage={footage}: two clips are named '{name}'; rename one.")
        # Folders and files get this name with a prefix and a suffix.
        if name in (".", "..") or len(os.fsencode(name)) > LONGEST_NAME:
            raise UserError(
                f"{path}: a clip gives its folder a name; rename it to one of 1 to "
                f"{LONGEST_NAME} letters before the dot."
            )
        named[name] = path
    return named


def probed_clips(
    named: dict[str, Path], crop: upright_pictures.Crop | None, sound_track: int | None = None
) -> list[probing.Clip]:
    clips, silent = [], []
    for name, path in tqdm(
        named.items(), "looking at clips", unit="clip", delay=1, dynamic_ncols=True
    ):
        clip = replace(probing.probe(path, sound_track), name=name)
        if crop is not None:
            probing.check_crop(clip, crop)
        if clip.truncated:
            tqdm.write(f"{clip.path} is cut off: the {clip.seconds:.1f} s that are whole are used.")
        for treatment in clip.treatments:
            tqdm.write(f"{clip.path}: {treatment}.")
        if clip.sound_tracks > 1 and sound_track is None:
            tqdm.write(f"{clip.path}: {track_message(clip.sound_track, clip.sound_tracks)}")
        _, band, seconds = measure(reading.read_audio(clip))
        if seconds < min(SPOKEN, clip.seconds / 2):
            silent.append(str(clip.path))
        elif lacking := band_message(min(band, clip.sample_rate / 2)):
            tqdm.write(f"{clip.path} has {lacking}: record narrations with the same band.")
        clips.append(clip)
    if silent:
        raise UserError(
            f"{', '.join(silent)}: the sound is silent (under {SPOKEN} s are above -70 dBFS), and "
            "a speaker is learned from what is heard: leave such clips out."
        )
    return clips
