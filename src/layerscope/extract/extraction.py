"""Run a model over a token shard and stream the activations of its sites into an activation shard."""

import logging
import os
import queue
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from layerscope.errors import UserError
from layerscope.extract.architectures import architecture_of
from layerscope.extract.hooks import tapped
from layerscope.extract.progress import Progress
from layerscope.extract.writer import ActivationShardWriter
from layerscope.sources import check_positions, read_model_config
from layerscope.tokenize.token_shards import read_token_shard

CPU_BATCH_TOKENS = 2048  # best of 512 to 8192 measured on two cores; larger batches leave the cache
GPU_BATCH_TOKENS = 16384
QUEUED = 4  # tensors between computing and writing: bounds memory


def choose_device(wanted: str) -> torch.device:
    """The device to compute on. A GPU that a scheduler gave is the one that CUDA_VISIBLE_DEVICES shows.

    Raises:
        UserError: cuda is asked for and there is none.
    """
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise UserError(
            f"extraction.device: cuda, but no GPU is usable here (CUDA_VISIBLE_DEVICES: {visible}); "
            "set extraction.device: auto to fall back to the CPU"
        )
    return torch.device("cuda")


def load_base_model(record: dict[str, Any], dtype: str, device: torch.device) -> nn.Module:
    """The model without its language-modelling head, in evaluation mode; safetensors only, no remote code."""
    from transformers import AutoModel
    from transformers import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    model = AutoModel.from_pretrained(
        record["path"],
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    return model.to(device).eval()


def batch_size_of(wanted: int | str, sequence_length: int, sequences: int, device: torch.device) -> int:
    """Sequences a forward pass. Shapes stay fixed within a run, because kernels depend on them."""
    if wanted != "auto":
        return int(wanted)
    tokens = CPU_BATCH_TOKENS if device.type == "cpu" else GPU_BATCH_TOKENS
    return min(sequences, max(1, tokens // sequence_length))


def extract_shard(
    token_shard: str,
    model_record: dict[str, Any],
    spec: dict[str, Any],
    device: str,
    threads: int,
    output: str | Path,
) -> dict[str, Any]:
    """Compute the sites ``spec["sites"]`` of every layer for the tokens of a shard and store them.

    Args:
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        spec: ``sites``, ``dtype``, ``batch_size``, ``storage_dtype``, ``compression``.
        device: auto, cpu or cuda.
        threads: how many cores may be used.
        output: path of the activation shard.

    Returns:
        The manifest: shape, digest and range of every dataset.

    Raises:
        UserError: no usable device, tokens that the model cannot take, values that are not finite.
    """
    tokens, attributes = read_token_shard(token_shard)
    sequences = int(attributes["sequences"])
    rows = tokens.input_ids.reshape(sequences, -1)
    length = rows.shape[1]

    name = model_record["name"]
    model_config = read_model_config(model_record["path"])
    check_positions(name, length, model_config)
    if tokens.input_ids.max() >= model_config["vocab_size"]:
        raise UserError(
            f"models.{name}: token {tokens.input_ids.max()} of tokenizer {attributes['tokenizer']} is beyond the "
            f"model's vocabulary of {model_config['vocab_size']}; name the tokenizer the model was trained with"
        )
    architecture = architecture_of(model_config["model_type"], name)

    torch.set_num_threads(min(threads, len(os.sched_getaffinity(0))))
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    where = choose_device(device)
    model = load_base_model(model_record, spec["dtype"], where)
    batch_size = batch_size_of(spec["batch_size"], length, sequences, where)
    logging.info("%s on %s, %d threads, batches of %d x %d", name, where, torch.get_num_threads(), batch_size, length)

    described = describe(model, model_record, spec, where, batch_size) | {
        key: attributes[key] for key in attributes if key not in ("format", "digest")
    }
    described["token_shard_digest"] = attributes["digest"]
    with (
        ActivationShardWriter(output, tokens, described, spec["storage_dtype"], spec["compression"]) as shard,
        BackgroundWriter(shard) as writer,
        tapped(model, architecture, spec["sites"], writer.put) as check,
        Progress(len(tokens), name) as progress,
        torch.inference_mode(),
    ):
        for start in range(0, sequences, batch_size):
            # The last batch is filled up with its first rows, so that every pass has the same shape.
            batch = np.resize(rows[start : start + batch_size], (batch_size, length))
            model(input_ids=torch.from_numpy(batch).to(where, torch.long), use_cache=False)
            check((batch_size, length))
            progress.advance(min(batch_size, sequences - start) * length)
        writer.join()
        return shard.finish()


def describe(
    model: nn.Module, record: dict[str, Any], spec: dict[str, Any], device: torch.device, batch_size: int
) -> dict[str, Any]:
    """Root attributes of an activation shard: how its values came about."""
    import h5py
    import transformers

    from layerscope import __version__

    return {
        "model": record["name"],
        "model_source": record["source"],
        "model_commit": record["commit"] or "local folder",
        "model_type": record["model_type"],
        "dtype": spec["dtype"],
        "attention_implementation": model.config._attn_implementation,
        "batch_size": batch_size,
        "device": str(device) if device.type == "cpu" else torch.cuda.get_device_name(),
        "layerscope_version": __version__,
        "torch_version": str(torch.__version__),
        "transformers_version": transformers.__version__,
        "h5py_version": h5py.__version__,
        "site_definitions": "TransformerLens names; mlp_pre of a gated MLP is the gate; q and k before rotary embedding",
    }


class BackgroundWriter:
    """Writes tensors in a thread, so that computing goes on; an error there stops the job at the next tensor."""

    def __init__(self, shard: ActivationShardWriter) -> None:
        self.shard = shard
        self.items: queue.Queue[tuple[str, int, torch.Tensor, Any] | None] = queue.Queue(QUEUED)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def put(self, site: str, layer: int, tensor: torch.Tensor) -> None:
        """Queue a tensor [batch, sequence, width] on any device; waits while the queue is full."""
        copied = None
        if tensor.device.type == "cuda":
            tensor = tensor.float().to("cpu", non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        self._raise()
        self.items.put((site, layer, tensor, copied))

    def join(self) -> None:
        """Wait until all is written."""
        self.items.put(None)
        self.thread.join()
        self._raise()

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        while (item := self.items.get()) is not None:
            if self.error is not None:
                continue  # keep emptying the queue, so that the computing side never blocks
            site, layer, tensor, copied = item
            try:
                if copied is not None:
                    copied.synchronize()
                self.shard.append(site, layer, tensor.float().flatten(0, 1).numpy())
            except BaseException as error:
                self.error = error

    def __enter__(self) -> "BackgroundWriter":
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.thread.is_alive():
            self.items.put(None)
            self.thread.join()
