"""Contexts that a finished study lists are those of all its activations, which are stored."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from layerscope.summarize.neuron_sums import AFTER, BEFORE
from layerscope.tokenize.vocabulary import takes_part


def check(results: Path) -> int:
    """Compare all contexts of every neuron with its activations and a sort of them; how many tables were compared."""
    tables = sorted(results.glob("token_length/*/contexts_*.parquet"))
    for path in tables:
        model, layer = path.parent.name, path.stem.rpartition("_")[2]
        shards = [h5py.File(shard) for shard in sorted(results.glob(f"activations/{model}/*/shard_*.h5"))]
        values = np.concatenate([shard[f"mlp_pre/layer_{layer}"][:] for shard in shards])
        ids = np.concatenate([shard["tokens/input_ids"][:] for shard in shards])
        length, tokenizer = shards[0].attrs["sequence_length"], shards[0].attrs["tokenizer"].decode()
        (vocabulary,) = results.glob(f"tokens/{tokenizer}/{shards[0].attrs['corpus'].decode()}/vocabulary.parquet")
        kept = np.flatnonzero(takes_part(pd.read_parquet(vocabulary), ids))
        contexts = pd.read_parquet(path)
        place = (contexts["sequence"] * length + contexts["position"]).to_numpy()
        assert np.array_equal(values[place, contexts["neuron"]], contexts["value"])
        assert np.array_equal(ids[place], contexts["token_id"])
        around = place[:, None] + np.arange(-BEFORE, AFTER + 1)
        inside = around // length == (place // length)[:, None]
        expected = values[np.where(inside, around, 0), contexts["neuron"].to_numpy()[:, None]].astype(np.float16)
        window = np.stack(contexts["window"].tolist())
        np.testing.assert_array_equal(window, np.where(inside, expected, np.float16("nan")))
        assert np.array_equal(window[:, 15], contexts["value"].astype(np.float16))
        for kind, sign in (("most", -1), ("least", 1)):
            ordered = kept[np.argsort(sign * values[kept], axis=0, kind="stable")[:16]]
            assert np.array_equal(place[contexts["kind"] == kind], ordered.T.ravel())
        ordered = np.sort(values[kept], axis=0)
        for percent in range(10, 100, 10):
            nearest = ordered[round(percent / 100 * (len(ordered) - 1))]
            found = contexts[contexts["kind"] == f"quantile_{percent}"].groupby("neuron")["value"].agg(["min", "max"])
            assert ((found["min"] <= nearest) & (nearest <= found["max"])).all()
    return len(tables)


def test_contexts_are_those_of_all_activations(finished: Path) -> None:
    assert check(finished / "results") > 1


def test_contexts_of_the_default_study_are_those_of_all_activations(default_results: Path) -> None:
    assert check(default_results) == 24
