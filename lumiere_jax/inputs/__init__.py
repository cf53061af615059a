"""Footage → dataset → batches, in rooms of their own: `media` and `sound` read files, `footage`
puts both together, `poses` and `faces` find people, `clips` makes archives, `dataset` holds what
is stored, and `batches` feeds a training. TensorFlow is imported here alone. Systems, measures,
outputs and commands import it; training does not.
"""
