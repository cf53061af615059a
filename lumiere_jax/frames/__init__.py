"""w → y: generators of frames, and the discriminators that judge them.

Imports the common modules alone; systems import it.
"""
