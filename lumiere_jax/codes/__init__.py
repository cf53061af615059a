"""a → z: recurrent networks from audio features to codes.

Imports the common modules alone; systems import it.
"""
