"""Rows of a convolution's patches, gathered when they are needed: `gather_patches` of `photonsim.tiles.patches`.

The whole matrix of patches holds every pixel as often as the window has places. It never exists: some rows of it at a
time do, while a product reads them.
"""

import numpy as np

from photonsim_kernels.compiled import compiled


@compiled
def gather_row(image, from_y, from_x, row):
    """One patch (channels · height · width) of an image (channels, h, w); `from_y`, `from_x`: its sources, −1: none."""
    height, width = from_y.shape[0], from_x.shape[0]
    place = 0
    for channel in range(image.shape[0]):
        for i in range(height):
            y = from_y[i]
            for j in range(width):
                x = from_x[j]
                row[place] = image[channel, y, x] if y >= 0 and x >= 0 else np.float32(0)
                place += 1


@compiled
def gather_rows(images, sources_y, sources_x, first, rows):
    """Rows number `first` onwards, (rows, channels · height · width), of images (batch, channels, h, w).

    `sources_y` (positions, height), `sources_x` (positions, width): which line and column of an image each place of the
    window sees at each position; −1 beyond its rim. Rows after the last are zeros.
    """
    down, across = sources_y.shape[0], sources_x.shape[0]
    for m in range(rows.shape[0]):
        number = first + m
        image = number // (down * across)
        if image < images.shape[0]:
            y, x = number // across % down, number % across
            gather_row(images[image], sources_y[y], sources_x[x], rows[m])
        else:
            for k in range(rows.shape[1]):
                rows[m, k] = 0
