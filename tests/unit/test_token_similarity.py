"""Where the target is, Q, K and V there against plain projections, and cosines against the whole matrix."""

from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from safetensors.torch import load_file
from tiny_models import LAYERS, change_weights, save_tiny_model
from torch import nn
from transformers import AutoModelForCausalLM

from layerscope.io.errors import UserError
from layerscope.io.tables import write_table
from layerscope.studies.token_similarity.cosines import BLOCKS, cosine_moments, cosine_tables, half_widths
from layerscope.studies.token_similarity.draw import draw_cosines
from layerscope.studies.token_similarity.extract import extract_vectors
from layerscope.studies.token_similarity.section import notes, numbers
from layerscope.studies.token_similarity.sentences import Sentences, read_sentences
from layerscope.studies.token_similarity.summarize_layers import layers_table
from layerscope.studies.token_similarity.vectors import read_vectors
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer

LINES = ["The guests gave her a coat.", "He saw the old greenhouse and then her brother.", "I told her."]


@pytest.fixture(scope="module")
def tokenizer(mini_tokenizer: dict) -> LoadedTokenizer:
    return load_tokenizer(mini_tokenizer)


def save_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def check_her_is_one_token(project: Path, tokenizer: LoadedTokenizer) -> None:
    path = project / "resources/sentences_her.txt"
    found = read_sentences(path, "her", 0, tokenizer)
    assert len(found.rows) == len(path.read_text(encoding="utf-8").splitlines()) == 54
    at = found.places["target"].to_numpy()
    ids = found.rows[np.arange(54), at]
    assert [tokenizer.backend.decode([i]) for i in ids] == [" her"] * 54
    assert (ids == found.places["target_id"]).all()
    assert (found.places["target_pieces"] == 1).all()
    assert found.places["non_target"].between(1, at - 1).all()


def test_target_is_one_token_in_every_sentence(project: Path, tokenizer: LoadedTokenizer) -> None:
    check_her_is_one_token(project, tokenizer)


def test_target_is_one_token_of_gpt2_in_every_sentence(project: Path, shared_data: Path) -> None:
    check_her_is_one_token(project, load_tokenizer({"name": "gpt2", "path": str(shared_data / "gpt2-bpe")}))


def test_word_of_several_tokens_is_represented_by_its_last(tmp_path: Path, tokenizer: LoadedTokenizer) -> None:
    lines = ["She locked the zyqqurat.", "We built zyqqurat after zyqqurat there.", "An old (zyqqurat) fell."]
    found = read_sentences(save_lines(tmp_path / "lines", lines), "zyqqurat", 0, tokenizer)
    for row, place in zip(found.rows, found.places.itertuples(), strict=True):
        first = place.target - place.target_pieces + 1
        pieces = row[first : place.target + 1]
        assert len(pieces) > 1
        assert tokenizer.backend.decode(list(pieces)).strip() == "zyqqurat"
        assert "zyqqurat" not in tokenizer.backend.decode(list(row[:first]))  # the first of two
        assert place.target_id == pieces[-1]
        assert place.non_target < first


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("There was nothing here for hers.", r"lines, line 3: the target 'her' is not in the sentence"),
        ("her coat was wet.", r"lines, line 3: there is no token between the first and the target 'her'"),
        ("- her coat was wet.", r"lines, line 3: there is no token between the first and the target 'her'"),
    ],
)
def test_sentence_that_cannot_be_used_is_named(
    tmp_path: Path, tokenizer: LoadedTokenizer, line: str, message: str
) -> None:
    path = save_lines(tmp_path / "lines", [LINES[0], "", line, *LINES[1:]])  # blank lines count
    with pytest.raises(UserError, match=message) as error:
        read_sentences(path, "her", 0, tokenizer)
    assert "\n" not in str(error.value)


def test_non_target_is_any_token_between_the_first_and_the_target(tmp_path: Path, tokenizer: LoadedTokenizer) -> None:
    path = save_lines(tmp_path / "lines", LINES)
    drawn = [read_sentences(path, "her", seed, tokenizer).places for seed in range(100)]
    for i, target in enumerate(drawn[0]["target"]):
        assert {places["non_target"][i] for places in drawn} == set(range(1, target))


