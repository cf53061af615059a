"""Files of pictures and sound as PyAV, OpenCV and Pillow open them, within bounds.

Covers containers and their damage, time stamps, colours and interlacing. Every other subpackage of
inputs may import it, and so may outputs.
"""
