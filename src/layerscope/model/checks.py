"""Checks that the sites of a model mean what they should; every extraction makes them on a few of its tokens.

The residual identity is in :mod:`layerscope.model.residual_identity`, and what each hook must give in
:mod:`layerscope.model.hooks`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from layerscope.model.architecture import OF_GATED, Architecture, Tap
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


def check_windows(model: LoadedModel, rows: np.ndarray) -> None:
    """Look in every layer with a window that a token reaches to the end of it and no further.

    Args:
        rows: token ids [sequences, sequence length]; within the window there is nothing to check.

    Raises:
        SiteError: attention reaches beyond the window, or ends before it does.
    """
    windows = model.architecture.windows(model.config)
    for window in sorted({window for window in windows.values() if window < rows.shape[1]}):
        layers = [layer for layer, size in windows.items() if size == window]
        ids = torch.from_numpy(rows[:1, : window + 1]).to(model.device, torch.long)
        for layer, given in _given_to_attention(model, ids, layers).items():
            _check_window(model, layer, window, *given)


def _attention_of(model: LoadedModel, layer: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """A block, its attention and the output projection of that."""
    block = blocks_of(model.base, model.architecture)[layer]
    path = model.architecture.attn_projection
    return block, block.get_submodule(path.rpartition(".")[0]), block.get_submodule(path)


@torch.inference_mode()
def _given_to_attention(model: LoadedModel, ids: torch.Tensor, layers: list[int]) -> dict[int, tuple[Any, ...]]:
    """What the attention of some layers is called with in a pass over ``ids``; most masks are made outside of them."""
    given: dict[int, tuple[Any, ...]] = {}
    handles = [
        _attention_of(model, layer)[1].register_forward_pre_hook(
            lambda _, args, kwargs, layer=layer: given.update({layer: (args, kwargs)}), with_kwargs=True
        )
        for layer in layers
    ]
    try:
        model.base(input_ids=ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return given


@torch.inference_mode()
def _check_window(model: LoadedModel, layer: int, window: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    block, attention, projection = _attention_of(model, layer)
    queries = model.architecture.sites["q"]
    random = torch.Generator().manual_seed(0)
    given = torch.randn(1, window + 1, model.width("resid_pre"), generator=random)
    changed = given.clone()
    changed[0, 0] *= -10  # by so much that it is seen beside all others of the window, in bfloat16 too
    given, changed = (x.to(model.device, model.dtype) for x in (given, changed))

    def without_queries(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        """Every token gets the same attention, whatever the weights."""
        output = output.clone()
        (queries.split(output, block) if queries.split else output).zero_()
        return output

    def mixed(x: torch.Tensor) -> torch.Tensor:
        """What enters the output projection, whose bias would swallow small changes."""
        kept: list[torch.Tensor] = []
        handles = [
            block.get_submodule(queries.module).register_forward_hook(without_queries),
            projection.register_forward_pre_hook(lambda _, args: kept.append(args[0])),
        ]
        try:
            attention(x, *args[1:], **kwargs) if args else attention(**kwargs | {"hidden_states": x})
        finally:
            for handle in handles:
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

    x is the stream that enters the block's MLP. Of a gated MLP it does the same with ``mlp_gate`` and ``mlp_up``. It
    needs the residual sites beside those of ``sites`` that it recomputes.
    """

    def __init__(self, model: LoadedModel, sites: Iterable[str], receive: Receiver) -> None:
        self.receive = receive
        self.architecture = of = model.architecture
        # Not the tap of mlp_pre itself, which may be a wrong one.
        linear = {"mlp_pre": of.mlp_in, **{site: of.sites[site] for site in OF_GATED if site in of.sites}}
        self.linear = {site: tap for site, tap in linear.items() if site in sites}
        self.blocks = blocks_of(model.base, of)
        self.norm, self.parallel = of.norm_before_mlp(model.config), of.parallel(model.config)
        self.epsilon = of.epsilon(model.config)
        self.values: dict[str, torch.Tensor] = {}

    def __call__(self, site: str, layer: int, tensor: torch.Tensor) -> None:
        self.receive(site, layer, tensor)
        if site in ("resid_pre", "attn_out", *self.linear):
            tokens = tensor.flatten(0, 1)
            self.values[site] = tokens[np.linspace(0, len(tokens) - 1, RECOMPUTED_TOKENS, dtype=int)].double()
        if site == "resid_post":
            self._check(layer, torch.finfo(tensor.dtype).eps, **self.values)
            self.values.clear()

    def _check(
        self, layer: int, eps: float, resid_pre: torch.Tensor, attn_out: torch.Tensor, **recomputed: torch.Tensor
    ) -> None:
        """Raise :class:`SiteError` unless every neuron is what it should be within rounding.

        Each of the ``width`` terms of W · norm(x) carries a few roundings of the compute dtype. They are independent,
        so the error of the sum goes with the root of the sum of squared terms: ``scale``. The sum itself, in float32,
        may stray by √width of float32's eps. Allowed is 16 times both: about 10 times the largest error seen, for
        widths of 32 to 4096 in float32, float16 and bfloat16.
        """
        block = self.blocks[layer]
        x = resid_pre if self.parallel else resid_pre + attn_out
        if self.norm is None:
            normed, terms = x, x.abs()
        else:
            normed, terms = normalized(block.get_submodule(self.norm), x, self.architecture, self.epsilon)
        for site, tap in self.linear.items():
            values = recomputed[site]
            weight, bias = weight_and_bias(block, tap)
            if values.shape[1] != len(weight):
                raise SiteError(f"{site} of layer {layer} has {values.shape[1]} neurons, its weights {len(weight)}")
            expected = normed @ weight.double().T
            scale = (terms.square() @ weight.double().square().T).sqrt()
            if bias is not None:
                expected += bias.double()
                scale += bias.double().abs()
            allowed = 16 * (eps + x.shape[-1] ** 0.5 * torch.finfo(torch.float32).eps) * scale
            off = (values - expected).abs()
            wrong = (off > allowed) & values.isfinite()
            if wrong.any():
                token, neuron = divmod(int((off / allowed * wrong).nan_to_num().argmax()), off.shape[1])
                raise SiteError(
                    f"{site} of layer {layer} is not W · norm(x) + b: neuron {neuron} differs by "
                    f"{off[token, neuron]:.3g} ({allowed[token, neuron]:.3g} is rounding), "
                    f"{wrong.any(dim=0).sum()} of {wrong.shape[1]} neurons do"
                )


