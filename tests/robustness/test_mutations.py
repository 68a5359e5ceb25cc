"""Mutations: code in which a known mistake is made again, which the tests or the run-time checks must notice.

Each is a small replacement in a copy of the package, against which chosen tests are run.
"""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import warm

pytestmark = pytest.mark.slow
PASSED, FAILED = 0, 1  # pytest's exit codes; others mean that the tests could not be run
BROKEN = re.compile(r"^E +(\w*SyntaxError|ImportError|NameError|AttributeError|TypeError)", re.MULTILINE)
TESTS = Path(__file__).parents[1]


class Mutation(NamedTuple):
    file: str  # in the package
    old: str
    new: str
    test: str  # in the folder of tests; noticed means that it fails


SITES = "unit/test_architectures.py::test_stored_sites_equal_a_plain_forward_pass"
HOOK = "unit/test_architectures.py::test_hook_that_cannot_be_right_is_an_error"
SOUND = "unit/test_checks.py::test_sound_model_passes"
VOCABULARY = "unit/test_vocabulary.py::test_sentencepiece_tokens_keep_their_leading_space"
PATHS = "unit/test_path_length.py::test_layers_table_equals_scipy_with_and_without_the_first_token"
GROUPS = "unit/test_token_length.py::test_groups_are_shorter_equal_and_longer_than_the_median"
LEVERAGE = "unit/test_sign_flip_null.py::test_one_type_of_most_tokens_does_not_make_the_null_too_narrow"
UNIFORM = "unit/test_sign_flip_null.py::test_p_is_uniform_where_there_is_nothing"
TWO_WAY = "unit/test_sign_flip_null.py::test_what_documents_add_to_r_over_types_is_that_of_two_way_clusters"
SLICES = "unit/test_encoded_documents.py::test_shards_and_counts_are_those_of_one_stream"
READ_ON = "unit/test_encoded_documents.py::test_every_kind_of_file_is_read_on[.jsonl]"
WITHOUT_TEXT = "unit/test_encoded_documents.py::test_documents_without_text_have_rows_and_no_numbers"
VERDICT = "unit/test_claims.py::test_a_verdict_is_on_the_whole_interval_the_null_and_the_clusters"
PROPERTIES = "unit/test_properties.py"
NOT_FINITE = "unit/test_extraction.py::test_weight_that_is_not_finite_is_found_at_its_site[nan]"

