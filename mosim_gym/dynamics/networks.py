"""The one network: a pre-activation residual MLP."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn.functional import linear, silu


class ResidualMLP(nn.Module):
    """Linear in, `blocks` times ``h + B silu(A silu(h))``, linear out.

    Pre-activation keeps an identity path from input to output, as in "Identity Mappings in Deep
    Residual Networks" (arXiv 1603.05027).
    """

    def __init__(
        self, n_in: int, n_out: int, *, width: int, blocks: int, zero_output: bool = False
    ) -> None:
        """Build it.

        Args:
            n_in: inputs.
            n_out: outputs.
            width: units of every hidden layer.
            blocks: residual blocks, each of two layers.
            zero_output: start with an output of exactly zero.
        """
        super().__init__()
        self.first = nn.Linear(n_in, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.outer = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.last = nn.Linear(width, n_out)
        if zero_output:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs ``(batch, n_out)`` of inputs ``(batch, n_in)``."""
        hidden = linear(inputs, self.first.weight, self.first.bias)
        # `linear` rather than calling the layers: a module call costs as much as a small product.
        for block in zip(self.inner, self.outer, strict=True):
            inner, outer = cast(tuple[nn.Linear, nn.Linear], block)
            middle = silu(linear(silu(hidden), inner.weight, inner.bias))
            hidden = hidden + linear(middle, outer.weight, outer.bias)
        return linear(silu(hidden), self.last.weight, self.last.bias)
