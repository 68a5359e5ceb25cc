"""Forward passes of a base model over rows of tokens, with its sites handed over as they are computed."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from layerscope import __version__
from layerscope.io.errors import UserError, memory_ran_out
from layerscope.io.provenance import origin
from layerscope.model.architectures import Architecture, architecture_of
from layerscope.model.checks import MLPRecomputation, check_causality, check_windows
from layerscope.model.finite import not_finite
from layerscope.model.hooks import Receiver, SiteError, tapped
from layerscope.model.memory import keep_freed_memory
from layerscope.model.onednn import use_onednn
from layerscope.model.residual_identity import RESIDUAL_SITES, ResidualIdentity
from layerscope.model.weights import check_plain, read_weights
from layerscope.sources import check_positions, read_model_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CPU_BATCH_TOKENS = 1024  # best of 512 to 4096 measured on two cores; larger batches leave the cache
GPU_BATCH_TOKENS = 16384


@dataclass(frozen=True)
class LoadedModel:
    name: str
    base: nn.Module  # without the language-modelling head, in evaluation mode
    architecture: Architecture
    attention: str  # how transformers computes it: eager, sdpa
    dtype: torch.dtype  # that was asked for
    device: torch.device

    @property
    def config(self) -> Any:
        """The model's own configuration."""
        return self.base.config


