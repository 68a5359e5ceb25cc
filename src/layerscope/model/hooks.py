"""Hooks that hand over each requested site of each layer as it is computed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from layerscope.io.errors import UserError
from layerscope.model.architecture import Architecture, Tap

Receiver = Callable[[str, int, torch.Tensor], None]


class SiteError(UserError):
    """A site did not give what it must: never fired, fired twice, or values that mean something else."""


@contextmanager
def tapped(
    model: nn.Module, architecture: Architecture, sites: list[str], receive: Receiver
) -> Iterator[Callable[[tuple[int, int], torch.dtype], None]]:
    """Attach hooks that call ``receive(site, layer, tensor)`` in a forward pass.

    Tensors have the shape [batch, sequence, width] and must not be changed. Yields a function to call after each
    forward pass with its (batch, sequence) and dtype; it raises :class:`SiteError` unless every hook fired exactly once
    with a tensor of these.
    """
    blocks = blocks_of(model, architecture)
    rows: dict[int, torch.Size] = {}  # [batch, sequence] of what entered each block
    fired: dict[tuple[str, int], tuple[tuple[int, ...], torch.dtype]] = {}
    handles = []

    def take(site: str, layer: int, tap: Tap, block: nn.Module, value: Any) -> None:
        if tap.flattened and isinstance(value, torch.Tensor) and value.ndim == 2:
            value = value.unflatten(0, rows[layer])
        tensor = stream_of(value, f"{site} of layer {layer}")
        if tap.split is not None:
            tensor = tap.split(tensor, block)
        if (site, layer) in fired:  # said here, because the receiver has no room for the same rows again
            raise SiteError(f"the hook of {site} of layer {layer} fired twice in one pass")
        fired[site, layer] = tuple(tensor.shape[:2]), tensor.dtype
        receive(site, layer, tensor)

    def note_rows(layer: int, value: Any) -> None:
        rows[layer] = stream_of(value, f"the input of layer {layer}").shape[:2]

    def attach(site: str, layer: int, block: nn.Module) -> None:
        tap = architecture.sites[site]
        module = block.get_submodule(tap.module)
        if tap.side == "output":
            handles.append(module.register_forward_hook(lambda m, args, out: take(site, layer, tap, block, out)))
        else:
            handles.append(on_input(module, lambda value: take(site, layer, tap, block, value)))

    def check(shape: tuple[int, int], dtype: torch.dtype) -> None:
        for site in sites:
            for layer in range(len(blocks)):
                if (site, layer) not in fired:
                    raise SiteError(f"the hook of {site} of layer {layer} fired 0 times, not once")
                found_shape, found_dtype = fired[site, layer]
                if found_shape != shape:
                    raise SiteError(f"{site} of layer {layer} has [batch, sequence] {found_shape}, not {shape}")
                if found_dtype != dtype:
                    raise SiteError(f"{site} of layer {layer} is of {found_dtype}, not of {dtype}")
        fired.clear()

    try:
        for layer, block in enumerate(blocks):
            if any(architecture.sites[site].flattened for site in sites):
                handles.append(on_input(block, partial(note_rows, layer)))
            for site in sites:
                attach(site, layer, block)
        yield check
    finally:
        for handle in handles:
            handle.remove()


def on_input(module: nn.Module, take: Callable[[Any], None]) -> RemovableHandle:
    """Attach a hook that hands over what a module takes first."""
    return module.register_forward_pre_hook(
        lambda m, args, kwargs: take(args[0] if args else kwargs.get("hidden_states")), with_kwargs=True
    )


def blocks_of(model: nn.Module, architecture: Architecture) -> nn.ModuleList:
    """The blocks of a base model, in the order of the layers."""
    blocks = model.get_submodule(architecture.blocks)
    assert isinstance(blocks, nn.ModuleList)
    return blocks


def stream_of(value: Any, where: str) -> torch.Tensor:
    """The [batch, sequence, width] tensor that a module took or gave.

    Blocks of some transformers versions give a tuple with the stream first, of others the stream itself: indexing
    blindly would silently take batch element 0.
    """
    if isinstance(value, tuple):
        value = value[0]
    if not isinstance(value, torch.Tensor) or value.ndim != 3:
        found = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise SiteError(f"{where} gave {found}, not a tensor [batch, sequence, width]")
    return value.detach()
