"""Frames → numbers: metrics, landmarks of mouths, faces' embeddings, what lip readers read, and the
summaries that a report shows. Imports inputs and the common modules; systems and later rooms
import it.
"""
