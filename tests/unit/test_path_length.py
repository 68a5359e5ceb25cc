"""Path lengths against plain hooks and numpy, and the table of layers against scipy."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from tiny_models import LAYERS, change_weights, extract, save_random_tokens, save_tiny_model
from torch import nn
from transformers import AutoModelForCausalLM

from layerscope.config.sections import Sampling
from layerscope.io.errors import UserError
from layerscope.studies.path_length.extract import extract_paths, paths_of_stored
from layerscope.studies.path_length.jackknife import jackknife_paths
from layerscope.studies.path_length.lengths import QUANTITIES, SITES
from layerscope.studies.path_length.path_shards import read_path_shard, write_path_shard
from layerscope.studies.path_length.reduce_streams import PathLengths
from layerscope.studies.path_length.sample import read_sample
from layerscope.studies.path_length.summarize_layers import layers_table
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.vocabulary import takes_part

SEQUENCES, LENGTH = 5, 24  # in batches of two, so that the last is not full
SPEC = {"dtype": "float32", "batch_size": 2}
Values = dict[str, np.ndarray]


def token_types(special: tuple[int, ...] = (), partial: tuple[int, ...] = (), size: int = 300) -> pd.DataFrame:
    """What shards need of the table of token types."""
    ids = np.arange(size)
    table = pd.DataFrame({"special": np.isin(ids, special), "partial": np.isin(ids, partial)})
    table.attrs["path"] = "frequency.parquet"
    return table


def expected_values(record: dict, ids: np.ndarray) -> Values:
    """Quantities [layers, tokens] from transformers' own forward pass, all sequences at once, norms in float64."""
    model = AutoModelForCausalLM.from_pretrained(record["path"], attn_implementation="eager").eval()
    seen: dict[tuple[str, int], np.ndarray] = {}

    def keep(site: str, layer: int, value: object) -> None:
        tensor = value[0] if isinstance(value, tuple) else value
        assert tensor.shape[:2] == ids.shape
        seen[site, layer] = tensor.flatten(0, 1).double().numpy()

    blocks = next(module for module in model.modules() if isinstance(module, nn.ModuleList))
    for i, block in enumerate(blocks):
        attention = block.self_attn if record["model_type"] == "llama" else block.attn
        block.register_forward_pre_hook(lambda module, args, i=i: keep("in", i, args[0]))
        block.register_forward_hook(lambda module, args, out, i=i: keep("resid", i, out))
        attention.register_forward_hook(lambda module, args, out, i=i: keep("attn", i, out))
        block.mlp.register_forward_hook(lambda module, args, out, i=i: keep("mlp", i, out))
    with torch.no_grad():
        model(torch.from_numpy(ids).long(), use_cache=False)

    found: dict[str, list[np.ndarray]] = {name: [] for name in QUANTITIES}
    for i in range(len(blocks)):
        attn, mlp = seen["attn", i], seen["mlp", i]
        for name in ("attn", "mlp"):
            before = seen[name, i - 1] if i else np.full_like(seen[name, i], np.nan)
            found[f"path_{name}"].append(np.linalg.norm(seen[name, i] - before, axis=1))
            found[f"step_{name}"].append(np.linalg.norm(seen[name, i], axis=1))
        found["path_resid"].append(np.linalg.norm(seen["resid", i] - seen["in", i], axis=1))
        found["cosine_attn_mlp"].append((attn * mlp).sum(1) / found["step_attn"][i] / found["step_mlp"][i])
    return {name: np.stack(layers) for name, layers in found.items()}


@dataclass
class Case:
    record: dict
    tokens: Tokens
    token_shard: Path
    extracted: tuple[Values, Tokens, np.ndarray, dict]


