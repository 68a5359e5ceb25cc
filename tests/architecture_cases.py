"""Tiny models of each architecture and variant: what extraction stores of them, and how far it is from plain passes."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from own_attention import own_attn_out
from plain_forward import blocks_of, difference, plain_pass
from tiny_models import CASES, LAYERS, extract, save_random_tokens, save_tiny_model, sites_of

ALLOWED = 1e-5  # of the largest value of a site and layer


@dataclass
class Case:
    name: str
    record: dict
    ids: np.ndarray
    stored: list[dict[str, np.ndarray]]  # site → [sequences, length, width], by layer


def make_case(name: str, folder: Path) -> Case:
    """Store all sites of random tokens, in sequences that are longer than the model's window."""
    model_type, changes = CASES[name]
    record = save_tiny_model(model_type, folder / "model", **changes)
    shape = (2, 512) if name == "gpt_neo" else (3, 128)
    tokens = save_random_tokens(folder / "tokens.h5", *shape)
    extract(folder / "tokens.h5", record, folder / "shard.h5")
    sites, layers = sites_of(record), range(LAYERS[name])
    with h5py.File(folder / "shard.h5") as file:
        stored = [{site: file[f"{site}/layer_{i:02d}"][:].reshape(*shape, -1) for site in sites} for i in layers]
    return Case(name, record, tokens.input_ids.reshape(shape), stored)


def from_plain_pass(case: Case) -> dict[str, float]:
    """Site → its largest difference from a plain forward pass, over layers."""
    expected, _, _ = plain_pass(case.record, case.ids)
    layers = list(zip(case.stored, expected, strict=True))
    names = sites_of(case.record)
    return {site: max(difference(stored[site], sites[site]) for stored, sites in layers) for site in names}


def from_own_attention(case: Case) -> float:
    """The largest difference of ``attn_out`` from attention computed of the stored q, k and v, over layers."""
    _, _, model = plain_pass(case.record, case.ids[:1, :2])
    size = 12 if case.name in ("qwen3", "gemma2", "gemma3_text") else 8
    found = []
    for layer, (stored, block) in enumerate(zip(case.stored, blocks_of(model), strict=True)):
        qkv = (torch.from_numpy(stored[part]) for part in "qkv")
        with torch.no_grad():
            found.append(difference(stored["attn_out"], own_attn_out(case.name, block, layer, *qkv, size)))
    return max(found)