MUTATIONS = {
    # What does not belong together.
    "shards of two runs in one statistic": Mutation(
        "io/provenance.py",
        "        if value != usual:",
        "        if False:",
        "robustness/test_provenance.py::test_shards_of_two_models_in_one_folder_are_refused",
    ),
    "tables of other tokens": Mutation(
        "extract/activation_shards.py",
        "check_same_run(attributes, [table.attrs for table in self.tables], parts=True)",
        "check_same_run(attributes, parts=True)",
        "robustness/test_provenance.py::test_layer_is_read_beside_the_tables_of_its_own_tokens_alone",
    ),
    "one record for all contents of a source": Mutation(
        "workflow/specs.py",
        "content = digest_of_record(self._content(kind, name))[:12]",
        "content = digest_of_record({})[:12]",
        "robustness/bad_input/test_two_runs.py::test_fetch_that_fails_costs_nothing[models-tiny]",
    ),
    # What a folder or a configuration asks for.
    "weights outside the folder": Mutation(
        "model/weights.py",
        "Path(piece).name != piece or ",
        "",
        "robustness/test_weights.py::test_weights_elsewhere_are_not_loaded[../elsewhere/w.safetensors]",
    ),
    "attention as the configuration says": Mutation(
        "model/loading.py",
        '            "attn_implementation": architecture_of(config.model_type, record["name"]).attention,\n',
        "",
        "robustness/test_weights.py::test_attention_is_not_what_a_configuration_asks_for[gpt2-trained-eager]",
    ),
    "clients of the hub in every job": Mutation(
        "workflow/job.py",
        "    if not network:",
        "    if False:",
        "workflow/test_job.py::test_clients_of_the_hub_are_off_where_nothing_is_fetched[options0-True]",
    ),
    # Attention that is not the model's.
    "the window of local layers is dropped in loading": Mutation(
        "model/loading.py",
        "            local_files_only=True,\n",
        "            local_files_only=True,\n            window_size=2048,\n",
        f"{SITES}[gpt_neo]",
    ),
    "a kernel without the window": Mutation(
        "model/loading.py",
        "    return model.to(device).eval()",
        "    [m.bias.copy_(torch.ones_like(m.bias).tril()) for m in model.modules() if hasattr(m, '_attn')]\n"
        "    return model.to(device).eval()",
        f"{SOUND}[gpt_neo-float32]",
    ),
    "attention of GPT-2 without 1/sqrt(d)": Mutation(
        "model/loading.py",
        "            local_files_only=True,\n",
        "            local_files_only=True,\n            scale_attn_weights=False,\n",
        f"{SITES}[gpt2]",
    ),
    "attention of GPT-Neo with 1/sqrt(d)": Mutation(
        "model/loading.py",
        "    return model.to(device).eval()",
        "    for m in model.modules():\n        if hasattr(m, '_attn'):\n"
        "            m._attn = lambda q, k, v, mask, attend=m._attn: attend(q / q.shape[-1] ** 0.5, k, v, mask)\n"
        "    return model.to(device).eval()",
        f"{SITES}[gpt_neo]",
    ),
    "Q, K and V of GPT-2 taken head by head": Mutation(
        "model/fused.py",
        "    return tensor.chunk(3, dim=-1)[part]",
        '    return tensor.unflatten(-1, (block.get_submodule("attn").num_heads, 3, -1))[..., part, :].flatten(-2)',
        f"{SITES}[gpt2]",
    ),
    "Q, K and V of GPT-NeoX taken as in GPT-2": Mutation(
        "model/architectures.py",
        '_fused("attention.query_key_value", third_of_each_head)',
        '_fused("attention.query_key_value", third)',
        f"{SITES}[gpt_neox]",
    ),
    "Q, K and V of Falcon taken as in GPT-NeoX": Mutation(
        "model/fused.py",
        "    queries = attention.num_heads // attention.num_kv_heads",
        "    queries = 1",
        f"{SITES}[falcon]",
    ),
    "K and V of Phi-3 swapped": Mutation(
        "model/fused.py",
        "[tensor.shape[-1] - 2 * keys, keys, keys], dim=-1)[part]",
        "[tensor.shape[-1] - 2 * keys, keys, keys], dim=-1)[(0, 2, 1)[part]]",
        f"{SITES}[phi3]",
    ),
    "the up projection of Phi-3 for the gate": Mutation(
        "model/fused.py",
        "    return tensor.chunk(2, dim=-1)[0]",
        "    return tensor.chunk(2, dim=-1)[1]",
        f"{SITES}[phi3]",
    ),
    "the gate of Phi-3 for its up projection": Mutation(
        "model/fused.py",
        "    return tensor.chunk(2, dim=-1)[1]",
        "    return tensor.chunk(2, dim=-1)[0]",
        f"{SITES}[phi3]",
    ),
    "the gate of Llama for its up projection": Mutation(
        "model/architectures.py",
        'up=Tap("mlp.up_proj", "output")',
        'up=Tap("mlp.gate_proj", "output")',
        f"{SITES}[llama]",
    ),
    "a model without a gate that is asked for one": Mutation(
        "model/run.py",
        '            check_sites(f"models.{name}", name, reducer.sites, self.model.config)\n',
        "",
        "unit/test_architectures.py::test_site_that_a_model_lacks_is_refused_before_anything_is_stored",
    ),
    "summaries of a site made of activations that are not stored": Mutation(
        "studies/demand.py",
        "    return _in_order([(demand, demand.sites) for demand in demands], model, corpus)",
        "    return [site for demand in demands for site in (*demand.sites, *demand.summarized_sites)]",
        "workflow/test_activations.py::test_what_is_kept_counts_among_costs_and_jobs",
    ),
    "a site that is kept before those of studies": Mutation(
        "studies/demand.py",
        "list(dict.fromkeys([*of_studies, *(site for site in SITES if site in others)]))",
        "list(dict.fromkeys([*(site for site in SITES if site in others), *of_studies]))",
        "workflow/test_activations.py::test_sites_of_studies_come_before_those_that_are_kept",
    ),
    "mlp_out of Falcon after attention was added to it": Mutation(
        "model/fused.py", "    return tensor.clone()", "    return tensor", f"{SOUND}[falcon-float32]"
    ),
    "attn_out of Gemma before the norm that follows": Mutation(
        "model/architectures.py",
        '    attn_out=Tap("post_attention_layernorm", "output"),\n',
        "",
        f"{SOUND}[gemma2-float32]",
    ),
    "the gain of Gemma's norms without its 1": Mutation(
        "model/architectures.py", "    gain_offset=1,\n", "", f"{SOUND}[gemma3_text-float32]"
    ),
    "weights of neurons past the norm that follows them": Mutation(
        "model/neuron_weights.py",
        """            out = out * self._gain(f"{block}{of.sites['mlp_out'].module}")\n""",
        "            pass\n",
        "unit/test_neuron_weights.py::test_weights_of_neurons_are_those_of_the_loaded_model[gemma2]",
    ),
    "OPT whose stream is normed": Mutation(
        "model/model_config.py",
        "    found.check_variant(name, model_config)\n",
        "",
        "unit/test_architectures.py::test_variant_of_which_sites_would_mean_something_else_is_refused",
    ),
    # Hooks at the wrong place or with the wrong value.
    "batch element 0 of a tensor": Mutation(
        "model/hooks.py",
        "    if isinstance(value, tuple):\n        value = value[0]",
        "    value = value[0]",
        "unit/test_architectures.py::test_block_may_give_a_tensor_or_a_tuple",
    ),
    "batch element 0 of a tensor, made to look like a batch": Mutation(
        "model/hooks.py",
        "    if isinstance(value, tuple):\n        value = value[0]",
        "    value = value[0] if isinstance(value, tuple) else value[:1].expand_as(value)",
        f"{SITES}[gpt2]",
    ),
    "any number of dimensions": Mutation(
        "model/hooks.py",
        "not isinstance(value, torch.Tensor) or value.ndim != 3",
        "not isinstance(value, torch.Tensor)",
        f"{HOOK}",
    ),
    "any batch and sequence": Mutation("model/hooks.py", "if found_shape != shape:", "if False:", HOOK),
    "the final norm is hooked for the last block": Mutation(
        "model/hooks.py",
        "        module = block.get_submodule(tap.module)",
        '        last = site == "resid_post" and layer == len(blocks) - 1\n'
        '        module = model.get_submodule("ln_f") if last else block.get_submodule(tap.module)',
        f"{SOUND}[gpt2-float32]",
    ),
    "attn_out before its output projection": Mutation(
        "model/architectures.py",
        '"attn_out": attn_out or Tap(attn_projection, "output")',
        '"attn_out": attn_out or Tap(attn_projection, "input")',
        f"{SOUND}[llama-float32]",
    ),
    "mlp_pre after the non-linearity": Mutation(
        "model/architectures.py",
        '"mlp_pre": first,',
        '"mlp_pre": Tap(mlp_projection, "input"),',
        f"{SOUND}[gpt_neo-float32]",
    ),
    "the up projection for the gate": Mutation(
        "model/architectures.py",
        'mlp_in="mlp.gate_proj"',
        'mlp_in="mlp.up_proj"',
        f"{SITES}[llama]",
    ),
    "a hook that never fires": Mutation(
        "model/hooks.py",
        "if (site, layer) not in fired:\n",
        "if (site, layer) not in fired:\n                    continue\n",
        HOOK,
    ),
    "a hook that fires twice": Mutation(
        "model/hooks.py", "        if (site, layer) in fired:", "        if False:", HOOK
    ),
    # Checks left out.
    "the residual identity": Mutation(
        "model/residual_identity.py",
        "        if excess > allowed:",
        "        if False:",
        "unit/test_architectures.py::test_residual_identity_finds_what_is_more_than_rounding",
    ),
    "the recomputed mlp_pre": Mutation(
        "model/run.py",
        "            receiver = MLPRecomputation(self.model, sites, receiver)",
        "            pass",
        "unit/test_checks.py::test_mlp_pre_taken_after_the_non_linearity[gpt2-float32]",
    ),
    "causality": Mutation(
        "model/run.py",
        "            check_causality(self.model, self.rows)\n",
        "",
        "unit/test_checks.py::test_attention_without_causal_mask[gpt2-float32]",
    ),
    "the window": Mutation(
        "model/run.py",
        "            check_windows(self.model, self.rows)\n",
        "",
        "unit/test_checks.py::test_window_that_is_not_that_of_the_model",
    ),
    "the window of masks from outside of the blocks": Mutation(
        "model/checks.py",
        "            _check_window(model, layer, window, *given)",
        "            _check_window(model, layer, window, given[0], given[1] | {'attention_mask': None})",
        f"{SOUND}[mistral-float32]",
    ),
    "NaN and Inf in a shard": Mutation(
        "extract/writer.py", "        if not (np.isfinite(low) and np.isfinite(high)):", "        if False:", NOT_FINITE
    ),
    "NaN passed over in the range of a shard": Mutation(
        "extract/writer.py",
        "low, high = float(values.min()), float(values.max())",
        "low, high = float(np.nanmin(values)), float(np.nanmax(values))",
        NOT_FINITE,
    ),
    "NaN and Inf in streams that are reduced": Mutation(
        "studies/path_length/reduce_streams.py",
        "                if not np.isfinite(found[name][layer]).all():",
        "                if False:",
        "unit/test_path_length.py::test_stream_that_is_not_finite_is_refused",
    ),
    "NaN and Inf in vectors that are reduced": Mutation(
        "model/run.py",
        "    if not np.isfinite(values).all():",
        "    if False:",
        "unit/test_token_similarity.py::test_vector_that_is_not_finite_is_refused",
    ),
    "NaN and Inf in what enters layer 0": Mutation(
        "studies/path_length/reduce_streams.py",
        "        if not np.isfinite(entering).all():",
        "        if False:",
        "unit/test_path_length.py::test_first_stream_that_is_not_finite_is_named",
    ),
    "float16 storage that overflows": Mutation(
        "extract/writer.py",
        "        if max(-low, high) > limit:",
        "        if False:",
        "unit/test_extraction.py::test_float16_storage_refuses_what_it_cannot_hold",
    ),
    "weights that are missing": Mutation(
        "model/loading.py",
        '    if missing := sorted(loading["missing_keys"]):',
        "    if missing := []:",
        "unit/test_extraction.py::test_missing_weight_is_not_made_up",
    ),
    # Loading.
    "the precision of the file in place of the wanted one": Mutation(
        "model/loading.py",
        '            "dtype": getattr(torch, dtype),\n',
        "",
        f"{SOUND}[gpt2-bfloat16]",
    ),
    "pickled weights": Mutation(
        "model/weights.py",
        ' or not piece.endswith(".safetensors")',
        "",
        "robustness/bad_input/test_bad_models.py::test_mistake_is_one_line[weights in a pickle]",
    ),
    "code that comes with a model": Mutation(
        "model/loading.py",
        "            trust_remote_code=False,\n            local_files_only",
        "            trust_remote_code=True,\n            local_files_only",
        "unit/test_extraction.py::test_code_that_comes_with_a_model_is_not_run",
    ),
    "code that comes with a model whose weights are not used": Mutation(
        "model/loading.py",
        "AutoModel.from_config(config, trust_remote_code=False",
        "AutoModel.from_config(config, trust_remote_code=True",
        "unit/test_extraction.py::test_code_that_comes_with_a_model_is_not_run",
    ),
    "TF32": Mutation(
        "model/loading.py",
        "torch.backends.cuda.matmul.allow_tf32 = False",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "unit/test_extraction.py::test_tf32_is_off",
    ),
    # Shapes and shards.
    "a last batch that is not filled up": Mutation(
        "model/run.py",
        "np.resize(self.rows[rows], shape)",
        "self.rows[rows]",
        "unit/test_extraction.py::test_last_batch_that_is_not_full_gives_the_same_bits",
    ),
    "what fills up the last batch is stored": Mutation(
        "model/run.py",
        "tensor[: rows.stop - rows.start]",
        "tensor",
        "unit/test_path_length.py::test_values_equal_plain_hooks_and_numpy",
    ),
    "a shard under its final name before it is whole": Mutation(
        "extract/writer.py",
        "        self.temporary = partial_file(self.path)",
        "        self.temporary = self.path",
        "unit/test_activation_shards.py::test_killed_process_leaves_no_file_of_the_final_name",
    ),
    "a shard that is not read back": Mutation(
        "extract/writer.py",
        "        verify_structure(self.temporary, manifest)\n",
        "",
        "unit/test_activation_shards.py::test_file_that_cannot_be_read_back_is_not_kept",
    ),
    "a shard without checksums": Mutation(
        "extract/writer.py",
        '"fletcher32": True}',
        '"fletcher32": False}',
        "unit/test_activation_shards.py::test_byte_that_flips_after_the_digest_is_found_on_reading",
    ),
    "any file under its final name before it is whole": Mutation(
        "io/files.py",
        "    temporary = partial_file(path)\n",
        "    partial_file(path)\n    temporary = path\n",
        "unit/test_files.py::test_a_failure_keeps_what_was_there",
    ),
    # Tokens.
    "tokens decoded all at once": Mutation(
        "tokenize/vocabulary.py",
        "tokenizer.decode([[*anchor, i] for i in ids])]",
        "(skip * [' '] + tokenizer.decode([[*ids]]) * len(ids))][: len(ids)]",
        VOCABULARY,
    ),
    "tokens decoded without an anchor": Mutation(
        "tokenize/vocabulary.py",
        "    skip = len(tokenizer.decode([anchor])[0])",
        "    anchor, skip = [], 0",
        VOCABULARY,
    ),
    "a text with several encodings": Mutation(
        "tokenize/tokenizer.py",
        "        backend.model.dropout = None\n",
        "",
        "unit/test_tokenize.py::test_a_text_has_one_encoding_whatever_the_file_asks_for",
    ),
    "an end-of-text token from text": Mutation(
        "tokenize/tokenizer.py",
        "    backend.encode_special_tokens = True\n",
        "",
        "unit/test_tokenize.py::test_what_a_special_token_is_called_is_text_within_a_document",
    ),
    "a document that crosses a bound is lost to the next part": Mutation(
        "tokenize/encoding.py", "        if found > start:", "        if False:", SLICES
    ),
    "documents of a part are encoded again": Mutation(
        "tokenize/documents.py", "islice(rows, first, None), first)", "rows, first)", READ_ON
    ),
    "documents without text are not counted": Mutation(
        "tokenize/encoding.py", "found + len(ids), number + 1", "found + len(ids), rows + 1", WITHOUT_TEXT
    ),
    "rows of a row group that were read are read again": Mutation(
        "tokenize/readers.py",
        "batch.slice(min(first, batch.num_rows))",
        "batch",
        "unit/test_encoded_documents.py::test_rows_before_the_first_are_passed_over",
    ),
    "copies that editors keep are documents": Mutation(
        "tokenize/documents.py",
        'if not name.startswith(".") and Path(name)',
        "if Path(name)",
        "unit/test_tokenize.py::test_what_is_hidden_in_a_folder_is_no_document",
    ),
    "token length without the leading space": Mutation(
        "tokenize/vocabulary.py", "[len(text) for text in texts]", "[len(text.strip()) for text in texts]", VOCABULARY
    ),
    "special tokens take part": Mutation(
        "tokenize/vocabulary.py", '~(vocabulary["special"] | vocabulary["partial"])', '~vocabulary["partial"]', GROUPS
    ),
    "pieces of characters take part": Mutation(
        "tokenize/vocabulary.py", '~(vocabulary["special"] | vocabulary["partial"])', '~vocabulary["special"]', GROUPS
    ),
    # The first token.
    "the first token stays": Mutation(
        "studies/path_length/comoments.py", "tokens.position > 0", "tokens.position >= 0", PATHS
    ),
    "the first token of documents is left out": Mutation(
        "studies/path_length/comoments.py",
        "tokens.position > 0",
        "np.diff(tokens.document, prepend=-1) == 0",
        PATHS,
    ),
    # Statistics.
    "products of two groups are added as if they had one mean": Mutation(
        "studies/path_length/comoments.py",
        "self.products + other.products + weight * (apart[..., :, None] * apart[..., None, :])",
        "self.products + other.products",
        "unit/test_comoments.py::test_any_split_in_any_order_gives_the_whole",
    ),
    "ranks of tokens that are not stored": Mutation(
        "studies/path_length/path_shards.py",
        "kept = tokens.part(0, int(np.searchsorted(number, stored_sequences)))",
        "kept = tokens",
        "unit/test_comoments.py::test_only_ranks_rest_on_the_stored_sample",
    ),
    "ties ranked in their order": Mutation(
        "stats/correlation.py",
        "np.repeat(first + (sizes - 1) / 2 - (n - 1) / 2, sizes)",
        "np.arange(n) - (n - 1) / 2",
        "unit/test_correlation.py::test_correlation_equals_scipy_on_every_row",
    ),
    "moments about the mean of all neurons": Mutation(
        "stats/correlation.py",
        "central_moments(rows - mean[:, None])",
        "central_moments(rows - mean.mean())",
        "unit/test_correlation.py::test_moments_equal_scipy_on_every_row",
    ),
    "neurons of different means pooled as they are": Mutation(
        "studies/token_length/unimodality_test.py",
        '            rows /= (of_tokens["std"] * np.sqrt(1 - 1 / rows.shape[1]))[:, None]',
        "            pass",
        "unit/test_multimodality.py::test_layer_and_table",
    ),
    # The null of r.
    "common types as their residuals are": Mutation(
        "studies/token_length/token_regressions.py",
        "corrected(hats[i], basis.T @ products[i, given] @ weights, products[i, 0, given] @ basis) / counts[i]",
        "0",
        "unit/test_sign_flip_null.py::test_leverage_is_put_back_by_the_inverse_root_of_the_hat_matrix[r]",
    ),
    "the whole hat matrix of a type in place of its root": Mutation(
        "studies/token_length/sign_flip_null.py",
        "(1 - shares) ** -0.5",
        "(1 - shares) ** -1.0",
        f"{LEVERAGE}[r-0.9]",
    ),
    "the null of activations as they are": Mutation(
        "studies/token_length/jackknife_sums.py",
        "classes = sums.class_sums - tokens.class_products[:, 0] @ coefficients",
        "classes = sums.class_sums",
        "unit/test_summary_statistics.py::test_null_weights_are_those_of_the_tokens",
    ),
    "p on one side": Mutation(
        "studies/token_length/sign_flip_null.py",
        "return 2 * ndtr",
        "return ndtr",
        "unit/test_sign_flip_null.py::test_p_is_that_of_a_normal_distribution",
    ),
    "a line for the curve of frequency": Mutation(
        "studies/token_length/token_regressions.py",
        '*(frequency if frequency_covariate == "spline" else ())',
        "*()",
        f"{UNIFORM}[frequency-measures2]",
    ),
    "one knot for the curve of frequency": Mutation(
        "stats/splines.py",
        "INTERIOR_KNOTS = (0.2, 0.4, 0.6, 0.8)",
        "INTERIOR_KNOTS = (0.5,)",
        "unit/test_evidence.py::test_every_measure_equals_a_plain_computation[spline]",
    ),
    "what documents add to r over types": Mutation(
        "studies/token_length/resample_layer.py",
        "    widen_types(r)\n",
        "",
        "unit/test_evidence.py::test_r_over_types_is_as_sure_as_documents_leave_it",
    ),
    "documents added to r over types without their share in types": Mutation(
        "studies/token_length/stored_sample.py",
        " - (of_cells**2).sum(axis=1)",
        "",
        TWO_WAY,
    ),
    "r over types narrowed by documents": Mutation(
        "studies/token_length/resample_layer.py",
        "np.sqrt(max(1.0, 1 + of_documents / of_types))",
        "np.sqrt(1 + of_documents / of_types)",
        "unit/test_sign_flip_null.py::test_widening_never_narrows_and_passes_over_neurons_that_never_vary",
    ),
    # Intervals.
    "the jackknife as the standard deviation": Mutation(
        "stats/jackknife.py",
        "np.sqrt((groups - 1) / groups * ((values",
        "np.sqrt(1 / groups * ((values",
        "unit/test_jackknife.py::test_the_jackknife_gives_the_error_of_a_mean",
    ),
    "clusters of any size are as many as they are": Mutation(
        "stats/jackknife.py",
        "float(sizes.sum() ** 2 / (sizes**2).sum())",
        "float(len(sizes))",
        "unit/test_jackknife.py::test_effective_number_of_groups",
    ),
    "a kernel of a whole standard error": Mutation(
        "studies/token_length/summaries_over_neurons.py",
        "return max(0.5 * float(",
        "return max(1.0 * float(",
        "unit/test_summaries_over_neurons.py::test_the_width_of_the_kernel_gives_a_share_its_variance",
    ),
    "the plain jackknife of a median": Mutation(
        "studies/token_length/summaries_over_neurons.py",
        "    return np.median(values) + weights @ changes / weights.sum()",
        "    return np.median(values[:, None] + changes, axis=0)",
        "unit/test_summaries_over_neurons.py::test_the_plain_jackknife_of_a_median_is_far_too_wide",
    ),
    "variance of r with its errors": Mutation(
        "studies/token_length/summaries_over_neurons.py",
        '"variance": variance - error,',
        '"variance": variance,',
        "unit/test_summaries_over_neurons.py::test_variance_is_that_of_the_neurons_and_not_of_their_errors",
    ),
    "errors of r that neurons share taken for their own": Mutation(
        "studies/token_length/summaries_over_neurons.py",
        "    apart = changes - changes.mean(axis=0)\n    return",
        "    apart = changes\n    return",
        "unit/test_summaries_over_neurons.py::test_the_error_of_neurons_is_taken_out_of_their_variance",
    ),
    "changes of the variance with each change in it": Mutation(
        "studies/token_length/summaries_over_neurons.py",
        "((r - r.mean()) @ apart + (apart**2).sum(axis=0))",
        "((r - r.mean()) @ apart)",
        "unit/test_summaries_over_neurons.py::test_the_jackknife_of_the_variance_is_that_of_the_unbiased_estimate",
    ),
    "overlap in bins of a whole standard deviation": Mutation(
        "studies/token_length/group_effects.py",
        "LIMIT, BINS = 6.0, 24",
        "LIMIT, BINS = 6.0, 12",
        "unit/test_group_effects.py::test_overlap_is_that_of_plain_histograms",
    ),
    "a GPU's memory given to the next tensor before it is copied": Mutation(
        "extract/host_copies.py",
        "        tensor.record_stream(self.stream)",
        "        pass",
        "unit/test_host_copies.py::test_a_copy_waits_for_its_tensor_and_the_cpu_for_the_copy",
    ),
    "a copy of a GPU's tensor read before it is made": Mutation(
        "extract/host_copies.py",
        "        self.done.synchronize()",
        "        pass",
        "unit/test_host_copies.py::test_all_that_is_computed_on_a_gpu_is_written",
    ),
    "overlap without what lies beyond the bins": Mutation(
        "stats/bins.py",
        "np.clip(values, 0, last, out=values)",
        "np.mod(values, last + 1)",
        "unit/test_group_effects.py::test_overlap_is_that_of_plain_histograms",
    ),
    "kurtosis about zero where documents are left out": Mutation(
        "studies/token_length/neuron_moments.py",
        "fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4",
        "fourth",
        "unit/test_group_effects.py::test_kurtosis_is_scipys_with_and_without_each_document",
    ),
    # Summaries.
    "a pilot of zero": Mutation(
        "summarize/reducer.py",
        "self.pilot = values[takes_part].mean(0, dtype=torch.float64).to(values.dtype)",
        "self.pilot = torch.zeros_like(values[0])",
        "unit/test_summaries.py::test_sums_in_float32_are_within_the_bound_of_its_rounding",
    ),
    "left-out tokens in the sums": Mutation(
        "summarize/reducer.py",
        "        x[batch.left_out] = 0\n",
        "",
        "unit/test_summaries.py::test_left_out_tokens_add_nothing",
    ),
    "sums about one pilot added to those about another": Mutation(
        "summarize/neuron_sums.py",
        "of_class + count * moved",
        "of_class",
        "unit/test_merged_summaries.py::test_any_shards_and_any_batches_give_the_same_summary",
    ),
    "the last of equal extremes": Mutation(
        "summarize/neuron_sums.py",
        'np.argsort(-sign * values, axis=0, kind="stable")[:CONTEXTS]',
        "np.argsort(sign * values, axis=0, kind='stable')[::-1][:CONTEXTS]",
        "unit/test_merged_summaries.py::test_any_shards_and_any_batches_give_the_same_summary",
    ),
    "windows that go on in the next sequence": Mutation(
        "summarize/extremes.py",
        "windows[edge] = windows[edge].masked_fill((of_edge < 0) | (of_edge >= length), torch.nan)",
        "pass",
        "unit/test_summaries.py::test_every_field_equals_a_loop_over_tokens",
    ),
    "windows cut at the ends of a batch": Mutation(
        "summarize/extremes.py",
        "windows[moved].gather(1, (at[moved, None] + around - first[moved, None]).clamp(0, WINDOW - 1))",
        "windows[moved]",
        "unit/test_summaries.py::test_every_field_equals_a_loop_over_tokens",
    ),
    "intervals by length from the number of documents": Mutation(
        "studies/token_length/length_means.py",
        "effective_number(sizes) - 1",
        "len(sizes) - 1",
        "unit/test_describe_neurons.py::test_means_by_length_equal_a_loop_over_documents",
    ),
    "classes by the sample": Mutation(
        "summarize/token_classes.py",
        'types["corpus_count"]',
        'types.get("count", types["corpus_count"])',
        "unit/test_covariates.py::test_the_sample_plays_no_part",
    ),
    # Properties of token types.
    "types that share a class count alike": Mutation(
        "studies/token_length/token_regressions.py",
        "np.bincount(of_types, counts * values[tokens.types]) / np.bincount(of_types, counts)",
        "np.bincount(of_types, values[tokens.types]) / np.bincount(of_types)",
        f"{PROPERTIES}::test_types_that_share_a_class_have_the_mean_of_their_values[valence]",
    ),
    "squares of a property summed as its values": Mutation(
        "studies/token_length/token_regressions.py",
        "wider[:, -1, -1] = with_others[:, 0] * values",
        "wider[:, -1, -1] = with_others[:, 0]",
        f"{PROPERTIES}::test_sums_over_classes_give_what_sums_over_clusters_give[8]",
    ),
    "a jackknife without sums over documents": Mutation(
        "studies/token_length/resample_layer.py",
        "jackknife = np.empty((len(observed), 0))",
        "jackknife = np.repeat(observed[:, None], 40, axis=1)",
        f"{PROPERTIES}::test_the_table_says_what_its_intervals_rest_on",
    ),
    "what documents add to r over types with length, whatever the property": Mutation(
        "studies/token_length/stored_sample.py",
        "lengths if values is None else values[ids]",
        "lengths",
        f"{PROPERTIES}::test_documents_widen_r_over_types_with_a_property_as_they_would_with_a_length",
    ),
    "a property named ahead taken for one that is not": Mutation(
        "studies/token_length/token_regressions.py",
        "self.is_covariate = name in self.names",
        'self.is_covariate = name == "characters"',
        f"{PROPERTIES}::test_r_with_a_property_equals_a_plain_computation[valence-over clusters-spline]",
    ),
    "zero for a type without a number": Mutation(
        "tokenize/property_tables.py",
        "    lacking = np.flatnonzero(needed & ~np.isfinite(values))",
        "    lacking = np.flatnonzero(needed & False)",
        "unit/test_token_properties.py::test_a_type_that_occurs_needs_a_finite_number",
    ),
    "types of the sample alone need no number": Mutation(
        "tokenize/token_properties.py",
        " | (sample > 0)",
        "",
        "unit/test_token_properties.py::test_a_type_that_occurs_needs_a_finite_number",
    ),
    # Claims.
    "a verdict on fewer than 30 clusters": Mutation(
        "stats/claims.py", "        if estimate.clusters < FEWEST:", "        if False:", VERDICT
    ),
    "a verdict beside the null": Mutation(
        "stats/claims.py",
        "        if estimate.null_low <= estimate.effect <= estimate.null_high:",
        "        if False:",
        VERDICT,
    ),
    "a verdict on the effect without its interval": Mutation(
        "stats/claims.py",
        "if not (estimate.low > self.above and estimate.high < self.below):",
        "if not (self.above < estimate.effect < self.below):",
        VERDICT,
    ),
    "the null band by the extremes of its resamples": Mutation(
        "stats/intervals.py",
        "    width = student_quantile(len(null) - 1, level) * null.std(ddof=1)\n",
        "    return float(null.min()), float(null.max())\n",
        "unit/test_evidence.py::test_the_null_band_and_p_are_students_t_about_the_resamples",
    ),
    "Markov's bound closed from above": Mutation(
        "studies/token_length/claims.py",
        "return Estimate(share, at_least(share, SMALLEST_P), 1.0, *null,",
        "return Estimate(share, at_least(share, SMALLEST_P), share, *null,",
        "unit/test_claims.py::test_claim_on_multimodality_can_be_supported_and_never_refuted",
    ),
    "multimodal neurons of the larger model without those that may be in the smaller": Mutation(
        "studies/token_length/claims.py",
        'possible = share_of_neurons(pair[0].multimodality, "types", "share")',
        'possible = share_of_neurons(pair[0].multimodality, "types", "share_1e5")',
        "unit/test_claims.py::test_more_multimodal_neurons_of_the_larger_model_are_supported_or_open",
    ),
    "models compared at one depth of many as if at the only one": Mutation(
        "studies/token_length/claims.py",
        "level=ALPHA / len(grid))",
        "level=ALPHA)",
        "unit/test_claims.py::test_models_differ_where_one_layer_does",
    ),
    "an explained share of nothing": Mutation(
        "studies/token_length/claims.py",
        "    if not (beyond & (np.abs(observed[:, 0]) > SMALLEST)).any():",
        "    if False:",
        "unit/test_claims.py::test_frequency_explains_a_slope_and_nothing_where_there_is_nothing",
    ),
    "tokens of the sample taken for independent": Mutation(
        "studies/token_length/sample_claims.py",
        "        if error > 0:",
        "        if False:",
        "unit/test_sample_claims.py::test_korn_and_graubards_interval_by_hand",
    ),
    # Files that changed after they were written.
    "a CSV table is read as it is": Mutation(
        "io/tables.py",
        "    check_seal(path)\n",
        "",
        "unit/test_tables.py::test_csv_that_was_saved_by_another_program_is_refused",
    ),
    "a record is read as it is": Mutation(
        "io/files.py",
        "    if written != digest_of_record(record):",
        "    if False:",
        "unit/test_files.py::test_json_that_was_edited_is_refused",
    ),
    "attributes are read as they are": Mutation(
        "io/hdf5.py",
        '        if attributes.pop("attributes_digest", None) != digest_of_record(attributes):',
        '        if attributes.pop("attributes_digest", None) is None:',
        "unit/test_tokenize.py::test_a_token_shard_that_is_not_as_written_gets_one_line",
    ),
    "tokens are read as they are": Mutation(
        "tokenize/token_shards.py",
        "        if tokens.digest() != digest:",
        "        if False:",
        "unit/test_tokenize.py::test_a_token_shard_that_is_not_as_written_gets_one_line",
    ),
    "path lengths and vectors are read as they are": Mutation(
        "io/hdf5.py",
        '    if digest_of([values.data]) != attributes_of(dataset).get("digest"):',
        "    if False:",
        "unit/test_path_length.py::test_value_of_a_path_shard_that_hdf5_itself_changed_is_found",
    ),
    "activations are read as they are": Mutation(
        "extract/activation_shards.py",
        "        if self.read == len(self.dataset) and self.digest.hexdigest() != self.expected:",
        "        if False:",
        "unit/test_activation_shards.py::test_value_that_was_changed_by_hdf5_itself_is_found_on_reading",
    ),
    "shards of another commit": Mutation(
        "io/provenance.py",
        '    *("model_source", ',
        '    *("model_commit", "tokenizer_commit", "corpus_commit", "model_source", ',
        "unit/test_activation_shards.py::test_shard_of_another_commit_is_refused",
    ),
}


