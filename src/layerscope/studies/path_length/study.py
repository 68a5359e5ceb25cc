"""Settings, jobs and figures of the study."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from layerscope.config.sections import CorpusStudySettings
from layerscope.studies.path_length.lengths import SITES
from layerscope.studies.study import Figure, Study
from layerscope.workflow.job_costs import JobCosts

if TYPE_CHECKING:
    from layerscope.workflow.model_size import ModelSize
    from layerscope.workflow.resources import Needs

LAYERS = "path_length/layers.csv"
COMOMENTS = 540  # bytes of a cluster of documents and layer in a shard, compressed
ATTRIBUTES = 20_000  # bytes of a shard, with the indices of HDF5


class PathLengthSettings(CorpusStudySettings):
    """How far attention, MLP and the residual stream move per layer and token."""

    streams: Literal["reduced", "stored"] = Field(
        "reduced", description="reduced: store only the lengths; stored: store the streams themselves in shards."
    )
    drop_first_token: bool = Field(True, description="Exclude the first token of each sequence from figures of means.")


class PathLength(Study):
    """How far attention, MLP and the residual stream move per layer and token."""

    name = "path_length"
    title = "Path length"
    settings_type = PathLengthSettings
    settings: PathLengthSettings
    depends: ClassVar = {
        "extract_paths": ("dtype", "batch_size"),
        "reduce_paths": (),
        "summarize_path_length": ("models",),
        "jackknife_paths": (),
        "evaluate_path_length_claims": ("models", "untrained"),
    }
    figures = (
        Figure(
            "path_r",
            "draw_r:draw_r",
            {"layers": LAYERS, "resamples": "path_length/{model}/resamples.parquet"},
            "correlation with the residual stream's path length",
            along_revisions=True,
        ),
        Figure(
            "path_means",
            "draw:draw_mean_length",
            {"layers": LAYERS},
            "mean path lengths and steps",
            settings={"token_filter": "token_filter"},
            along_revisions=True,
        ),
        Figure(
            "path_cumulative",
            "draw:draw_cumulative",
            {"layers": LAYERS},
            "cumulative path lengths",
            settings={"token_filter": "token_filter"},
            along_revisions=True,
        ),
        Figure(
            "path_lengths",
            "draw:draw_lengths",
            {"shards": "path_length/{model}/shard_0000.h5"},
            "path lengths by layer and token",
            along_revisions=True,
        ),
    )

    @property
    def sites(self) -> tuple[str, ...]:
        return SITES if self.settings.streams == "stored" else ()

    @property
    def shard_jobs(self) -> int:
        return len(self.models)  # to reduce the streams

    @property
    def token_filter(self) -> str:
        """The tokens whose means the figures show, as in layers.csv."""
        return "without_first" if self.settings.drop_first_token else "all"

    def costs(self, model: str, size: "ModelSize", needs: "Needs") -> Iterable[JobCosts]:
        stored = (24 * size.layers + 3) * needs.stored  # six numbers of a layer, and the token
        if self.settings.streams == "reduced":
            shards, expected = self.sampling.shards, needs.extract_paths(size, needs.threads_of(size))
            made = ATTRIBUTES + COMOMENTS * size.layers * needs.clusters(needs.shard) + stored / shards
            yield JobCosts("extract_paths", shards, expected, needs.shard, made)
        else:
            shards = self.sampling.stored_shards
            made = ATTRIBUTES + COMOMENTS * size.layers * needs.clusters(needs.stored_shard) + stored / shards
            yield JobCosts("reduce_paths", shards, needs.reduce_paths(size), bytes=made)

    def described(self) -> list[str]:
        return self.paths("path_length/{model}/shard_0000.h5")
