"""Run the sentences through a model and keep Q, K and V at the two chosen places."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from layerscope.extract.activation_shards import dataset_name
from layerscope.io.provenance import origin
from layerscope.io.records import TokenizerRecord
from layerscope.model.forward import batch_size_of, describe, finite_values, forward_batches, open_model
from layerscope.model.progress import Progress
from layerscope.sources import positions_of, read_model_config
from layerscope.studies.token_similarity.sentences import TOKENS, read_sentences
from layerscope.studies.token_similarity.vectors import write_vectors
from layerscope.tokenize.tokenizer import load_tokenizer


def extract_vectors(
    model_record: dict[str, Any],
    tokenizer_record: TokenizerRecord,
    spec: dict[str, Any],
    device: str,
    threads: int,
    output: str | Path,
) -> None:
    """Run the sentences through a model and keep Q, K and V at the two chosen places.

    Args:
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        spec: ``sentences`` (path), ``target``, ``seed``, ``dtype``, ``batch_size``.
        device: auto, cpu or cuda.
        threads: how many cores may be used.

    Raises:
        UserError: a sentence that cannot be used, or a vector that is not finite.
    """
    name, positions = model_record["name"], positions_of(model_record["name"], read_model_config(model_record["path"]))
    tokenizer = load_tokenizer(tokenizer_record)
    sentences = read_sentences(spec["sentences"], spec["target"], spec["seed"], tokenizer, name, positions)
    rows, places = sentences.rows, sentences.places
    model = open_model(model_record, spec["dtype"], device, threads, rows)
    batch_size = batch_size_of(spec["batch_size"], rows.shape[1], len(rows), model.device)
    chosen = torch.from_numpy(places[list(TOKENS)].to_numpy(copy=True))  # [sentences, 2]
    kept: dict[str, list[np.ndarray]] = defaultdict(list)
    done = 0

    def receive(site: str, layer: int, tensor: torch.Tensor) -> None:
        at = chosen[done : done + len(tensor)].to(tensor.device)
        vectors = tensor[torch.arange(len(at), device=tensor.device)[:, None], at]
        kept[dataset_name(site, layer)].append(finite_values(model, site, layer, vectors))

    with Progress(rows.size, model.name) as progress:
        for start, stop in forward_batches(model, rows, batch_size, ["q", "k", "v"], receive):
            progress.advance((stop - start) * rows.shape[1])
            done = stop
    attributes = {**describe(model, model_record, spec), "batch_size": batch_size}
    attributes |= {key: spec[key] for key in ("sentences", "target", "seed")}
    attributes |= {**origin("tokenizer", tokenizer_record), "sequence_length": rows.shape[1]}
    datasets = {"rows": rows, **{f"places/{column}": places[column].to_numpy() for column in places}}
    datasets |= {name: np.concatenate(parts).swapaxes(0, 1) for name, parts in kept.items()}
    write_vectors(output, datasets, attributes)
