"""One run of a model over rows of tokens: its sites are handed to reducers, batch by batch, as they are computed."""

import logging
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal, Protocol, Self, TypedDict

import numpy as np
import torch

from layerscope import __version__
from layerscope.io.provenance import origin
from layerscope.io.records import ModelRecord
from layerscope.model.architecture import OF_GATED
from layerscope.model.batch_size import batch_size_of
from layerscope.model.checks import MLPRecomputation, check_causality, check_windows
from layerscope.model.finite import not_finite
from layerscope.model.gpu_memory import tokens_that_fit
from layerscope.model.hooks import Receiver, SiteError, tapped
from layerscope.model.loading import LoadedModel, open_model
from layerscope.model.model_config import check_sites
from layerscope.model.progress import Progress
from layerscope.model.residual_identity import RESIDUAL_SITES, ResidualIdentity

SITE_DEFINITIONS = (
    "TransformerLens names; mlp_pre of a gated MLP is the gate, mlp_gate the same, mlp_up what it is multiplied with "
    "once activated; q, k before their norms and rotary embedding; attn_out, mlp_out as added to the residual stream"
)


class ComputeSpec(TypedDict):
    """How activations are computed."""

    dtype: Literal["float32", "float16", "bfloat16"]
    batch_size: int | Literal["auto"]


class Reducer(Protocol):
    """Makes a result of the tensors of some sites while the model runs."""

    @property
    def sites(self) -> Sequence[str]:
        """Sites that it asks for, of every layer."""

    @property
    def size(self) -> int:
        """Bytes of its result."""

    def receive(self, site: str, layer: int, tensor: torch.Tensor, rows: slice) -> None:
        """Take what a site of a layer has for some rows of the run.

        Batches come in order, and each layer's tensors in the order in which a block computes them.

        Args:
            tensor: [rows, sequence length, width], on the model's device; it must not be changed.
            rows: which of the run's rows these are.
        """

    def finish(self) -> Any:
        """The result, once all rows were received."""


class MergeableReducer(Reducer, Protocol):
    """A reducer whose result is the same whether its rows were read in one run or in several.

    Not the one that stores activations: its shards are joined by those who read them.
    """

    def merge(self, *others: Self) -> None:
        """Append what other reducers received, of the rows that follow, in order."""


class ModelRun:
    """A model, opened to run over rows of tokens.

    Args:
        record: of the model, from :func:`layerscope.fetch.models.fetch_model`.
        spec: how activations are computed.
        device: auto, cpu or cuda.
        threads: how many cores may be used.
        rows: token ids [sequences, sequence length].

    Raises:
        UserError: as :func:`layerscope.model.loading.open_model`.
    """

    def __init__(self, record: ModelRecord, spec: ComputeSpec, device: str, threads: int, rows: np.ndarray) -> None:
        self.model = open_model(record, spec["dtype"], device, threads, rows)
        self.rows = rows
        length, most = rows.shape[1], tokens_that_fit(self.model, rows.shape[1])
        self.batch_size = batch_size_of(spec["batch_size"], length, len(rows), self.model.device.type, most)
        # How the values of a file came about.
        self.attributes = {**_attributes(self.model, record, spec["dtype"]), "batch_size": self.batch_size}

    def reduce(self, *reducers: Reducer) -> None:
        """Run the model over all rows and hand each reducer the tensors of its sites.

        The model is checked before the first batch, and its sites in every layer during it (docs/checks.md).

        Raises:
            SiteError: a check failed; the line names it, the model and the layer.
            UserError: a reducer asks for a site that the model does not have, or as the reducers raise.
        """
        name, (sequences, length) = self.model.name, self.rows.shape
        for reducer in reducers:
            check_sites(f"models.{name}", name, reducer.sites, self.model.config)
            logging.info("%s: %s make %.3g MB", name, ", ".join(reducer.sites), reducer.size / 1e6)
        try:
            check_causality(self.model, self.rows)
            check_windows(self.model, self.rows)
            with Progress(self.rows.size, name) as progress:
                for start in range(0, sequences, self.batch_size):
                    rows = slice(start, min(start + self.batch_size, sequences))
                    self._pass(rows, reducers)
                    progress.advance((rows.stop - rows.start) * length)
        except SiteError as error:
            raise SiteError(f"models.{name}: {error}") from error

    def _pass(self, rows: slice, reducers: Sequence[Reducer]) -> None:
        """Run one batch. One that is not full is filled up with rows it already holds, so that every pass has the same
        shape; reducers never see what fills it up."""
        sites = list(dict.fromkeys(site for reducer in reducers for site in reducer.sites))

        def receive(site: str, layer: int, tensor: torch.Tensor) -> None:
            for reducer in reducers:
                if site in reducer.sites:
                    reducer.receive(site, layer, tensor[: rows.stop - rows.start], rows)

        model, shape = self.model, (self.batch_size, self.rows.shape[1])
        batch = torch.from_numpy(np.resize(self.rows[rows], shape))
        taps, receiver = self._checked(sites, receive) if rows.start == 0 else (sites, receive)
        with tapped(model.base, model.architecture, taps, receiver) as check, torch.inference_mode():
            model.base(input_ids=batch.to(model.device, torch.long), use_cache=False)
            check(shape, model.dtype)

    def _checked(self, sites: list[str], receive: Receiver) -> tuple[list[str], Receiver]:
        """The sites to tap, and a receiver of theirs that checks them and hands on ``sites``."""
        receiver: Receiver = ResidualIdentity(sites, receive)
        if any(site in ("mlp_pre", *OF_GATED) for site in sites):
            receiver = MLPRecomputation(self.model, sites, receiver)
        return [*RESIDUAL_SITES, *(site for site in sites if site not in RESIDUAL_SITES)], receiver


def finite_values(model: LoadedModel, site: str, layer: int, tensor: torch.Tensor) -> np.ndarray:
    """A tensor of a site as float32 on the CPU, of the same shape.

    Raises:
        UserError: it holds NaN or Inf.
    """
    values = tensor.float().cpu().numpy()
    if not np.isfinite(values).all():
        raise not_finite(model.name, site, layer, values)
    return values


def _attributes(model: LoadedModel, record: ModelRecord, dtype: str) -> dict[str, Any]:
    return {
        **origin("model", record),
        "model_type": record["model_type"],
        "weights": record["weights"],
        "dtype": dtype,
        "attention_implementation": model.attention,
        "device": "cpu" if model.device.type == "cpu" else torch.cuda.get_device_name(),
        "layerscope_version": __version__,
        **{f"{package}_version": version(package) for package in ("torch", "transformers", "h5py")},
        "site_definitions": SITE_DEFINITIONS,
    }
