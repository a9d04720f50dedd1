"""Nearest up-sampling x2, reflection padding and a 5x5 convolution, at the low resolution.

An up-sampled map holds every value four times, so the 25 products of an output pixel meet only
3 x 3 different values: each of the four output phases is a 3x3 convolution whose kernel sums parts
of the 5x5 one. That takes 36 instead of 100 products per low-resolution pixel and never builds the
large map. The decoder's two largest layers have this form (paper, appendix: network architectures).

At the border, repeating the low-resolution edge equals the reflection of the up-sampled map in the
first pixel (up[-1] = up[1] = low[0]), not in the second (up[-2] = up[2] = low[1]). Only the
outermost row or column of the output reaches that second pixel, through the outermost tap; the
difference is added there.

Legend: B batch, I and O input and output channels, H x W low-resolution pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgnet.model.blocks import padded

KERNEL = 5

# PHASE_TAPS[phase, t, k] is 1 where tap k of the 5-tap kernel meets low-resolution neighbor t - 1.
PHASE_TAPS = torch.tensor(
    [
        [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]],
        [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1]],
    ]
)


class EnlargingConvolution(nn.Module):
    """(B, I, H, W) to (B, O, 2H, 2W), as up-sampling, padding and `convolution` would give it."""

    phase_kernel: Tensor
    phase_bias: Tensor
    edge_rows: Tensor
    edge_columns: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        weight = convolution.weight.detach()
        if convolution.kernel_size != (KERNEL, KERNEL) or convolution.bias is None:
            raise ValueError(
                f"convolution is {convolution}; expected a {KERNEL} x {KERNEL} one with bias"
            )
        self.outputs = convolution.out_channels
        taps = PHASE_TAPS.to(device=weight.device, dtype=torch.float64)
        phases = torch.einsum("psk,qtl,oikl->pqoist", taps, taps, weight.double())
        self.register_buffer(
            "phase_kernel", phases.flatten(0, 2).to(weight.dtype)
        )  # (4 O, I, 3, 3)
        self.register_buffer("phase_bias", convolution.bias.detach().repeat(4))
        # Outermost taps: (2, O, I, 5), the two being top and bottom, left and right.
        self.register_buffer("edge_rows", torch.stack([weight[:, :, 0], weight[:, :, -1]]))
        self.register_buffer("edge_columns", torch.stack([weight[..., 0], weight[..., -1]]))

    def forward(self, maps: Tensor) -> Tensor:
        around = padded(maps, 1, "replicate")
        large = self._interleave(functional.conv2d(around, self.phase_kernel, self.phase_bias))
        rows, columns = self.edge_rows, self.edge_columns
        # Rows take the true horizontal border, columns the replicated vertical one: together they
        # make up the whole difference, corners included, once.
        large[:, :, 0] += _along_edge(maps[:, :, 1] - maps[:, :, 0], rows[0], "reflect")
        large[:, :, -1] += _along_edge(maps[:, :, -2] - maps[:, :, -1], rows[1], "reflect")
        large[..., 0] += _along_edge(maps[..., 1] - maps[..., 0], columns[0], "replicate")
        large[..., -1] += _along_edge(maps[..., -2] - maps[..., -1], columns[1], "replicate")
        return large

    def _interleave(self, phases: Tensor) -> Tensor:
        """(B, 4 O, H, W), phases outermost, to (B, O, 2H, 2W), channels last."""
        batch, _, height, width = phases.shape
        large = torch.empty(
            (batch, self.outputs, 2 * height, 2 * width),
            dtype=phases.dtype,
            device=phases.device,
            memory_format=torch.channels_last,
        )
        split = phases.view(batch, 2, 2, self.outputs, height, width)
        large.view(batch, self.outputs, height, 2, width, 2).copy_(split.permute(0, 3, 4, 1, 5, 2))
        return large


def _along_edge(difference: Tensor, taps: Tensor, padding: str) -> Tensor:
    """Up-sample a line (B, I, L) and convolve it with `taps` (O, I, 5): (B, O, 2L)."""
    line = functional.pad(difference.repeat_interleave(2, dim=2), (2, 2), mode=padding)
    return functional.conv1d(line, taps)
