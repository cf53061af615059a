"""LumièreNet's experiments: those of the paper, and the ablation of the preset `lecture`."""
