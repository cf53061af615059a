"""Decisions that need all pieces of a clip: the person, filled gaps and left-out frames."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int
from tqdm import tqdm

from lumiere_jax.inputs.clips import judging
from lumiere_jax.inputs.clips.clip_plan import Footage, Tick, made_whole, write_numbers
from lumiere_jax.inputs.clips.posed_pieces import FACE_NUMBERS, FACES, KEYPOINTS, THUMBNAILS
from lumiere_jax.inputs.dataset import left_out_frames
from lumiere_jax.inputs.dataset.clip_archives import LEFT_OUT
from lumiere_jax.inputs.faces.alignment import ENLARGED, alignments
from lumiere_jax.inputs.footage import reading
from lumiere_jax.inputs.poses import densepose, gaps, openpose, pose_folder
from lumiere_jax.keypoints import FACE, POINTS

NEIGHBOURS, SOURCES, PEOPLE = "neighbours.i64", "sources.i64", "people.i64"
ALIGNMENTS = "alignments.f64"


def choose(footage: Footage, posed: list[Path]) -> tuple[Int[np.ndarray, " frames"], list[int]]:
    """Which face of every frame is the person's (-1: missing), and the pieces, by number, in which
    another one was followed where there were several.

    The person is the one whose face's areas sum to the most over the whole clip, as with DensePose
    and OpenPose. A piece, which sees only its own frames, may have followed someone else.

    Returns:
      Index of the person's face in each frame (-1: missing), and the indices of those pieces. Only
      frames with several faces count.
    """
    by_piece, rows = _read_faces(footage, posed)
    boxes = [_boxes(row) for row in rows]
    chosen = pose_folder.follow(boxes)
    several = np.array([len(found) > 1 for found in boxes])
    others = []
    for number, (piece, rows) in enumerate(zip(footage.pieces, by_piece, strict=True)):
        seen = slice(piece[0] - footage.warm_up(piece), piece[1])
        if (several[seen] & (rows[:, -1] != chosen[seen])).any():
            others.append(number)
    return chosen, others


def _others_alone(footage: Footage, posed: list[Path]) -> Bool[np.ndarray, " frames"]:
    """Frames in which only other people's faces are found."""
    chosen, _ = choose(footage, posed)
    return (chosen < 0) & (_read_faces(footage, posed)[1][:, :-1] > 0).any(1)


def _read_faces(footage: Footage, posed: list[Path]) -> tuple[list[np.ndarray], np.ndarray]:
    """Reads the faces of each piece, and those of the clip's frames without the warm-ups."""
    by_piece = [np.fromfile(folder / FACES, "<f4").reshape(-1, FACE_NUMBERS) for folder in posed]
    cuts = zip(footage.pieces, by_piece, strict=True)
    return by_piece, np.concatenate([rows[footage.warm_up(piece) :] for piece, rows in cuts])


def _boxes(row: np.ndarray) -> np.ndarray:
    boxes = row[:-1].reshape(-1, 4)
    return boxes[boxes.any(1)]


def settle(footage: Footage, posed: list[Path], folder: Path, tick: Tick) -> None:
    """Makes the folder that drawing reads, unless it exists.

    It holds keypoints without gaps, each frame's nearest neighbour with a person, and the codes of
    left-out frames.

    Raises:
      UserError: the poses brought along are not one for each source frame.
    """
    if folder.is_dir():
        return
    with made_whole(folder) as made:
        settled = _settle_people if footage.figure == "densepose" else _settle_keypoints
        found = settled(footage, posed, made)
        write_numbers(made / NEIGHBOURS, gaps.nearest(found))
        write_numbers(made / LEFT_OUT, _left_out(footage, posed, found))


def _left_out(
    footage: Footage, posed: list[Path], found: Bool[np.ndarray, " frames"]
) -> left_out_frames.Codes:
    """Returns why each frame is left out.

    A missing picture or sound comes before what the picture shows, and that before whom it shows.
    """
    clip, side = footage.clip, judging.THUMBNAIL
    kept = [np.fromfile(piece / THUMBNAILS, np.uint8) for piece in posed]
    thumbnails = np.concatenate(kept).reshape(-1, side, side, 3)
    codes = left_out_frames.unplayed(len(found), footage.fps, clip.picture_from, clip.unheard)
    played = np.flatnonzero(codes == left_out_frames.KEPT)
    codes[played] = judging.judge(thumbnails[played], footage.fps)
    nobody = left_out_frames.NO_FACE if footage.geometry.aligned else left_out_frames.NOBODY
    codes[(codes == left_out_frames.KEPT) & gaps.lost(found, footage.fps)] = nobody
    codes = left_out_frames.without_short(codes, footage.fps)
    if filled := int(((codes == left_out_frames.KEPT) & ~found).sum()):
        wanted = "face" if footage.geometry.aligned else "pose"
        tqdm.write(f"{clip.path}: {filled} of {len(found)} frames take a neighbour's {wanted}.")
    return codes


def _settle_keypoints(footage: Footage, posed: list[Path], folder: Path) -> np.ndarray:
    """Writes all keypoints of a clip to one memory-mapped file and fills their gaps."""
    with open(folder / KEYPOINTS, "wb") as file:
        if footage.figure == "mediapipe":
            for piece in posed:
                file.write((piece / KEYPOINTS).read_bytes())
        else:
            sources = reading.read_sources(footage.clip, footage.fps)
            assert footage.poses is not None
            for keypoints in openpose.read_keypoints(
                footage.poses, footage.clip.path, footage.square, sources
            ):
                file.write(keypoints.astype("<f4").tobytes())
    keypoints = np.memmap(folder / KEYPOINTS, "<f4", "r+").reshape(-1, POINTS, 3)
    if footage.figure == "mediapipe":
        # Where only other people are found, the pose is one of theirs.
        keypoints[_others_alone(footage, posed)] = 0
    seen = slice(FACE.start if footage.geometry.aligned else 0, FACE.stop)
    found = keypoints[:, seen, 2].max(1) > 0
    gaps.fill(keypoints, found, footage.fps)
    if footage.geometry.aligned:
        _settle_face(footage, keypoints, folder)
    return found


def _settle_face(footage: Footage, keypoints: np.ndarray, folder: Path) -> None:
    """Writes the alignment of each picture's face; warns where faces are small."""
    shape = footage.geometry.shape(footage.size)
    transforms = alignments(keypoints, (footage.side, footage.side), shape)
    write_numbers(folder / ALIGNMENTS, transforms)
    larger = float(np.median(np.hypot(*transforms[:, :, 0].T)))
    if larger > ENLARGED:
        tqdm.write(
            f"warning: {footage.clip.path}: its face is enlarged {larger:.1f} times, and stays "
            "blurred: frame it closer with --crop=X,Y,SIDE, or use footage of a larger size."
        )


def _settle_people(footage: Footage, posed: list[Path], folder: Path) -> np.ndarray:
    clip = footage.clip
    assert footage.poses is not None
    people, _ = densepose.open_figures(footage.poses, clip.path, clip.rows, clip.cols)
    sources = reading.read_sources(clip, footage.fps)
    write_numbers(folder / SOURCES, sources)
    write_numbers(folder / PEOPLE, people)
    return people[sources] >= 0
