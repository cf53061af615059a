"""A clip from footage to archive, piece by piece: posed, settled, judged and drawn.

Imports every other room of inputs but `batches`; workflows import it.
"""
