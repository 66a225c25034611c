"""The tiny model: its three files, and `train.py`, which made them; README.md is its card."""