def test_non_target_stays_when_sentences_are_appended(
    tmp_path: Path, project: Path, tokenizer: LoadedTokenizer
) -> None:
    lines = (project / "resources/sentences_her.txt").read_text(encoding="utf-8").splitlines()
    few = read_sentences(save_lines(tmp_path / "few", lines[:20]), "her", 7, tokenizer).places
    many = read_sentences(save_lines(tmp_path / "many", lines), "her", 7, tokenizer).places
    other = read_sentences(save_lines(tmp_path / "few", lines[:20]), "her", 8, tokenizer).places
    pd.testing.assert_frame_equal(few, many[:20])
    assert not few["non_target"].equals(other["non_target"])


def plain_vectors(record: dict, sentences: Sentences, tokenizer: LoadedTokenizer, lines: list[str]) -> list[dict]:
    """Token → site → [sentences, width], a layer each: every sentence run alone, unpadded; weights from the file."""
    model = AutoModelForCausalLM.from_pretrained(record["path"], attn_implementation="eager").eval()
    weights = load_file(Path(record["path"]) / "model.safetensors")
    blocks = next(module for module in model.modules() if isinstance(module, nn.ModuleList))
    normed: dict[int, torch.Tensor] = {}
    for i, block in enumerate(blocks):
        norm = block.input_layernorm if record["model_type"] == "llama" else block.ln_1
        norm.register_forward_hook(lambda module, args, out, i=i: normed.update({i: out[0]}))

    def project(layer: int, x: torch.Tensor) -> dict[str, torch.Tensor]:
        if record["model_type"] == "gpt2":  # [in, 3 x out]: all of Q, then all of K, then all of V
            weight, bias = (weights[f"transformer.h.{layer}.attn.c_attn.{part}"] for part in ("weight", "bias"))
            d = x.shape[-1]
            parts = {site: slice(i * d, (i + 1) * d) for i, site in enumerate("qkv")}
            return {site: x @ weight[:, part] + bias[part] for site, part in parts.items()}
        name = "model.layers.{}.self_attn" if record["model_type"] == "llama" else "transformer.h.{}.attn.attention"
        return {site: x @ weights[f"{name.format(layer)}.{site}_proj.weight"].T for site in "qkv"}

    found = [{token: {site: [] for site in "qkv"} for token in ("target", "non_target")} for _ in blocks]
    for line, place in zip(lines, sentences.places.to_dict("records"), strict=True):
        with torch.no_grad():
            model(torch.tensor(tokenizer.encode([line])), use_cache=False)
        for layer, of_layer in enumerate(found):
            for token, of_token in of_layer.items():
                for site, vector in project(layer, normed[layer][place[token]]).items():
                    of_token[site].append(vector.numpy())
    return found


@pytest.mark.parametrize(("model_type", "kv_width"), [("gpt2", 32), ("gpt_neo", 32), ("llama", 16)])
def test_vectors_equal_plain_projections_of_each_sentence_alone(
    tmp_path: Path, project: Path, mini_tokenizer: dict, tokenizer: LoadedTokenizer, model_type: str, kv_width: int
) -> None:
    lines = (project / "resources/sentences_her.txt").read_text(encoding="utf-8").splitlines()[:7]
    record = save_tiny_model(model_type, tmp_path / "model", vocab_size=8192)
    path = save_lines(tmp_path / "lines", lines)
    # Seven sentences in batches of four: the last is not full.
    spec = {"sentences": str(path), "target": "her", "seed": 3, "dtype": "float32", "batch_size": 4}
    extract_vectors(record, mini_tokenizer, spec, "cpu", 1, tmp_path / "vectors.h5")
    sentences = read_sentences(path, "her", 3, tokenizer)
    assert len({len(ids) for ids in tokenizer.encode(lines)}) > 3  # so that most sentences were padded
    expected = plain_vectors(record, sentences, tokenizer, lines)
    assert len(expected) == LAYERS[model_type]
    for layer, of_layer in enumerate(expected):
        found, pieces = read_vectors(str(tmp_path / "vectors.h5"), layer)
        assert pieces == 1
        for token, of_token in of_layer.items():
            for site, vectors in of_token.items():
                assert found[token][site].shape == (7, 32 if site == "q" else kv_width)
                np.testing.assert_allclose(found[token][site], np.stack(vectors), rtol=1e-4, atol=2e-5)


