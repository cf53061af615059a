"""Frames → numbers: metrics, mouth landmarks, face embeddings, transcripts, and the summaries of a
report.

Imports inputs and the common modules; outputs and later rooms import it.
"""
