"""Checks that the sites of a model mean what they should; every extraction makes them on a few of its tokens.

The residual identity is in :mod:`layerscope.model.residual_identity`, and what each hook must give in
:mod:`layerscope.model.hooks`.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch

from layerscope.model.hooks import Receiver, SiteError, blocks_of, tapped
from layerscope.model.loading import LoadedModel

CAUSAL_TOKENS = 16
RECOMPUTED_TOKENS = 4


def check_causality(model: LoadedModel, rows: np.ndarray) -> None:
    """Change a token and look that no stream before it moves.

    Args:
        rows: token ids [sequences, sequence length]; the first few of the first sequence are run.

    Raises:
        SiteError: an earlier stream moves, or that of the token itself does not.
    """
    ids = torch.from_numpy(rows[:1, :CAUSAL_TOKENS]).to(model.device, torch.long)
    changed = ids.clone()
    changed[0, -1] = (ids[0, -1] + 1) % model.architecture.vocabulary(model.name, model.config)

    def streams(given: torch.Tensor) -> torch.Tensor:
        kept: list[torch.Tensor] = []

        def keep(site: str, layer: int, tensor: torch.Tensor) -> None:
            kept.append(tensor[0].float())

        with tapped(model.base, model.architecture, ["resid_post"], keep) as check:
            model.base(input_ids=given, use_cache=False)
            check((1, given.shape[1]), model.dtype)
        return torch.stack(kept)

    moved = moves(streams, ids, changed, slice(0, -1))
    for layer, by in enumerate(moved[:, :-1].amax(dim=1).tolist()):
        if by > 0:
            raise SiteError(f"causality: resid_post of layer {layer} moves by {by:.3g} when a later token is changed")
    if moved[-1, -1] == 0:
        raise SiteError(f"causality: resid_post of layer {len(moved) - 1} does not move when its own token is changed")


def check_windows(model: LoadedModel, length: int) -> None:
    """Look in every local layer of GPT-Neo that a token reaches to the end of the window and no further.

    Other models with a window (Mistral, Qwen2) take it from a mask that is made outside of their blocks.

    Args:
        length: of the sequences; within the window there is nothing to check.

    Raises:
        SiteError: attention reaches beyond the window, or ends before it does.
    """
    for layer, window in model.architecture.windows(model.config).items():
        if length > window:
            _check_window(model, layer, window)


@torch.inference_mode()
def _check_window(model: LoadedModel, layer: int, window: int) -> None:
    attention = blocks_of(model.base, model.architecture)[layer].get_submodule("attn.attention")
    # Inputs so small that every token gets about the same attention, whatever the weights. The first changes by so much
    # that it is seen beside all others of the window, in bfloat16 too.
    random = torch.Generator().manual_seed(0)
    given = 0.01 * torch.randn(1, window + 1, model.width("resid_pre"), generator=random)
    changed = given.clone()
    changed[0, 0] = -10 * given[0, 0]
    given, changed = (x.to(model.device, model.dtype) for x in (given, changed))

    def mixed(x: torch.Tensor) -> torch.Tensor:
        """What enters the output projection, whose bias would swallow small changes."""
        kept: list[torch.Tensor] = []
        handle = attention.get_submodule("out_proj").register_forward_pre_hook(lambda _, args: kept.append(args[0]))
        try:
            attention(x)
        finally:
            handle.remove()
        return kept[0].float()

    moved = moves(mixed, given, changed, slice(window, None))[0]
    if moved[window] > 0:
        raise SiteError(f"window: attention of layer {layer} moves by {moved[window]:.3g} with a token {window} back")
    if moved[window - 1] == 0:
        raise SiteError(f"window: attention of layer {layer} does not reach the token {window - 1} back")


@torch.inference_mode()
def moves(
    run: Callable[[torch.Tensor], torch.Tensor], given: torch.Tensor, changed: torch.Tensor, still: slice
) -> torch.Tensor:
    """How far each token moves when ``changed`` is run in place of ``given``: [layers, tokens].

    Passes of one shape give the same values the same bits, in every dtype, so nothing is allowed for rounding. Kernels
    that do not sum in a fixed order are the exception: what they vary by from run to run counts as no move.

    Args:
        run: gives [layers, tokens, width].
        still: tokens that should not move; only if they do is ``given`` run again.
    """
    first = run(given)
    moved = (first - run(changed)).abs().amax(dim=-1)
    if moved[:, still].any():
        varies = (first - run(given)).abs().amax(dim=(1, 2), keepdim=True)[..., 0]
        moved[moved <= 8 * varies] = 0
    return moved


class MLPRecomputation:
    """A receiver that recomputes mlp_pre = W · norm(x) + b of a few tokens in float64, and passes all sites on.

    x is the stream that enters the block's MLP. It needs the residual sites beside ``mlp_pre``.
    """

    def __init__(self, model: LoadedModel, receive: Receiver) -> None:
        self.receive = receive
        self.architecture = of = model.architecture
        self.blocks = blocks_of(model.base, of)
        self.parallel, self.epsilon = of.parallel_residual(model.config), of.epsilon(model.config)
        self.values: dict[str, torch.Tensor] = {}

    def __call__(self, site: str, layer: int, tensor: torch.Tensor) -> None:
        self.receive(site, layer, tensor)
        if site in ("resid_pre", "attn_out", "mlp_pre"):
            tokens = tensor.flatten(0, 1)
            self.values[site] = tokens[np.linspace(0, len(tokens) - 1, RECOMPUTED_TOKENS, dtype=int)].double()
        if site == "resid_post":
            self._check(layer, torch.finfo(tensor.dtype).eps, **self.values)
            self.values.clear()

    def _check(
        self, layer: int, eps: float, resid_pre: torch.Tensor, attn_out: torch.Tensor, mlp_pre: torch.Tensor
    ) -> None:
        """Raise :class:`SiteError` unless every neuron is what it should be within rounding.

        Each of the ``width`` terms of W · norm(x) carries a few roundings of the compute dtype. They are independent,
        so the error of the sum goes with the root of the sum of squared terms: ``scale``. The sum itself, in float32,
        may stray by √width of float32's eps. Allowed is 16 times both: about 10 times the largest error seen, for
        widths of 32 to 4096 in float32, float16 and bfloat16.
        """
        block = self.blocks[layer]
        norm = block.get_submodule(self.architecture.mlp_norm)
        weight, bias = weight_and_bias(block.get_submodule(self.architecture.mlp_in))
        if mlp_pre.shape[1] != len(weight):
            raise SiteError(f"mlp_pre of layer {layer} has {mlp_pre.shape[1]} neurons, its weights {len(weight)}")
        x = resid_pre if self.parallel else resid_pre + attn_out
        normed, terms = normalized(norm, x, self.architecture.norm, self.epsilon)
        expected = normed @ weight.double().T
        scale = (terms.square() @ weight.double().square().T).sqrt()
        if bias is not None:
            expected += bias.double()
            scale += bias.double().abs()
        allowed = 16 * (eps + x.shape[-1] ** 0.5 * torch.finfo(torch.float32).eps) * scale
        off = (mlp_pre - expected).abs()
        wrong = (off > allowed) & mlp_pre.isfinite()
        if wrong.any():
            token, neuron = divmod(int((off / allowed * wrong).nan_to_num().argmax()), off.shape[1])
            raise SiteError(
                f"mlp_pre of layer {layer} is not W · norm(x) + b: neuron {neuron} differs by {off[token, neuron]:.3g} "
                f"({allowed[token, neuron]:.3g} is rounding), {wrong.any(dim=0).sum()} of {wrong.shape[1]} neurons do"
            )


def weight_and_bias(linear: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight [out, in] and bias [out] of a linear layer; GPT-2's are kept as [in, out]."""
    from transformers.pytorch_utils import Conv1D

    weight = linear.weight.T if isinstance(linear, Conv1D) else linear.weight
    return weight, linear.bias


def normalized(
    norm: Any, x: torch.Tensor, kind: Literal["LayerNorm", "RMSNorm"], eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A norm of ``x`` [tokens, width], and the size of the terms it is made of, which carry its error.

    Args:
        norm: the module, of which the weights are taken.
        eps: what is added to the variance.
    """
    gain = norm.weight.double()
    if kind == "LayerNorm":
        mean, shift = x.mean(dim=-1, keepdim=True), norm.bias.double()
    else:
        mean, shift = torch.zeros_like(x[:, :1]), torch.zeros_like(gain)
    spread = ((x - mean).square().mean(dim=-1, keepdim=True) + eps).sqrt()
    return (x - mean) / spread * gain + shift, (x.abs() + mean.abs()) / spread * gain.abs() + shift.abs()