def test_sentence_longer_than_the_positions_is_refused_by_the_job_too(tmp_path: Path, mini_tokenizer: dict) -> None:
    """Of a model on the hub nothing is known before."""
    record = save_tiny_model("gpt2", tmp_path / "model", vocab_size=8192, n_positions=32)
    path = save_lines(tmp_path / "lines", [*LINES, "This is her " + "own " * 100])
    spec = {"sentences": str(path), "target": "her", "seed": 3, "dtype": "float32", "batch_size": 4}
    with pytest.raises(
        UserError, match=rf"has a sentence of 104 tokens, more than the 32 .* \(line {len(LINES) + 1}\)$"
    ):
        extract_vectors(record, mini_tokenizer, spec, "cpu", 1, tmp_path / "vectors.h5")


def test_vector_that_is_not_finite_is_refused(tmp_path: Path, mini_tokenizer: dict) -> None:
    lines = save_lines(tmp_path / "lines", LINES)
    record = save_tiny_model("gpt2", tmp_path / "model", vocab_size=8192)
    change_weights(record, lambda weights: weights["transformer.h.2.attn.c_attn.bias"][3].fill_(np.nan))
    spec = {"sentences": str(lines), "target": "her", "seed": 0, "dtype": "float32", "batch_size": 2}
    with pytest.raises(UserError, match=r"models\.gpt2: q of layer 2 holds NaN or Inf in 4 of 128 values"):
        extract_vectors(record, mini_tokenizer, spec, "cpu", 1, tmp_path / "vectors.h5")


def test_mark_at_the_start_of_a_file_is_no_token(tmp_path: Path, tokenizer: LoadedTokenizer) -> None:
    plain, marked = save_lines(tmp_path / "plain", LINES), tmp_path / "marked"
    marked.write_text(plain.read_text(encoding="utf-8"), encoding="utf-8-sig")
    np.testing.assert_array_equal(*(read_sentences(path, "her", 0, tokenizer).rows for path in (plain, marked)))


@pytest.fixture
def vectors(tmp_path: Path, mini_tokenizer: dict) -> Path:
    """Vectors of a tiny model, where the workflow has them."""
    record = save_tiny_model("gpt2", tmp_path / "model", vocab_size=8192)
    lines = save_lines(tmp_path / "lines", ["This is her.", "That was her.", "I saw her there."])
    spec = {"sentences": str(lines), "target": "her", "seed": 0, "dtype": "float32", "batch_size": 3}
    path = tmp_path / "token_similarity/gpt2/vectors.h5"
    extract_vectors(record, mini_tokenizer, spec, "cpu", 1, path)
    return path


@pytest.mark.parametrize("name", ["k/layer_01", "places/target_pieces"])
def test_vector_that_was_changed_by_hdf5_itself_is_found(vectors: Path, name: str) -> None:
    """Its fletcher32 is right."""
    read_vectors(str(vectors), 1)
    with h5py.File(vectors, "r+") as file:
        file[name][..., -1] += 1
    with pytest.raises(UserError, match=rf"vectors\.h5: /{name} differs from what was written"):
        read_vectors(str(vectors), 1)


def test_vectors_of_another_model_under_the_right_name_are_refused(vectors: Path) -> None:
    other = vectors.parents[1] / "gpt2-xl/vectors.h5"
    other.parent.mkdir()
    vectors.rename(other)
    with pytest.raises(UserError, match=r"gpt2-xl/vectors\.h5: holds what belongs in token_similarity/gpt2/vectors"):
        read_vectors(str(other), 1)


def random_vectors(sentences: int, widths: tuple[int, int, int], seed: int = 0, mean: float = 0.0) -> dict:
    rng = np.random.default_rng(seed)
    shapes = dict(zip("qkv", widths, strict=True))
    return {
        token: {site: rng.normal(mean, 1, (sentences, d)).astype(np.float32) for site, d in shapes.items()}
        for token in ("target", "non_target")
    }


