"""The linear layers of a model by oneDNN, on CPUs."""

import torch
from torch import nn


class OneDNNLinear(nn.Module):
    """x [..., in] to x Wᵀ + b [..., out] in float32, with the products summed in another order than ``nn.Linear``.

    PyTorch multiplies float32 matrices by MKL, which leaves half of a recent AMD processor's vector width unused;
    oneDNN uses all of it, and is as fast on others. The operator is the one that PyTorch's compiler puts in place of
    linear layers. It takes the weights as they are: mapped from the file, they are never copied.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.weight = weight.detach()
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


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
