"""Loading of a base model: on which device, from which files, and checked against the tokens it is to read."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from layerscope.io.errors import UserError, memory_ran_out
from layerscope.io.records import ModelRecord
from layerscope.model.architectures import Architecture, architecture_of
from layerscope.model.memory import keep_freed_memory
from layerscope.model.model_config import architecture, check_positions, read_model_config
from layerscope.model.onednn import use_onednn
from layerscope.model.weights import check_plain, read_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LoadedModel:
    name: str
    base: nn.Module  # without the language-modelling head, in evaluation mode
    architecture: Architecture
    config: dict[str, Any]  # its config.json, with what is left out there filled in
    attention: str  # how transformers computes it: eager, sdpa
    dtype: torch.dtype  # that was asked for
    device: torch.device

    @property
    def layers(self) -> int:
        return self.architecture.layers(self.name, self.config)

    def width(self, site: str) -> int:
        """Numbers that a site has for each token."""
        return self.architecture.width(self.config, site)


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


def set_up_torch(threads: int) -> None:
    """Take as many cores as a job may use, and compute in float32 where that is asked for, on a GPU too."""
    # Snakemake counts cores as they are asked for; more threads than cores slow each other down.
    torch.set_num_threads(min(threads, len(os.sched_getaffinity(0))))
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def load_base_model(record: ModelRecord, dtype: str, device: torch.device) -> "PreTrainedModel":
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


def open_model(record: ModelRecord, dtype: str, device: str, threads: int, rows: np.ndarray) -> LoadedModel:
    """Load a model after checking it against the tokens it is to read.

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
    found = architecture(name, model_config)
    check_plain(name, model_config)
    check_positions(name, rows.shape[1], model_config)
    if rows.max() >= (size := found.vocabulary(name, model_config)):
        raise UserError(
            f"models.{name}: token {rows.max()} is beyond the model's vocabulary of {size}; "
            f"set models.{name}.tokenizer to the tokenizer it was trained with"
        )
    keep_freed_memory()
    set_up_torch(threads)
    where = choose_device(device)
    base = load_base_model(record, dtype, where)
    if where.type == "cpu" and dtype == "float32":
        use_onednn(base)
    logging.info("%s in %s on %s, %d threads", name, dtype, where, torch.get_num_threads())
    attention = base.config._attn_implementation
    return LoadedModel(name, base, found, base.config.to_dict(), attention, getattr(torch, dtype), where)
