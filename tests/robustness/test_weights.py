"""Which files a model is loaded from: those that its digest covers, and no other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import CONFIGS, LAYERS, save_tiny_model

from layerscope.io.errors import UserError
from layerscope.io.files import DigestCache
from layerscope.model.loading import load_base_model
from layerscope.model.weights import INDEX, WHOLE, check_weights, model_files, weight_files

NO_SDPA = ("gpt_neo", "gptj", "gemma2")  # transformers has no sdpa for them
CPU = torch.device("cpu")


def loaded(record: dict) -> dict[str, torch.Tensor]:
    return load_base_model(record, "float32", CPU).state_dict()


def in_pieces(folder: Path) -> list[str]:
    """Divide the weights of a folder into two pieces, with an index; their names."""
    weights = load_file(folder / WHOLE)
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    places = {key: names[number % 2] for number, key in enumerate(weights)}
    for name in names:
        piece = {key: weights[key].contiguous() for key in weights if places[key] == name}
        save_file(piece, folder / name, metadata={"format": "pt"})
    (folder / WHOLE).unlink()
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return names


@pytest.mark.parametrize("divided", [False, True], ids=["one file", "pieces"])
def test_what_is_loaded_is_what_the_digest_covers(tmp_path: Path, divided: bool) -> None:
    """Other weights beside them, of every name that transformers looks for, change neither."""
    record = save_tiny_model("gpt2", tmp_path / "model")
    other = load_file(Path(save_tiny_model("gpt2", tmp_path / "other", seed=1)["path"], WHOLE))
    folder = tmp_path / "model"
    expected = loaded(record)
    if divided:
        in_pieces(folder)
    files = model_files("tiny", folder, "trained")
    assert {file.name for file in files} == {"config.json", *(file.name for file in folder.iterdir())} - {
        "generation_config.json"
    }
    before = DigestCache(tmp_path / "cache.json").digest(files)
    for name in ("shard-00000-model-00001-of-00001", "pytorch_model", "consolidated", "adapter_model"):
        save_file(other, folder / f"{name}.safetensors", metadata={"format": "pt"})
    torch.save(other, folder / "pytorch_model.bin")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/other", "peft_type": "LORA"}')
    found = loaded(record)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert DigestCache(tmp_path / "cache.json").digest(model_files("tiny", folder, "trained")) == before


def test_every_file_that_is_loaded_counts(tmp_path: Path) -> None:
    save_tiny_model("gpt2", tmp_path / "model")
    in_pieces(tmp_path / "model")

    def digest() -> str:
        return DigestCache(tmp_path / "cache.json").digest(model_files("tiny", tmp_path / "model", "trained"))

    seen = {digest()}
    for file in model_files("tiny", tmp_path / "model", "trained"):
        file.write_bytes(file.read_bytes() + b" ")
        seen.add(digest())
    assert len(seen) == 5


def test_pieces_give_the_weights_of_the_whole(tmp_path: Path) -> None:
    record = save_tiny_model("llama", tmp_path / "model")
    expected = loaded(record)
    in_pieces(tmp_path / "model")
    found = loaded(record)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_other_weights_named_by_the_configuration_are_not_loaded(tmp_path: Path) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    expected = loaded(record)
    save_file({"wte.weight": torch.zeros(211, 32)}, tmp_path / "model/other.safetensors", metadata={"format": "pt"})
    config = json.loads((tmp_path / "model/config.json").read_text())
    (tmp_path / "model/config.json").write_text(json.dumps({**config, "transformers_weights": "other.safetensors"}))
    found = loaded(record)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    "piece", ["../elsewhere/w.safetensors", "/tmp/w.safetensors", "a/w.safetensors", "..", 3, None]
)
def test_weights_elsewhere_are_not_loaded(tmp_path: Path, piece: object) -> None:
    """Neither before any job, nor in one that gets a folder which was changed since."""
    record = save_tiny_model("gpt2", tmp_path / "model")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "model" / WHOLE).rename(tmp_path / "elsewhere/w.safetensors")
    (tmp_path / "model" / INDEX).write_text(json.dumps({"weight_map": {"wte.weight": piece}}))
    said = "as a file of weights; only *.safetensors files of the same folder are loaded"
    for load in (lambda: loaded(record), lambda: check_weights("gpt2", tmp_path / "model")):
        with pytest.raises(UserError) as error:
            load()
        assert str(error.value).endswith(f"names {json.dumps(piece)} {said}")


def test_a_link_to_weights_is_followed(tmp_path: Path) -> None:
    """As the hub's own cache has them; an edit there changes the digest."""
    record = save_tiny_model("gpt2", tmp_path / "model")
    expected = loaded(record)
    (tmp_path / "model" / WHOLE).rename(tmp_path / "blob")
    (tmp_path / "model" / WHOLE).symlink_to(tmp_path / "blob")
    assert all(torch.equal(value, expected[key]) for key, value in loaded(record).items())
    before = DigestCache(tmp_path / "cache.json").digest(weight_files("tiny", tmp_path / "model"))
    (tmp_path / "blob").write_bytes((tmp_path / "blob").read_bytes() + b" ")
    assert DigestCache(tmp_path / "cache.json").digest(weight_files("tiny", tmp_path / "model")) != before


@pytest.mark.parametrize("asked", ["owner/kernel", "eager"])
@pytest.mark.parametrize("weights", ["trained", "random"])
@pytest.mark.parametrize("model_type", CONFIGS)
def test_attention_is_not_what_a_configuration_asks_for(
    tmp_path: Path, model_type: str, weights: str, asked: str
) -> None:
    """It could name compiled code on the hub."""
    record = {**save_tiny_model(model_type, tmp_path / "model"), "weights": weights}
    expected = loaded(record)
    config = json.loads((tmp_path / "model/config.json").read_text())
    for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
        config[key] = asked
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    model = load_base_model(record, "float32", CPU)
    assert model.config._attn_implementation == ("eager" if model_type in NO_SDPA else "sdpa")
    assert len(expected) and all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    assert LAYERS[model_type] == model.config.num_hidden_layers


SHORT_OF_MEMORY = """
import resource, sys, torch
from types import SimpleNamespace
from layerscope.model.loading import load_base_model
from layerscope.workflow.job import job

record = {"name": "tiny", "path": sys.argv[1], "weights": "trained"}
cpu = torch.device("cpu")
load_base_model({**record, "path": sys.argv[2]}, "float32", cpu)  # imports all that is needed
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
with job(SimpleNamespace(rule="extract", wildcards={"model": "tiny"}, log=["job.log"])):
    resource.setrlimit(resource.RLIMIT_AS, (size + (8 << 20), resource.RLIM_INFINITY))
    load_base_model(record, "float32", cpu)
"""


@pytest.mark.slow
def test_memory_that_does_not_suffice_for_the_weights_is_said(tmp_path: Path) -> None:
    """And not that the model should be fetched again."""
    save_tiny_model("gpt2", tmp_path / "large", vocab_size=500_000)  # 64 MB
    save_tiny_model("gpt2", tmp_path / "small")
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path / "large"), str(tmp_path / "small")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("layerscope: ")]
    assert line.startswith("layerscope: extract tiny: memory ran out ("), line
    assert "fetch" not in line
