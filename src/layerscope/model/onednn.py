"""Products of float32 matrices by oneDNN, on CPUs.

PyTorch multiplies float32 matrices by MKL, which leaves half of a recent AMD processor's vector width unused; oneDNN
uses all of it, and is as fast on others. The operator is that which PyTorch's compiler puts in place of linear layers.
"""

import torch
from torch import nn


class OneDNNLinear(nn.Module):
    """x [..., in] to x Wᵀ + b [..., out] in float32, with the products summed in another order than ``nn.Linear``.

    It takes the weights as they are: mapped from the file, they are never copied.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.weight = weight.detach()
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _linear(x, self.weight, self.bias)


def products(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x Wᵀ in float32, [..., in] and [out, in] to [..., out]; by oneDNN where PyTorch has it."""
    return _linear(x, weight, None) if torch.backends.mkldnn.is_available() else x @ weight.T


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def use_onednn(model: nn.Module) -> None:
    """Replace every linear layer of a float32 model on the CPU, where PyTorch has oneDNN."""
    from transformers.pytorch_utils import Conv1D

    if not torch.backends.mkldnn.is_available():
        return
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear:
                setattr(parent, name, OneDNNLinear(layer.weight, layer.bias))
            elif type(layer) is Conv1D:  # GPT-2 keeps its weights as [in, out]
                setattr(parent, name, OneDNNLinear(layer.weight.T, layer.bias))
