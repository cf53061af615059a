"""Files of pictures and sound as PyAV, OpenCV and Pillow open them, within bounds: containers and
their damage, time stamps, colours, interlacing. Every other room of inputs may import it, and so
may outputs.
"""