def choose_device(wanted: str) -> torch.device:
    """The device to compute on. A GPU that a scheduler gave is the one that CUDA_VISIBLE_DEVICES shows.

    Raises:
        UserError: cuda is asked for and there is none.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        if wanted == "auto":
            logging.info("no GPU is usable here (CUDA_VISIBLE_DEVICES: %s): computing on the CPU", visible)
            return torch.device("cpu")
        raise UserError(
            f"extraction.device: cuda, but no GPU is usable here (CUDA_VISIBLE_DEVICES: {visible}); "
            "set extraction.device: auto to fall back to the CPU"
        )
    return torch.device("cuda")


def load_base_model(record: dict[str, Any], dtype: str, device: torch.device) -> "PreTrainedModel":
    """The model without its language-modelling head, in evaluation mode; safetensors only, no remote code.

    One with random weights is drawn as its training began, always with the same seed.

    Raises:
        UserError: the files cannot be read, or lack weights or have them in other shapes, which transformers would
            fill with random numbers without a word.
    """
    from transformers import MODEL_MAPPING, AutoConfig, AutoModel
    from transformers import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(
            record["path"],
            trust_remote_code=False,
            local_files_only=True,
        )
        options = {
            "dtype": getattr(torch, dtype),
            "attn_implementation": architecture_of(config.model_type, record["name"]).attention,
        }
        if record["weights"] == "random":
            torch.manual_seed(0)
            return AutoModel.from_config(config, trust_remote_code=False, **options).to(device).eval()
        kind: Any = MODEL_MAPPING[type(config)]
        model, loading = kind.from_pretrained(
            # Not the folder, where transformers would also look for adapters and for weights of other names.
            None,
            config=config,
            state_dict=read_weights(record["name"], Path(record["path"])),
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are named below
            **options,
        )
    except Exception as error:  # a dozen kinds, by what is wrong with the files
        if isinstance(error, UserError) or memory_ran_out(error):
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise UserError(
            f"models.{record['name']}: {record['path']} cannot be loaded ({reason}); fetch the model again"
        ) from error
    if mismatched := sorted(loading["mismatched_keys"]):
        weight, found, expected = mismatched[0]
        raise UserError(
            f"models.{record['name']}: {record['path']} has {len(mismatched)} weights of another shape than its "
            f"config.json says, {weight} for one: {list(found)}, not {list(expected)}; fetch the model again"
        )
    if missing := sorted(loading["missing_keys"]):
        raise UserError(
            f"models.{record['name']}: {record['path']} lacks {len(missing)} weights, {missing[0]} for one; "
            "fetch the model again"
        )
    return model.to(device).eval()


def open_model(record: dict[str, Any], dtype: str, device: str, threads: int, rows: np.ndarray) -> LoadedModel:
    """Load a model after holding it against the tokens it is to read.

    Args:
        record: from :func:`layerscope.fetch.models.fetch_model`.
        dtype: float32, float16 or bfloat16.
        device: auto, cpu or cuda.
        threads: how many cores may be used.
        rows: token ids [sequences, sequence length].

    Raises:
        UserError: an architecture that is not supported, rows longer than the model's positions, tokens beyond its
            vocabulary, or no usable device.
    """
    name = record["name"]
    model_config = read_model_config(record["path"])
    architecture = architecture_of(model_config["model_type"], name)
    check_plain(name, model_config)
    check_positions(name, rows.shape[1], model_config)
    if rows.max() >= model_config["vocab_size"]:
        raise UserError(
            f"models.{name}: token {rows.max()} is beyond the model's vocabulary of {model_config['vocab_size']}; "
            f"set models.{name}.tokenizer to the tokenizer it was trained with"
        )
    keep_freed_memory()
    # Snakemake counts cores as they are asked for; more threads than cores slow each other down.
    torch.set_num_threads(min(threads, len(os.sched_getaffinity(0))))
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    where = choose_device(device)
    base = load_base_model(record, dtype, where)
    if where.type == "cpu" and dtype == "float32":
        use_onednn(base)
    logging.info("%s in %s on %s, %d threads", name, dtype, where, torch.get_num_threads())
    return LoadedModel(name, base, architecture, base.config._attn_implementation, getattr(torch, dtype), where)


def describe(model: LoadedModel, record: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """Attributes that say how the values of a file came about."""
    return {
        **origin("model", record),
        "model_type": record["model_type"],
        "weights": record["weights"],
        "dtype": spec["dtype"],
        "attention_implementation": model.attention,
        "device": "cpu" if model.device.type == "cpu" else torch.cuda.get_device_name(),
        "layerscope_version": __version__,
        **{f"{package}_version": version(package) for package in ("torch", "transformers", "h5py")},
        "site_definitions": "TransformerLens names; mlp_pre of a gated MLP is the gate; q, k before rotary embedding",
    }


def batch_size_of(wanted: int | str, sequence_length: int, sequences: int, device: torch.device) -> int:
    """Sequences a forward pass. Shapes stay fixed within a run, because kernels depend on them."""
    if wanted != "auto":
        return int(wanted)
    tokens = CPU_BATCH_TOKENS if device.type == "cpu" else GPU_BATCH_TOKENS
    return min(sequences, max(1, tokens // sequence_length))


def forward_batches(
    model: LoadedModel, rows: np.ndarray, batch_size: int, sites: list[str], receive: Receiver
) -> Iterator[tuple[int, int]]:
    """Run ``rows`` [sequences, sequence length] through the model, batch by batch.

    ``receive(site, layer, tensor)`` gets each of ``sites`` of every layer, as [batch, sequence length, width]. The
    last batch is filled up with rows it already holds, so that every pass has the same shape: receivers drop what is
    beyond the last row. The model is checked before the first batch, its sites in every layer during it
    (docs/checks.md).

    Yields:
        After each pass, the rows it held: first and one beyond the last.

    Raises:
        SiteError: a check failed; the line names it, the model and the layer.
    """
    try:
        check_causality(model, rows)
        check_windows(model, rows.shape[1])
        yield from _passes(model, rows, batch_size, sites, receive)
    except SiteError as error:
        raise SiteError(f"models.{model.name}: {error}") from error


def _passes(
    model: LoadedModel, rows: np.ndarray, batch_size: int, sites: list[str], receive: Receiver
) -> Iterator[tuple[int, int]]:
    shape = (batch_size, rows.shape[1])
    for start in range(0, len(rows), batch_size):
        batch = torch.from_numpy(np.resize(rows[start : start + batch_size], shape))
        taps, receiver = sites, receive
        if start == 0:
            taps = [*RESIDUAL_SITES, *(site for site in sites if site not in RESIDUAL_SITES)]
            receiver = ResidualIdentity(sites, receive)
            if "mlp_pre" in sites:
                receiver = MLPRecomputation(model, receiver)
        with tapped(model.base, model.architecture, taps, receiver) as check, torch.inference_mode():
            model.base(input_ids=batch.to(model.device, torch.long), use_cache=False)
            check(shape, model.dtype)
        yield start, min(start + batch_size, len(rows))


def finite_values(model: LoadedModel, site: str, layer: int, tensor: torch.Tensor) -> np.ndarray:
    """A tensor of a site as float32 on the CPU, of the same shape.

    Raises:
        UserError: it holds NaN or Inf.
    """
    values = tensor.float().cpu().numpy()
    if not np.isfinite(values).all():
        raise not_finite(model.name, site, layer, values)
    return values