@pytest.fixture(scope="module", params=["gpt2", "gpt_neo", "llama"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    record = save_tiny_model(request.param, folder / "model")
    tokens = save_random_tokens(folder / "tokens.h5", SEQUENCES, LENGTH)
    extracted = extract_paths(str(folder / "tokens.h5"), token_types(), record, SPEC, "cpu", 1)
    return Case(record, tokens, folder / "tokens.h5", extracted)


def test_values_equal_plain_hooks_and_numpy(case: Case) -> None:
    values, tokens, included, _ = case.extracted
    assert tokens.digest() == case.tokens.digest() and included.all()
    expected = expected_values(case.record, case.tokens.input_ids.reshape(SEQUENCES, LENGTH))
    assert set(values) == set(expected)
    for name, found in values.items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_before_layer_0_there_is_resid_pre_and_nothing_of_attention_and_mlp(case: Case) -> None:
    values, *_ = case.extracted
    for name in ("path_attn", "path_mlp"):
        assert np.isnan(values[name][0]).all() and np.isfinite(values[name][1:]).all()
    assert all(np.isfinite(values[name]).all() for name in QUANTITIES if name not in ("path_attn", "path_mlp"))
    # From resid_pre, not from nothing: no longer than what the two add.
    steps = values["step_attn"][0] + values["step_mlp"][0]
    assert (values["path_resid"][0] <= steps * (1 + 1e-5)).all()


def test_stored_streams_give_the_same_bits(case: Case, tmp_path: Path) -> None:
    extract(case.token_shard, case.record, tmp_path / "shard.h5", sites=list(SITES))
    layers = LAYERS[case.record["model_type"]]
    values, tokens, included, attributes = paths_of_stored(str(tmp_path / "shard.h5"), token_types(), layers)
    assert included.all()
    for name, found in case.extracted[0].items():
        np.testing.assert_array_equal(values[name], found, err_msg=name)
    assert tokens.digest() == case.tokens.digest()
    assert attributes["model"] == case.extracted[3]["model"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_stream_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    change_weights(record, lambda weights: weights["transformer.h.1.mlp.c_proj.bias"][3].fill_(value))
    save_random_tokens(tmp_path / "tokens.h5", 2, 8)
    with pytest.raises(UserError, match=r"models\.gpt2: mlp_out of layer 1 holds NaN or Inf"):
        extract_paths(str(tmp_path / "tokens.h5"), token_types(), record, SPEC, "cpu", 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("site", "layer"), [("resid_pre", 0), *product(SITES[1:], range(3))])
def test_first_stream_that_is_not_finite_is_named(site: str, layer: int, value: float) -> None:
    """Whatever it spreads to, and with its tokens counted."""
    lengths, rng = PathLengths("m", 3, 6), np.random.default_rng(0)
    with pytest.raises(UserError, match=rf"^models\.m: {site} of layer {layer} holds NaN or Inf in 2 of 6 tokens; "):
        for at, name in product(range(3), SITES):
            stream = torch.from_numpy(rng.normal(size=(6, 4)).astype(np.float32))
            if (at, SITES.index(name)) >= (layer, SITES.index(site)):
                stream[[1, 4], 2] = value
            lengths.add(name, at, stream, slice(0, 6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_norms_equal_float64_within_half_a_rounding(dtype: torch.dtype) -> None:
    """Of streams with a massive activation, in each precision of the forward pass: after float64, one rounding."""
    rng = np.random.default_rng(0)
    streams = {key: torch.from_numpy(rng.normal(size=(50, 768))).to(dtype) for key in product(range(2), SITES)}
    for stream in streams.values():
        stream[3, 7] = 3000
    lengths = PathLengths("m", 2, 50)
    for start in (0, 20):  # batches that differ in size
        tokens = slice(start, 20 if start == 0 else 50)
        for (layer, site), stream in streams.items():
            lengths.add(site, layer, stream[tokens], tokens)
    of = {key: stream.float().numpy() for key, stream in streams.items()}
    for layer in range(2):
        attn, mlp = of[layer, "attn_out"].astype(np.float64), of[layer, "mlp_out"].astype(np.float64)
        step = {"attn": np.linalg.norm(attn, axis=1), "mlp": np.linalg.norm(mlp, axis=1)}
        before = of[0, "resid_pre" if layer == 0 else "resid_post"]
        moved = (of[layer, "resid_post"] - before).astype(np.float64)  # in float32, as the streams are
        expected = {"path_resid": np.linalg.norm(moved, axis=1)}
        expected |= {f"step_{name}": values for name, values in step.items()}
        expected["cosine_attn_mlp"] = (attn * mlp).sum(axis=1) / (step["attn"] * step["mlp"])
        for name, values in expected.items():
            np.testing.assert_allclose(lengths.quantities[name][layer], values, rtol=2**-24 + 1e-12, atol=1e-15)


def test_stream_that_adds_nothing_has_no_cosine() -> None:
    lengths = PathLengths("m", 1, 4)
    for site in SITES:
        lengths.add(site, 0, torch.ones(4, 3) * (site != "mlp_out"), slice(0, 4))
    assert (lengths.quantities["step_mlp"] == 0).all() and np.isnan(lengths.quantities["cosine_attn_mlp"]).all()


def save_random_paths(
    path: Path, sequences: int, seed: int, layers: int = 3, stored_sequences: int | None = None
) -> Values:
    """Save a shard of random quantities, correlated with each other; layer 0 as the model gives it."""
    rng = np.random.default_rng(seed)
    count = sequences * LENGTH
    shared = rng.gamma(4, size=(layers, count))
    values = {name: (shared + rng.gamma(4, size=shared.shape)).astype(np.float32) for name in QUANTITIES}
    values["path_attn"][0] = values["path_mlp"][0] = np.nan
    numbers = np.arange(count, dtype=np.int32)
    tokens = Tokens(numbers, numbers // LENGTH, numbers % LENGTH, numbers // 40)
    every = np.ones(count, dtype=bool)
    write_path_shard(path, values, tokens, every, {"model": "random", "shard": 0}, stored_sequences)
    return values


def table_of(**shards: list[Path]) -> pd.DataFrame:
    """layers.csv of models."""
    return layers_table({model: [str(path) for path in paths] for model, paths in shards.items()})


def test_shard_of_another_commit_is_refused(case: Case, tmp_path: Path) -> None:
    *reduced, attributes = case.extracted
    paths = [str(tmp_path / f"{number}.h5") for number in range(3)]
    for path, commit in zip(paths, ("c0ffee", "c0ffee", "decade"), strict=True):
        write_path_shard(path, *reduced, {**attributes, "model_commit": commit})
    assert len(read_sample(paths[:2]).tokens) == 2 * len(case.tokens)
    with pytest.raises(
        UserError, match=r"2\.h5: its model_commit is decade, that of .*0\.h5 is c0ffee; they are from different runs"
    ):
        read_sample(paths)


def test_layers_table_equals_scipy_with_and_without_the_first_token(tmp_path: Path) -> None:
    paths = [tmp_path / "shard_0000.h5", tmp_path / "shard_0001.h5"]
    parts = [save_random_paths(paths[0], 3, seed=0), save_random_paths(paths[1], 2, seed=1)]
    values = {name: np.concatenate([part[name] for part in parts], axis=1) for name in QUANTITIES}
    table = table_of(a=paths, b=paths[:1])
    assert list(table.groupby("model").size()) == [6, 6]

    table = table[table["model"] == "a"].set_index(["token_filter", "layer"])
    first = np.arange(5 * LENGTH) % LENGTH == 0
    for token_filter, keep in (("all", first | True), ("without_first", ~first)):
        path = {name: values[f"path_{name}"][:, keep].astype(np.float64) for name in ("attn", "mlp", "resid")}
        for layer in range(3):
            row = table.loc[token_filter, layer]
            assert row["tokens"] == keep.sum() and row["relative_depth"] == layer / 2
            assert row["documents"] == 2  # the two shards number theirs alike
            for name in ("attn", "mlp"):
                np.testing.assert_allclose(row[f"step_{name}"], values[f"step_{name}"][layer, keep].mean(), rtol=1e-6)
                found = [row[f"r_pearson_{name}"], row[f"r_spearman_{name}"], row[f"length_{name}"]]
                if layer == 0:
                    assert np.isnan(found).all()
                    continue
                r, rank = (of(path[name][layer], path["resid"][layer])[0] for of in (pearsonr, spearmanr))
                np.testing.assert_allclose(found, [r, rank, path[name][layer].mean()], rtol=1e-9)
            for name, lengths in path.items():
                so_far = np.nansum(lengths[: layer + 1].mean(axis=1))
                np.testing.assert_allclose(row[f"cumulative_{name}"], so_far, rtol=1e-9)
            cosine = pd.Series(values["cosine_attn_mlp"][layer, keep].astype(np.float64))
            np.testing.assert_allclose(row["cosine_attn_mlp"], cosine.mean(), rtol=1e-9)
            np.testing.assert_allclose(row["cosine_attn_mlp_std"], cosine.std(), rtol=1e-9)


def test_layers_table_has_the_columns_of_the_contract(tmp_path: Path) -> None:
    save_random_paths(tmp_path / "shard.h5", 2, seed=0)
    table = table_of(a=[tmp_path / "shard.h5"])
    lengths = [f"length_{name}" for name in ("attn", "mlp", "resid")]
    r = [f"r_{kind}_{name}" for kind in ("pearson", "spearman") for name in ("attn", "mlp")]
    assert {"model", "layer", "token_filter", "documents", "cosine_attn_mlp", *lengths, *r} <= set(table)
    assert set(table["token_filter"]) == {"all", "without_first"}


def test_special_tokens_and_pieces_of_characters_take_part_in_nothing(tmp_path: Path) -> None:
    """Wild values at such tokens change neither layers.csv nor any resample, even if one is a document's only token."""
    special, partial = (30, 47, 24), (31, 70)  # 24 is the first of its sequence
    whole = tmp_path / "shard_0000.h5"
    values = save_random_paths(whole, 4, seed=0)
    tokens = read_path_shard(whole).tokens
    out = np.isin(tokens.input_ids, special + partial)
    document = np.where(tokens.input_ids == 47, 77, tokens.document).astype(np.int32)
    tokens = Tokens(tokens.input_ids, tokens.sequence, tokens.position, document)
    wild = {name: np.where(out, 1e6 * (1 + np.arange(len(tokens))), array) for name, array in values.items()}
    tables, draws = [], []
    for number, planted in enumerate((values, wild)):
        path = tmp_path / f"{number}.h5"
        planted = {name: array.astype(np.float32) for name, array in planted.items()}
        write_path_shard(path, planted, tokens, takes_part(token_types(special, partial), tokens.input_ids), {})
        table = table_of(a=[path])
        assert set(table["tokens"]) == {4 * LENGTH - 5, 4 * LENGTH - 5 - 3} and set(table["documents"]) == {3}
        tables.append(table)
        draws.append(jackknife_paths([str(path)]))
    pd.testing.assert_frame_equal(*tables)
    pd.testing.assert_frame_equal(*draws)
    assert set(draws[0]["clusters"]) == {3}
    # The same values without those tokens in the file.
    kept = Tokens(*(getattr(tokens, name)[~out] for name in ("input_ids", "sequence", "position", "document")))
    rest, every = {name: array[:, ~out] for name, array in values.items()}, np.ones(len(kept), dtype=bool)
    write_path_shard(tmp_path / "kept.h5", rest, kept, every, {})
    pd.testing.assert_frame_equal(draws[0], jackknife_paths([str(tmp_path / "kept.h5")]))
    # And they would move it.
    included = takes_part(token_types(special), tokens.input_ids)
    write_path_shard(tmp_path / "moved.h5", planted, tokens, included, {})
    moved = table_of(a=[tmp_path / "moved.h5"])
    assert (moved["length_resid"] > 1000).all()


def test_token_types_of_another_run_are_refused(case: Case, tmp_path: Path) -> None:
    extract(case.token_shard, case.record, tmp_path / "shard.h5", sites=list(SITES))
    stored, tokens = str(tmp_path / "shard.h5"), str(case.token_shard)
    of = token_types()
    of.attrs["tokenizer_content"] = "here"
    assert len(extract_paths(tokens, of, case.record, SPEC, "cpu", 1)[1]) == len(case.tokens)
    of.attrs["tokenizer_content"] = "another"
    for read in (
        lambda: extract_paths(tokens, of, case.record, SPEC, "cpu", 1),
        lambda: paths_of_stored(stored, of, LAYERS[case.record["model_type"]]),
    ):
        with pytest.raises(UserError, match=r"its tokenizer_content is .*; they are from different runs"):
            read()


def test_sample_of_too_few_tokens_is_one_line(tmp_path: Path) -> None:
    values = save_random_paths(tmp_path / "shard.h5", 1, seed=0)
    tokens = read_path_shard(tmp_path / "shard.h5").tokens
    write_path_shard(tmp_path / "few.h5", values, tokens, np.arange(LENGTH) < 3, {})
    with pytest.raises(
        UserError, match=r"^path_length: of the sample's 24 tokens that are stored, fewer than three .*; use more text$"
    ):
        table_of(a=[tmp_path / "few.h5"])


def test_first_token_outlier_collapses_only_pearson_with_the_first_token(tmp_path: Path) -> None:
    """As massive activations do: a neuron that knows position 0 by its embedding writes far into the stream there."""
    record = save_tiny_model("gpt2", tmp_path / "model")

    def plant(weights: dict[str, torch.Tensor]) -> None:
        weights["transformer.wpe.weight"][0, 5] = 60.0
        for layer in range(LAYERS["gpt2"]):
            block = f"transformer.h.{layer}"
            weights[f"{block}.mlp.c_proj.weight"] *= 0.3  # else attention is not seen in the stream
            weights[f"{block}.attn.c_attn.weight"][5] = 0.0  # attention finds nothing in such a token
        mlp = "transformer.h.1.mlp"
        weights[f"{mlp}.c_fc.weight"][:, 7] = 0.0
        weights[f"{mlp}.c_fc.weight"][5, 7] = 20.0
        weights[f"{mlp}.c_fc.bias"][7] = -80.0
        weights[f"{mlp}.c_proj.weight"][7] = 500.0

    change_weights(record, plant)
    save_random_tokens(tmp_path / "tokens.h5", 8, 64)
    reduced = extract_paths(str(tmp_path / "tokens.h5"), token_types(), record, SPEC, "cpu", 1)
    write_path_shard(tmp_path / "paths.h5", *reduced)
    table = table_of(gpt2=[tmp_path / "paths.h5"]).set_index(["token_filter", "layer"])
    everything, rest = table.loc["all", 1], table.loc["without_first", 1]
    assert rest["r_pearson_attn"] > 0.4
    assert everything["r_pearson_attn"] < rest["r_pearson_attn"] - 0.3
    assert abs(everything["r_spearman_attn"] - rest["r_spearman_attn"]) < 0.1


def refused(run: object, path: Path) -> None:
    with pytest.raises(UserError) as error:
        run()
    line = str(error.value)
    assert line.startswith(f"{path}: ") and "damaged" in line and "delete it and run again" in line
    assert "\n" not in line


def damage(path: Path, name: str) -> None:
    """Flip bits of a dataset's values in the file."""
    with h5py.File(path) as file:
        dataset = file[name]
        at = dataset.id.get_offset() if dataset.chunks is None else dataset.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at + 8] ^= 0xFF
    path.write_bytes(content)


DATASETS = ["path_resid", "step_mlp", "tokens/position", "included", "comoments/products", "documents/all"]


@pytest.mark.parametrize("name", DATASETS)
def test_damaged_path_shard_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "shard.h5"
    save_random_paths(path, 2, seed=0)
    damage(path, name)
    refused(lambda: table_of(a=[path]), path)


@pytest.mark.parametrize("name", DATASETS)
def test_value_of_a_path_shard_that_hdf5_itself_changed_is_found(tmp_path: Path, name: str) -> None:
    """Its fletcher32 is right."""
    path = tmp_path / "shard.h5"
    save_random_paths(path, 2, seed=0)
    with h5py.File(path, "r+") as file:
        file[name][..., -1] = ~file[name][..., -1] if name == "included" else file[name][..., -1] + 1
    with pytest.raises(UserError, match=rf"{name.removesuffix('/position')} differs from what was written"):
        table_of(a=[path])


def test_path_shard_of_another_model_under_the_right_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "path_length/tiny/shard_0000.h5"
    save_random_paths(path, 2, seed=0)
    with pytest.raises(UserError, match=r"tiny/shard_0000\.h5: holds what belongs in path_length/random/shard_0000"):
        table_of(tiny=[path])


def test_damaged_activation_shard_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    save_random_tokens(tmp_path / "tokens.h5", 1, 8)
    extract(tmp_path / "tokens.h5", save_tiny_model("gpt2", tmp_path / "model"), path, sites=list(SITES))
    with h5py.File(path, "r+") as file:
        file["resid_post/layer_02"][0, 0] += 1
    with pytest.raises(UserError, match=r"shard\.h5: resid_post/layer_02 differs from what was written"):
        paths_of_stored(str(path), token_types(), LAYERS["gpt2"])
    damage(path, "mlp_out/layer_01")
    refused(lambda: paths_of_stored(str(path), token_types(), LAYERS["gpt2"]), path)


def test_growing_sample_changes_what_is_stored_of_few_shards() -> None:
    def stored(sequences: int, stored_sequences: int | None) -> list[int]:
        of = Sampling(sequences=sequences, sequences_per_shard=8, stored_sequences=stored_sequences)
        return [of.stored_of(shard) for shard in range(of.shards)]

    assert stored(32, None) == [8, 8, 8, 8] == stored(32, 32)
    assert stored(32, 12) == [8, 4, 0, 0]
    assert stored(64, 12) == [8, 4, 0, 0, 0, 0, 0, 0]
    assert stored(32, 16) == [8, 8, 0, 0]
    assert stored(32, 4) == [4, 0, 0, 0]
