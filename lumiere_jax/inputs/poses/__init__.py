"""Estimators of poses, and imports of poses that others estimated: MediaPipe, OpenPose, DensePose,
and what fills their gaps. Imports `media` and `dataset`; faces, clips and measures import it.
"""
