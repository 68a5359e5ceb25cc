"""Settings, jobs and figures of the study."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from layerscope.config.mistakes import Mistakes
from layerscope.config.sections import Layer, LocalPath, Seed, StudySettings, Text
from layerscope.io.errors import UserError
from layerscope.studies.study import Figure, Study
from layerscope.studies.token_similarity.sentences import read_sentences, sentence_lines
from layerscope.tokenize.tokenizer import LoadedTokenizer
from layerscope.workflow.job_costs import JobCosts

if TYPE_CHECKING:
    from layerscope.workflow.model_size import ModelSize
    from layerscope.workflow.resources import Needs

SENTENCE = 16  # tokens, on average
LAYER_BYTES, DIMENSION_BYTES = 25_000, 124  # of the tables of a layer, and of each of its dimensions
HISTOGRAMS = "token_similarity/{model}/histogram_{layer}.parquet"
LAYERS = "token_similarity/layers.csv"


class TokenSimilaritySettings(StudySettings):
    """Similarity of the dimensions of Q, K and V of a target token, over sentences that contain it."""

    chosen_layers: ClassVar = ("matrix_layer",)

    sentences: LocalPath = Field(description="Text file, one sentence per line.")
    target: Text = Field(description="The word that every sentence contains, without surrounding spaces.")
    seed: Seed = Field(0, description="Seed that chooses the non-target token of each sentence.")
    matrix_layer: Layer | None = Field(
        None, description="Layer whose matrix of cosines is drawn; default: the middle layer."
    )


class TokenSimilarity(Study):
    """How similar the dimensions of Q, K and V of one target token are over many sentences, layer by layer."""

    name = "token_similarity"
    title = "Token similarity"
    settings_type = TokenSimilaritySettings
    settings: TokenSimilaritySettings
    local_files = ("sentences",)
    depends: ClassVar = {
        "extract_vectors": ("dtype", "batch_size", "sentences", "target", "seed"),
        "compute_cosines": (),
        "summarize_token_similarity": ("models",),
        "jackknife_similarity": ("seed",),
        "evaluate_token_similarity_claims": ("models", "untrained"),
    }
    figures = (
        Figure(
            "similarity",
            "draw_similarity:draw_similarity",
            {"jackknife": "token_similarity/{model}/jackknife.parquet"},
            "similarity and variance of the target's vectors",
            along_revisions=True,
        ),
        Figure(
            "cosines", "draw:draw_cosines", {"bins": HISTOGRAMS}, "cosines by layer, uncentred", along_revisions=True
        ),
        Figure(
            "cosines_centred",
            "draw:draw_cosines_centred",
            {"bins": HISTOGRAMS},
            "cosines by layer, centred",
            along_revisions=True,
        ),
        Figure(
            "cosine_spread",
            "draw:draw_spread",
            {"layers": LAYERS},
            "standard deviation of the cosines",
            along_revisions=True,
        ),
        Figure(
            "matrix",
            "draw_matrix:draw_matrix",
            {"vectors": "token_similarity/{model}/vectors.h5"},
            "matrix of cosines in one layer",
            settings={"layer": "matrix_layer"},
            along_revisions=True,
        ),
    )

    def described(self) -> list[str]:
        return self.paths("token_similarity/{model}/vectors.h5")

    def costs(self, model: str, size: "ModelSize", needs: "Needs") -> Iterable[JobCosts]:
        sentences = len(sentence_lines(self.settings.sentences, self.settings.target))
        numbers = 6 * sentences * size.layers * size.hidden  # q, k and v of two tokens
        of_vectors = needs.extract_vectors(size, sentences, needs.threads_of(size))
        yield JobCosts("extract_vectors", 1, of_vectors, SENTENCE * sentences, 4 * numbers)
        cosines, made = needs.cosines(numbers, size.layers, sentences), LAYER_BYTES + DIMENSION_BYTES * size.hidden
        yield JobCosts("compute_cosines", size.layers, cosines, bytes=made)

    def check_files(
        self, tokenizers: Mapping[str, LoadedTokenizer], positions: Mapping[str, int], mistakes: Mistakes
    ) -> None:
        """Note sentences that lack the target or are too long for a model."""
        settings = self.settings
        if not Path(settings.sentences).is_file():
            raise UserError(
                f"config: studies.token_similarity.sentences: '{settings.sentences}' is not a file here; "
                "name a text file with one sentence per line"
            )
        sentence_lines(settings.sentences, settings.target)
        for name, tokenizer in tokenizers.items():
            limits = {model: positions[model] for model in self.readers(name) if model in positions}
            shortest = min(limits, key=limits.__getitem__, default=None)
            with mistakes:
                most = limits[shortest] if shortest else None
                read_sentences(settings.sentences, settings.target, settings.seed, tokenizer, shortest, most)
