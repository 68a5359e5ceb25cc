"""Q, K and V of the target and the non-target token of every sentence, in every layer: one HDF5 file a model.

``/{q,k,v}/layer_{layer}`` has the shape [2, sentences, width]: target first, non-target second. With grouped-query
attention K and V are narrower than Q.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from layerscope.attributes import attributes_of, checked_attributes, set_attribute, set_root_attributes
from layerscope.errors import reading
from layerscope.extract.activation_shards import dataset_name
from layerscope.extract.forward import batch_size_of, describe, finite_values, forward_batches, open_model
from layerscope.extract.progress import Progress
from layerscope.files import digest_of, whole_file
from layerscope.token_similarity.sentences import TOKENS, read_sentences
from layerscope.tokenize.tokenizer import load_tokenizer

FORMAT = "layerscope token vectors 2"
PLACE = "token_similarity/{model}/vectors.h5"


def extract_vectors(
    model_record: dict[str, Any],
    tokenizer_record: dict[str, Any],
    spec: dict[str, Any],
    device: str,
    threads: int,
    output: str | Path,
) -> None:
    """Run the sentences through a model and keep Q, K and V at the two chosen places.

    Args:
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        tokenizer_record: from :func:`layerscope.fetch.models.fetch_tokenizer`.
        spec: ``sentences`` (path), ``target``, ``seed``, ``dtype``, ``batch_size``.
        device: auto, cpu or cuda.
        threads: how many cores may be used.

    Raises:
        UserError: a sentence without the target, or a vector that is not finite.
    """
    sentences = read_sentences(spec["sentences"], spec["target"], spec["seed"], load_tokenizer(tokenizer_record))
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
    with whole_file(output) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        attributes = {"format": FORMAT, **describe(model, model_record, spec), "batch_size": batch_size}
        attributes |= {key: spec[key] for key in ("sentences", "target", "seed")}
        attributes |= {"tokenizer": tokenizer_record["name"], "sequence_length": rows.shape[1]}
        set_root_attributes(file, attributes)
        datasets = {"rows": rows, **{f"places/{column}": places[column].to_numpy() for column in places}}
        datasets |= {name: np.concatenate(parts).swapaxes(0, 1) for name, parts in kept.items()}
        for name, values in datasets.items():
            dataset = file.create_dataset(name, data=values, fletcher32=True)
            set_attribute(dataset, "digest", digest_of([values.tobytes()]))


def read_vectors(path: str, layer: int) -> tuple[dict[str, dict[str, np.ndarray]], int]:
    """Vectors of one layer: token (target, non_target) → q, k or v → float32 [sentences, width].

    Also into how many tokens the target is split, at most.

    Raises:
        UserError: the file is damaged, or not that of its place.
    """
    with reading(path), h5py.File(path) as file:
        checked_attributes(file, path, FORMAT, PLACE)
        arrays = {site: _read(file[dataset_name(site, layer)]) for site in "qkv"}
        pieces = int(_read(file["places/target_pieces"]).max())
    return {token: {site: arrays[site][i] for site in "qkv"} for i, token in enumerate(TOKENS)}, pieces


def _read(dataset: h5py.Dataset) -> np.ndarray:
    values = dataset[:]
    if digest_of([values.tobytes()]) != attributes_of(dataset).get("digest"):
        raise ValueError(f"{dataset.name} differs from what was written")
    return values