def weight_and_bias(block: nn.Module, tap: Tap) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight [out, in] and bias [out] of the part of a linear layer that a tap takes; GPT-2 keeps [in, out]."""
    from transformers.pytorch_utils import Conv1D

    linear: Any = block.get_submodule(tap.module)
    weight = linear.weight.T if isinstance(linear, Conv1D) else linear.weight
    if tap.split is None:
        return weight, linear.bias
    return tap.split(weight.T, block).T, None if linear.bias is None else tap.split(linear.bias, block)


def normalized(norm: Any, x: torch.Tensor, of: Architecture, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A norm of ``x`` [tokens, width], and the size of the terms it is made of, which carry its error.

    Args:
        norm: the module, of which the weights are taken; it may have none.
        of: says which kind of norm it is.
        eps: what is added to the variance.
    """
    still = torch.zeros_like(x[0])
    gain = still + 1 if norm.weight is None else norm.weight.double() + of.gain_offset
    if of.norm == "LayerNorm":
        mean, shift = x.mean(dim=-1, keepdim=True), still if norm.bias is None else norm.bias.double()
    else:
        mean, shift = torch.zeros_like(x[:, :1]), still
    spread = ((x - mean).square().mean(dim=-1, keepdim=True) + eps).sqrt()
    return (x - mean) / spread * gain + shift, (x.abs() + mean.abs()) / spread * gain.abs() + shift.abs()
