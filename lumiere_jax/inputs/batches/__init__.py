"""Batches of a dataset, read by TensorFlow, drawn in memory, or gathered on the device.

Imports `dataset`; systems and commands import it.
"""
