"""z → w: pose figures, decoded from codes or painted from keypoints.

Imports the common modules alone; inputs, the drawn lecturer and systems import it.
"""
