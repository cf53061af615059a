"""Pose estimators, importers of estimated poses, and gap filling: MediaPipe, OpenPose, DensePose.

Imports `media` and `dataset`; faces, clips and measures import it.
"""
