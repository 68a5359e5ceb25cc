"""Run the sentences through a model and keep Q, K and V at the two chosen places."""

from pathlib import Path

import numpy as np
import torch

from layerscope.extract.activation_shards import dataset_name
from layerscope.io.provenance import origin
from layerscope.io.records import ModelRecord, TokenizerRecord
from layerscope.model.model_config import architecture, read_model_config
from layerscope.model.run import ComputeSpec, ModelRun, finite_values
from layerscope.studies.token_similarity.sentences import TOKENS, read_sentences
from layerscope.studies.token_similarity.vectors import write_vectors
from layerscope.tokenize.tokenizer import load_tokenizer


class VectorsSpec(ComputeSpec):
    sentences: str  # path of the file
    target: str
    seed: int  # of the choice of non-target tokens


def extract_vectors(
    model_record: ModelRecord,
    tokenizer_record: TokenizerRecord,
    spec: VectorsSpec,
    device: str,
    threads: int,
    output: str | Path,
) -> None:
    """Run the sentences through a model and keep Q, K and V at the two chosen places.

    Args:
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        tokenizer_record: from :func:`layerscope.fetch.models.fetch_tokenizer`.
        spec: which tokens are chosen, and how their vectors are computed.
        device: auto, cpu or cuda.
        threads: how many cores may be used.

    Raises:
        UserError: a sentence that cannot be used, or a vector that is not finite.
    """
    name, model_config = model_record["name"], read_model_config(model_record["path"])
    positions = architecture(name, model_config).positions(name, model_config)
    tokenizer = load_tokenizer(tokenizer_record)
    sentences = read_sentences(spec["sentences"], spec["target"], spec["seed"], tokenizer, name, positions)
    rows, places = sentences.rows, sentences.places
    run = ModelRun(model_record, spec, device, threads, rows)
    reducer = ChosenVectors(run, places[list(TOKENS)].to_numpy())
    run.reduce(reducer)
    attributes = run.attributes | {"sentences": spec["sentences"], "target": spec["target"], "seed": spec["seed"]}
    attributes |= {**origin("tokenizer", tokenizer_record), "sequence_length": rows.shape[1]}
    datasets = {"rows": rows, **{f"places/{column}": places[column].to_numpy() for column in places}}
    write_vectors(output, datasets | reducer.finish(), attributes)


class ChosenVectors:
    """A mergeable reducer that keeps Q, K and V at chosen places of every row.

    Args:
        places: [rows, places], positions within the row.
    """

    sites = ("q", "k", "v")

    def __init__(self, run: ModelRun, places: np.ndarray) -> None:
        self.model, self.places = run.model, torch.tensor(places)
        widths = {site: run.model.width(site) for site in self.sites}
        self.vectors = {
            dataset_name(site, layer): np.empty((places.shape[1], len(places), width), dtype=np.float32)
            for layer in range(run.model.layers)
            for site, width in widths.items()
        }

    @property
    def size(self) -> int:
        return sum(vectors.nbytes for vectors in self.vectors.values())

    def receive(self, site: str, layer: int, tensor: torch.Tensor, rows: slice) -> None:
        at = self.places[rows].to(tensor.device)
        vectors = tensor[torch.arange(len(at), device=tensor.device)[:, None], at]
        found = finite_values(self.model, site, layer, vectors)
        self.vectors[dataset_name(site, layer)][:, rows] = found.swapaxes(0, 1)

    def merge(self, *others: "ChosenVectors") -> None:
        self.vectors = {
            name: np.concatenate([reducer.vectors[name] for reducer in (self, *others)], axis=1)
            for name in self.vectors
        }

    def finish(self) -> dict[str, np.ndarray]:
        """``{site}/layer_{layer}`` → [places, rows, width]."""
        return self.vectors
