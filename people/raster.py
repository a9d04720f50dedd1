"""A z-buffer rasterizer.

N vertices, T triangles, H x W samples. Depth buffers hold 1/depth: 0 is empty, larger is nearer.
"""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Bools, Floats, Ints
from dgnet.people.compiled import compiled


@compiled
def rasterize(
    points: Floats,
    triangles: Ints,
    inside: Floats,
    closed: Bools,
    depth: Floats,
    ids: Ints,
    weights: Floats,
) -> None:
    """Draw triangles into `depth` (H, W), `ids` (H, W) and `weights` (H, W, 2).

    Args:
        points: (N, 3) column and row in samples, and 1/depth.
        inside: (N,) field; samples where its interpolation is negative are left out.
        closed: (T,) whether triangles that show their back are left out.
        weights: Of a sample's triangle, the screen-space shares of its first two corners.
    """
    height, width = depth.shape
    for f in range(triangles.shape[0]):
        a = triangles[f, 0]
        b = triangles[f, 1]
        c = triangles[f, 2]
        ia = inside[a]
        ib = inside[b]
        ic = inside[c]
        if ia < 0 and ib < 0 and ic < 0:
            continue
        x0 = points[a, 0]
        y0 = points[a, 1]
        x1 = points[b, 0]
        y1 = points[b, 1]
        x2 = points[c, 0]
        y2 = points[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0 or (closed[f] and area > 0):
            continue
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        if bottom < top or right < left:
            continue
        scale = 1.0 / area
        w0 = points[a, 2]
        w1 = points[b, 2]
        w2 = points[c, 2]
        cut = ia < 0 or ib < 0 or ic < 0
        for i in range(top, bottom + 1):
            y = i + 0.5
            for j in range(left, right + 1):
                x = j + 0.5
                l1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * scale
                l2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * scale
                l0 = 1.0 - l1 - l2
                if l0 < 0 or l1 < 0 or l2 < 0:
                    continue
                w = l0 * w0 + l1 * w1 + l2 * w2
                if w <= depth[i, j]:
                    continue
                if cut and l0 * ia + l1 * ib + l2 * ic < 0:
                    continue
                depth[i, j] = w
                ids[i, j] = f
                weights[i, j, 0] = l0
                weights[i, j, 1] = l1


@compiled
def corner_shares(
    weights: Floats, inverse_depth: Floats, a: int, b: int, c: int, i: int, j: int
) -> tuple[float, float, float]:
    """Shares, on the surface, that the corners a, b and c of its triangle have in sample (i, j).

    `weights` are those on the screen, as `rasterize` tells them, `inverse_depth` (N,) the corners'.
    """
    l0 = weights[i, j, 0] * inverse_depth[a]
    l1 = weights[i, j, 1] * inverse_depth[b]
    l2 = (1 - weights[i, j, 0] - weights[i, j, 1]) * inverse_depth[c]
    q = 1.0 / (l0 + l1 + l2)
    return l0 * q, l1 * q, l2 * q


@compiled
def rasterize_heights(points: Floats, triangles: Ints, inside: Floats, heights: Floats) -> None:
    """The largest third coordinate at each sample of `heights` (H, W): a shadow map."""
    rows, columns = heights.shape
    for f in range(triangles.shape[0]):
        a = triangles[f, 0]
        b = triangles[f, 1]
        c = triangles[f, 2]
        if inside[a] < 0 or inside[b] < 0 or inside[c] < 0:
            continue
        x0 = points[a, 0]
        y0 = points[a, 1]
        x1 = points[b, 0]
        y1 = points[b, 1]
        x2 = points[c, 0]
        y2 = points[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0:
            continue
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(rows - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(columns - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        scale = 1.0 / area
        for i in range(top, bottom + 1):
            y = i + 0.5
            for j in range(left, right + 1):
                x = j + 0.5
                l1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * scale
                l2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * scale
                l0 = 1.0 - l1 - l2
                if l0 < 0 or l1 < 0 or l2 < 0:
                    continue
                h = l0 * points[a, 2] + l1 * points[b, 2] + l2 * points[c, 2]
                heights[i, j] = max(heights[i, j], h)