def test_measured_layer_equals_the_whole_matrix() -> None:
    vectors = random_vectors(9, (8, 6, 6), mean=0.7)
    blocks, dimensions, bins = cosine_tables(vectors, 2)
    assert len(blocks) == 2 * len(BLOCKS) and (blocks["target_pieces"] == 2).all() and (blocks["sentences"] == 9).all()
    places = {"q": slice(0, 8), "k": slice(8, 14), "v": slice(14, 20)}
    for token, of_token in vectors.items():
        stacked = np.concatenate([of_token[site] for site in "qkv"], axis=1).astype(np.float64)
        norms = np.linalg.norm(stacked, axis=0)
        whole = {"cosine": stacked.T @ stacked / np.outer(norms, norms), "centred": np.corrcoef(stacked, rowvar=False)}
        for prefix, matrix in whole.items():
            np.fill_diagonal(matrix, np.nan)
            for block in BLOCKS:
                part = matrix[places[block[0]], places[block[1]]]
                row = blocks[(blocks["token"] == token) & (blocks["block"] == block)].iloc[0]
                found = [row[f"{prefix}_{what}"] for what in ("mean", "abs_mean", "std")]
                np.testing.assert_allclose(found, [np.nanmean(part), np.nanmean(abs(part)), np.nanstd(part)], rtol=1e-9)
                chosen = (bins["token"] == token) & (bins["block"] == block)
                counts = bins[chosen & (bins["centred"] == (prefix == "centred"))]["count"].to_numpy()
                pairs = np.triu(part, 1)[np.triu_indices(len(part), 1)] if block[0] == block[1] else part
                assert (counts == np.histogram(pairs, np.linspace(-1, 1, 101))[0]).all()
        of_dimensions = dimensions[dimensions["token"] == token]
        np.testing.assert_allclose(of_dimensions["mean"], stacked.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(of_dimensions["variance"], stacked.var(axis=0, ddof=1), rtol=1e-12)


def test_intervals_of_a_block_are_those_of_leaving_out_by_hand() -> None:
    """Mean and std of the cosines themselves without each sentence; the ends are found without making cosines."""
    vectors = random_vectors(9, (8, 6, 6), mean=0.7)
    vectors["target"]["k"][:, 2] = 0.5  # has no direction when it is centred
    vectors["target"]["v"][1:, 4] = 0  # nor does this one without the first sentence
    table = cosine_tables(vectors, 1)[0].set_index(["token", "block"])
    for token, prefix, block in product(vectors, ("cosine", "centred"), BLOCKS):
        values = np.array([moments_by_hand(vectors[token], prefix, block, i) for i in range(9)])
        half = scipy.stats.t.ppf(0.975, 8) * np.sqrt(8 / 9 * ((values - values.mean(axis=0)) ** 2).sum(axis=0))
        row = table.loc[token, block]
        for what, half_width in zip(("mean", "std"), half, strict=True):
            ends = [row[f"{prefix}_{what}_{end}"] for end in ("low", "high")]
            value = row[f"{prefix}_{what}"]
            np.testing.assert_allclose(ends, [value - half_width, value + half_width], rtol=1e-6, atol=1e-12)


def moments_by_hand(of_token: dict[str, np.ndarray], prefix: str, block: str, left_out: int) -> tuple[float, float]:
    left, right = (np.delete(of_token[site].astype(np.float64), left_out, axis=0).T for site in block)
    cosines = []
    for a, b in product(range(len(left)), range(len(right))):
        if block[0] == block[1] and b <= a:
            continue
        x, y = left[a], right[b]
        if prefix == "centred":
            x, y = (v - v.mean() if np.ptp(v) else 0 * v for v in (x, y))
        if x.any() and y.any():
            cosines.append(x @ y / np.sqrt((x @ x) * (y @ y)))
    return np.mean(cosines), np.std(cosines)


def test_intervals_of_a_block_hold_the_mean_over_other_sentences_as_often_as_they_say() -> None:
    """Of 100 samples of sentences that differ in three directions: the binomial distribution has 99 % in 89 to 99."""
    rng = np.random.default_rng(0)
    loads = {site: rng.normal(size=(3, 12)) for site in "qkv"}
    values, widths = [], []
    for _ in range(100):
        sentences = rng.normal(size=(40, 3))
        of = {site: sentences @ load + rng.normal(size=(40, 12)) + 0.5 for site, load in loads.items()}
        values.append(cosine_moments(of, centred=True)[BLOCKS.index("qk")])
        widths.append(list(half_widths(of, centred=True)["qk"].values()))
    held = (np.abs(values - np.mean(values, axis=0)) <= widths).sum(axis=0)
    assert ((held >= 89) & (held <= 99)).all()


def test_independent_vectors_have_the_spread_of_the_null() -> None:
    blocks, _, _ = cosine_tables(random_vectors(54, (200, 200, 200)), 1)
    np.testing.assert_allclose(blocks["null_std"], 1 / np.sqrt(54))
    np.testing.assert_allclose(blocks["centred_null_std"], 1 / np.sqrt(53))
    # 19,900 pairs or more a block: the standard error of their spread is 0.5 %.
    np.testing.assert_allclose(blocks["cosine_std"], 1 / np.sqrt(54), rtol=0.02)
    np.testing.assert_allclose(blocks["centred_std"], 1 / np.sqrt(53), rtol=0.02)
    assert (blocks[["cosine_mean", "centred_mean"]].abs() < 0.006).all(axis=None)


@pytest.mark.parametrize(("value", "prefix"), [(0.1, "centred"), (0.0, "cosine")])
def test_column_without_a_direction_is_left_out(value: float, prefix: str) -> None:
    """A mean of seven times 0.1 is not 0.1, so that a constant column seems to vary."""
    without = random_vectors(7, (8, 6, 6))
    vectors = {
        token: of_token | {"q": np.insert(of_token["q"], 3, value, axis=1)} for token, of_token in without.items()
    }
    columns = [f"{prefix}_{what}" for what in ("mean", "abs_mean", "std")]
    found, expected = (cosine_tables(given, 1)[0][columns] for given in (vectors, without))
    assert not found.isna().any(axis=None)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.filterwarnings("error")
def test_layer_in_which_nothing_varies_has_no_centred_cosines(tmp_path: Path) -> None:
    """A fixed token in the first layer of a model with rotary positions: Q, K and V are the same in every sentence."""
    vectors = random_vectors(5, (4, 3, 3))
    vectors["target"] = {site: values[:1].repeat(5, axis=0) for site, values in vectors["target"].items()}
    blocks, _, bins = cosine_tables(vectors, 1)
    undefined = blocks.set_index("token").filter(like="centred_").drop(columns="centred_null_std").isna()
    assert undefined.loc["target"].all(axis=None) and not undefined.loc["non_target"].any(axis=None)
    assert not blocks.filter(like="cosine_").isna().any(axis=None)
    rows = blocks.assign(model="a", layer=0)
    [note] = notes("a", rows)
    assert note == "a: nothing varies in the first layer, so centred cosines are undefined there."
    shown = numbers(rows)["standard deviation of the target's centred cosines, first → last layer"]
    assert shown == "undefined → undefined"
    draw_cosines([str(tmp_path / "cosines.png")], {"a": [bins]}, centred=True)
    assert (tmp_path / "cosines.png").stat().st_size > 0


def test_layers_table_has_the_columns_of_the_contract(tmp_path: Path) -> None:
    measured, paths = [], []
    for layer in range(2):
        measured.append(cosine_tables(random_vectors(5, (4, 3, 3), seed=layer), 1))
        for name, table in zip(("layer", "dimensions"), measured[-1], strict=False):
            write_table(tmp_path / f"{name}_{layer:02d}.parquet", table)
        paths.append(str(tmp_path / f"layer_{layer:02d}.parquet"))
    table = layers_table({"a": paths, "b": paths[:1]})
    cosines = [f"cosine_{what}" for what in ("mean", "abs_mean", "std")]
    assert {"model", "layer", "token", "block", *cosines} <= set(table)
    keys = ["model", "layer", "token", "block"]
    assert len(table) == 3 * 2 * len(BLOCKS) and not table.duplicated(keys).any()
    for (model, layer, token, block), row in table.set_index(keys).iterrows():
        blocks, dimensions, _ = measured[layer]
        expected = blocks[(blocks["token"] == token) & (blocks["block"] == block)].iloc[0]
        assert list(row[cosines]) == list(expected[cosines]), model
        for site in "qkv":
            of_site = dimensions[(dimensions["token"] == token) & (dimensions["site"] == site)]
            for what in ("mean", "variance"):
                np.testing.assert_allclose(row[f"{what}_{site}"], of_site[what].mean(), rtol=1e-12)
