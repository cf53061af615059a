"""Measure a trained model on frames that it has not seen, and write a report to look at.

  python evaluate.py --workdir=runs/ada --data=data/ada --split=test --out=runs/ada/report

Writes metrics.json and index.html (numbers, pictures, loss curves, the video beside the real one).
An older report in the same place is replaced.

Faces, whose clips are spoken by their own first frames, can also be asked

  whether the person stays: --embedding=face.onnx, any network of a picture in and a vector out
    (onnxruntime runs it), or --embedding=vectors.npz, vectors of a still and of frames;
  what a lip reader reads: --references=said.txt --hypotheses=read.txt, a transcript a line.
"""

from absl import flags

from lumiere_jax.commands import cli

flags.DEFINE_string("workdir", None, "A workdir in which train.py has trained all stages.")
flags.DEFINE_string("data", None, "A dataset made by prepare.py.")
flags.DEFINE_string("split", "test", "One of test, val, train.")
flags.DEFINE_string("out", None, "The report's folder.")
flags.DEFINE_string("embedding", None, "A network of faces, .onnx, or its vectors, .npz.")
flags.DEFINE_string("references", None, "What was said: a text file, a transcript a line.")
flags.DEFINE_string("hypotheses", None, "What a lip reader has read, line by line.")


def main() -> None:
    from lumiere_jax.commands.flag_checks import run_evaluate

    metrics, out = run_evaluate(cli.given())
    from lumiere_jax.outputs.report import text_table

    print(text_table(metrics))
    print(f"{out}/index.html: the report; the numbers are in {out}/metrics.json.")


if __name__ == "__main__":
    cli.run(main)
