"""A clip from footage to archive, piece by piece: posed, settled, judged and drawn.

Imports every other subpackage of inputs but `batches`; workflows import it.
"""
