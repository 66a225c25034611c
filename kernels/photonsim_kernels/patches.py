"""Rows of a convolution's patches, gathered when they are needed: `gather_patches` of `photonsim.tiles.patches`.

The whole matrix of patches holds every pixel as often as the window has places. It never exists: some rows of it at a
time do, while a product reads them.
"""

import numpy as np

from photonsim_kernels.compiled import compiled


@compiled
def find_pixels(from_z, from_y, from_x, lines, columns, pixels):
    """`pixels` (depth · height · width): which of an image's each place of the window sees; −1: none."""
    place = 0
    for z in from_z:
        for y in from_y:
            inside, line = z >= 0 and y >= 0, (z * lines + y) * columns
            for x in from_x:
                pixels[place] = line + x if inside and x >= 0 else -1
                place += 1


@compiled
def gather_row(image, pixels, row):
    """One patch (channels · places) of an image (channels, pixels)."""
    place = 0
    for channel in range(image.shape[0]):
        for p in range(pixels.shape[0]):
            row[place] = image[channel, pixels[p]] if pixels[p] >= 0 else np.float32(0)
            place += 1


@compiled
def gather_rows(images, sources_z, sources_y, sources_x, first, rows):
    """Rows number `first` onwards, (rows, channels · depth · height · width), of images (batch, channels, d, h, w).

    `sources_z` (positions, depth), `sources_y` (positions, height), `sources_x` (positions, width): which plane, line
    and column of an image each place of the window sees at each position; −1 beyond its rim. Rows after the last are
    zeros.
    """
    (deep, depth), (down, height), (across, width) = sources_z.shape, sources_y.shape, sources_x.shape
    batch, channels, planes, lines, columns = images.shape
    flat = images.reshape(batch, channels, planes * lines * columns)
    pixels = np.empty(depth * height * width, np.int64)
    for m in range(rows.shape[0]):
        number = first + m
        image = number // (deep * down * across)
        if image < batch:
            z, y, x = number // (across * down) % deep, number // across % down, number % across
            find_pixels(sources_z[z], sources_y[y], sources_x[x], lines, columns, pixels)
            gather_row(flat[image], pixels, rows[m])
        else:
            for k in range(rows.shape[1]):
                rows[m, k] = 0