def run_tests(package: str, *tests: str) -> int:
    """Run tests against the package in a folder; pytest's exit code."""
    import layerscope

    assert Path(layerscope.__file__).is_relative_to(package)
    sys.dont_write_bytecode = True
    options = ["-q", "--no-header", "--exitfirst", "-p", "no:cacheprovider", "--basetemp", f"{package}/temporary"]
    return int(pytest.main(["--numprocesses=0", "-m", "", *options, *(str(TESTS / test) for test in tests)]))


def run(package: Path, *tests: str) -> tuple[int, str]:
    """The same in a fork, and its output: most of a short run is the import of libraries."""
    # Where transformers would put the code of a model.
    environment = {**os.environ, "HF_MODULES_CACHE": f"{package}/code"}
    function = "robustness.test_mutations:run_tests"
    done = warm.call(function, str(package), *tests, source=package, folder=package, environment=environment)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def package(tmp_path: Path, project: Path) -> Path:
    """A folder with a copy of the package."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(project / "src/layerscope", tmp_path / "layerscope", ignore=ignored)
    return tmp_path


def test_without_a_mutation_all_pass(package: Path) -> None:
    """A few of them, to see that they pass in a copy of the package; all are run on the package itself."""
    code, output = run(package, VOCABULARY, PATHS, GROUPS, VERDICT)
    assert code == PASSED, output
    assert "skipped" not in output.splitlines()[-1]


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_noticed(package: Path, name: str) -> None:
    mutation = MUTATIONS[name]
    path = package / "layerscope" / mutation.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1, f"{mutation.file} no longer holds the code to be mutated just once"
    mutated = text.replace(mutation.old, mutation.new)
    compile(mutated, mutation.file, "exec")
    path.write_text(mutated, encoding="utf-8")
    code, output = run(package, mutation.test)
    assert code == FAILED and not BROKEN.search(output), output
