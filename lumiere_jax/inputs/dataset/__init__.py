"""The stored dataset: columns, clip archives, records, segments, consent and left-out frames.

Imports `media` alone of inputs.
"""
