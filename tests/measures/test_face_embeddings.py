"""Networks of faces as users bring them, and what is refused."""

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.measures.face_embeddings import open_embedding, read_embeddings

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
HELPER, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def network(path, shape=(1, 3, 12, 8), inputs=1, axes=(2, 3), kind=FLOAT):
    """Means over `axes` of its first input, as an ONNX file."""
    given = [HELPER.make_tensor_value_info(f"x{i}", kind, shape) for i in range(inputs)]
    made = HELPER.make_tensor_value_info("y", kind, None)
    over = onnx.numpy_helper.from_array(np.array(axes), "axes")
    node = HELPER.make_node("ReduceMean", ["x0", "axes"], ["y"], keepdims=0)
    graph = HELPER.make_graph([node], "faces", given, [made], [over])
    opset = [HELPER.make_opsetid("", 18)]
    onnx.save(HELPER.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


def pictures():
    colours = np.array([[255, 0, 51], [0, 255, 204]], np.uint8)
    return np.broadcast_to(colours[:, None, None], (2, 128, 96, 3))


@pytest.mark.parametrize(
    "shape, axes", [((1, 3, 12, 8), (2, 3)), ((1, 12, 8, 3), (1, 2)), (("n", 3, 12, 8), (2, 3))]
)
def test_a_network_sees_rgb_from_minus_one_to_one(tmp_path, shape, axes):
    found = open_embedding(network(tmp_path / "face.onnx", shape, axes=axes))(pictures())
    np.testing.assert_allclose(found, [[1, -1, -0.6], [-1, 1, 0.6]], atol=1e-6)


def test_faces_are_not_stretched(tmp_path):
    """A face 96 wide and 128 high in the middle of a square, its edges repeated."""
    face = np.zeros((1, 128, 96, 3), np.uint8)
    face[:, :, 24:72] = 255
    wide, high = (
        open_embedding(network(tmp_path / "face.onnx", (1, 3, *shape)))(face)[0, 0]
        for shape in ((128, 128), (128, 96))
    )
    assert (wide + 1) / 2 == pytest.approx(48 / 128, abs=1e-6)
    assert (high + 1) / 2 == pytest.approx(48 / 96, abs=1e-6)


@pytest.mark.parametrize(
    "made, message",
    [
        ({"shape": (1, 3, "rows", "cols")}, "input's size, rows x cols, is not 8 to 1024"),
        ({"shape": (1, 1, 12, 8)}, "has no 3 channels"),
        ({"shape": (1, 3, 12, 4096)}, "12 x 4096, is not"),
        ({"shape": (3, 8), "axes": (0,)}, "its input is not one picture"),
        ({"inputs": 2}, "its input is not one picture"),
        ({"kind": onnx.TensorProto.DOUBLE}, "its input is not one picture"),
        ({"axes": (0, 1, 2, 3)}, "it makes no vector of a picture"),
    ],
)
def test_what_is_no_network_of_a_face_is_one_sentence(tmp_path, made, message):
    path = network(tmp_path / "face.onnx", **made)
    with pytest.raises(UserError, match=f"face.onnx is no network of faces .*{message}"):
        open_embedding(path)


def test_files_that_are_no_networks_are_one_sentence(tmp_path):
    whole = network(tmp_path / "face.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "empty.onnx").touch()
    for name in ("cut", "text", "empty"):
        with pytest.raises(UserError, match=f"{name}.onnx is no network"):
            open_embedding(tmp_path / f"{name}.onnx")
    with pytest.raises(UserError, match="none.onnx: No such file"):
        open_embedding(tmp_path / "none.onnx")


def test_vectors_are_a_still_and_frames_that_fit_it(tmp_path):
    path = tmp_path / "vectors.npz"
    np.savez(path, still=[1.0, 0.0], frames=np.eye(2))
    still, frames = read_embeddings(path)
    np.testing.assert_array_equal(still, [1, 0])
    np.testing.assert_array_equal(frames, np.eye(2))
    for wrong in (
        {"still": [1.0, 0.0]},
        {"still": [1.0, 0.0], "frames": np.eye(3)},
        {"still": [1.0, 0.0], "frames": np.ones((0, 2))},
        {"still": [0.0, 0.0], "frames": np.eye(2)},
        {"still": [1.0, np.nan], "frames": np.eye(2)},
    ):
        np.savez(path, **wrong)
        with pytest.raises(UserError, match="vectors.npz: its arrays are not a still's vector"):
            read_embeddings(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="--embedding=.*vectors.npz cannot be read: write"):
        read_embeddings(path)
