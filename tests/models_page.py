"""Writes the tables of docs/models.md, of what the tests find and of what the package knows of each architecture.

python tests/models_page.py
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from architecture_cases import ALLOWED, Case, from_own_attention, from_plain_pass, make_case
from tiny_models import CASES
from transformers import AutoConfig

from layerscope.model.architecture import SITES
from layerscope.model.architectures import ARCHITECTURES, NEAR

PAGE = Path(__file__).parents[1] / "docs/models.md"
TITLES = {
    "gpt_neo": "GPT-Neo",
    "gpt2": "GPT-2",
    "gpt_neox": "GPT-NeoX, Pythia",
    "gptj": "GPT-J",
    "opt": "OPT",
    "falcon": "Falcon (7B)",
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen2": "Qwen2, Qwen2.5",
    "qwen3": "Qwen3",
    "gemma2": "Gemma 2",
    "gemma3_text": "Gemma 3 (text)",
    "olmo2": "OLMo 2",
    "phi3": "Phi-3, Phi-4",
    "starcoder2": "StarCoder2",
    "gpt_neox, sequential": "GPT-NeoX, MLP after attention",
    "opt, no biases and plain norms": "OPT without biases",
    "opt, projected embeddings": "OPT with projected embeddings",
    "falcon, grouped keys and two norms": "Falcon (40B)",
    "falcon, grouped keys and one norm": "Falcon 2 (11B)",
    "falcon, sequential with ALiBi": "Falcon (RW), ALiBi",
}


def table(*rows: list[str]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(["---"] * len(rows[0])) + " |", *lines[1:]]) + "\n"


def proofs(case: Case) -> list[str]:
    """A cell for each site, "–" for one that the architecture lacks, and one for attention without transformers."""
    of_sites = from_plain_pass(case)
    found = [*(of_sites.get(site) for site in SITES), from_own_attention(case)]
    return ["–" if value is None else "✓" if value < ALLOWED else f"differs by {value:.1g}" for value in found]


def blocks(case: Case) -> list[str]:
    """How the blocks of an architecture are built, as far as sites and checks depend on it."""
    of = ARCHITECTURES[case.record["model_type"]]
    config = AutoConfig.from_pretrained(case.record["path"]).to_dict()
    windows = of.windows(config)
    plain = of.sites["attn_out"].module == of.attn_projection
    return [
        "gated" if "gate" in of.mlp_in.module else "plain",
        "resid_pre" if of.parallel(config) else "resid_pre + attn_out",
        "none" if of.norm_before_mlp(config) is None else of.norm,
        "no" if plain else "yes",
        "none" if not windows else "all layers" if len(windows) == len(case.stored) else "some layers",
        of.attention,
    ]


def refused() -> str:
    """What is close to a supported architecture and is refused."""
    rows = [
        [f"`{model_type}`", f"models with `{key}: {json.dumps(value)}`"]
        for model_type, of in ARCHITECTURES.items()
        for key, value in of.required.items()
    ]
    return table(
        ["`model_type`", "only these are supported"],
        *rows,
        *([f"`{name}`", f"none: {why}"] for name, why in NEAR.items()),
    )


def with_tables(page: str, case_of: Callable[[str], Case]) -> str:
    """The page with its tables as they must be."""
    cases = [case_of(name) for name in CASES]
    names = [[TITLES[case.name], f"`{case.record['model_type']}`"] for case in cases]
    tables = {
        "sites": table(
            ["", "`model_type`", *(f"`{site}`" for site in SITES), "attention"],
            *(name + proofs(case) for name, case in zip(names, cases, strict=True)),
        ),
        "blocks": table(
            ["", "`model_type`", "MLP", "it reads", "through a norm", "norms after both", "windows", "attention"],
            *(name + blocks(case) for name, case in zip(names, cases, strict=True)),
        ),
        "refused": refused(),
    }
    for key, made in tables.items():
        before, marked, rest = page.partition(f"<!-- {key} -->\n")
        assert marked, f"docs/models.md: the place of the table '{key}' is not marked"
        page = before + marked + made + rest[rest.index("<!-- end -->") :]
    return page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = with_tables(PAGE.read_text(encoding="utf-8"), lambda name: make_case(name, Path(folder, name)))
    PAGE.write_text(made, encoding="utf-8")
