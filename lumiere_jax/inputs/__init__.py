"""Footage → dataset → batches, in one subpackage each.

`media` and `sound` read files, `footage` combines both, `poses` and `faces` find people, `clips`
makes archives, `dataset` describes and reads the stored data, and `batches` feeds training. Only
this package imports TensorFlow. Systems, measures, outputs and commands import it; training does
not.
"""
