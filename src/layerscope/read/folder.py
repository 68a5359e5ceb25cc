"""A folder of results: which studies ended in it, what is kept of which models and layers, and where tables are."""

import re
from pathlib import Path

import pandas as pd

from layerscope.extract.activation_shards import FORMAT, PLACE, manifest_of
from layerscope.io.errors import UserError
from layerscope.io.files import read_json
from layerscope.io.hdf5 import read_root_attributes
from layerscope.model.architecture import SITES
from layerscope.read.arguments import chosen, number
from layerscope.read.matches import FIRST, SECOND
from layerscope.read.tables import table_of
from layerscope.studies.path_length.path_shards import FORMAT as PATHS_FORMAT
from layerscope.studies.path_length.path_shards import PLACE as PATHS_PLACE
from layerscope.studies.registry import STUDIES
from layerscope.studies.token_similarity.vectors import FORMAT as VECTORS_FORMAT
from layerscope.studies.token_similarity.vectors import PLACE as VECTORS_PLACE
from layerscope.summarize.summary_shards import BY_DEFAULT, place_of
from layerscope.summarize.summary_shards import FORMAT as SUMMARY_FORMAT

# Files that say which tokenizer a model has.
DESCRIBED = {
    FORMAT: PLACE,
    SUMMARY_FORMAT: place_of(BY_DEFAULT),
    PATHS_FORMAT: PATHS_PLACE,
    VECTORS_FORMAT: VECTORS_PLACE,
}
KEPT = "activations.csv"
WRITTEN_FIRST = ("sources", "documents", "tokens", "activations", "summaries")


class ResultsFolder:
    """A folder of results.

    Args:
        path: the folder.
        corpus: name of a corpus, where there are tokens of several.

    Raises:
        UserError: it is no folder of results, no study has ended in it and nothing is kept, or there is no such
            corpus.
    """

    def __init__(self, path: str | Path, corpus: str | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise UserError(f"{path}: no such folder; name the folder of results of a run, such as results")
        self.studies = [name for name in STUDIES if (self.path / name / "layers.csv").is_file()]
        self.depths: dict[str, int] = {}  # model → number of its layers
        self.models_of: dict[str, list[str]] = {}  # study → its models
        for name in self.studies:
            table = table_of(self.path / name / "layers.csv")
            self.models_of[name] = list(table["model"].unique())
            self.depths |= (table.groupby("model", sort=False)["layer"].max() + 1).to_dict()
        kept = self.path / KEPT
        self.tokenizers: dict[str, str] = {}  # of models of which something is kept
        if kept.is_file():
            table = table_of(kept)
            self.depths |= dict(zip(table["model"], table["layers"], strict=True))
            self.tokenizers = dict(zip(table["model"], table["tokenizer"], strict=True))
        if not self.depths:
            if any((self.path / name).is_dir() for name in WRITTEN_FIRST):
                raise UserError(f"{path}: no study has ended in it; let snakemake run to the end, or resume it")
            raise UserError(f"{path}: not a folder of results: it has no STUDY/layers.csv; name that of a run")
        self.corpus = self._corpus(corpus)
        self._vocabularies: dict[str, pd.DataFrame] = {}

    def _corpus(self, corpus: str | None) -> str | None:
        corpora = sorted({folder.name for folder in self.path.glob("tokens/*/*") if folder.is_dir()})
        if corpus is not None:
            return chosen("corpus", corpus, corpora, str(self.path))
        if len(corpora) > 1:
            raise UserError(
                f"{self.path}: tokens of several corpora, {', '.join(corpora)}; choose one, as in "
                f"layerscope.open({str(self.path)!r}, corpus={corpora[0]!r})"
            )
        return corpora[0] if corpora else None

    @property
    def finished(self) -> bool:
        """Whether the run got to its last file."""
        return not self.studies or (self.path / "report.html").is_file()

    def model(self, name: str) -> str:
        """A model's name.

        Raises:
            UserError: there is no such model.
        """
        return chosen("model", name, list(self.depths), str(self.path))

    def layer(self, model: str, layer: int) -> int:
        """A layer's number.

        Raises:
            UserError: there is no such model, or it has no such layer.
        """
        return number("layer", layer, self.depths[self.model(model)], model)

    def vocabulary(self, model: str) -> pd.DataFrame:
        """The table of the token types of a model.

        Raises:
            UserError: there is none, or it is damaged.
        """
        folder = self._tokens(model)
        if folder not in self._vocabularies:
            self._vocabularies[folder] = self.table(f"{folder}/vocabulary.parquet")
        return self._vocabularies[folder]

    def token_shards(self, model: str) -> list[str]:
        """The token shards of the sample that a model read, in order, without those that an earlier sample left.

        Raises:
            UserError: there is no table of their vocabulary, which says how many there are.
        """
        count = len(self.vocabulary(model).attrs["token_shards"])
        return [f"{self.path / self._tokens(model)}/shard_{shard:04d}.h5" for shard in range(count)]

    def shards(self, model: str) -> list[str]:
        """The activation shards of a model, in order, without those that an earlier sample left.

        Raises:
            UserError: there are none.
        """
        digests = dict(enumerate(self.vocabulary(model).attrs["token_shards"]))
        found = []
        for path in self._activations(model):
            attributes = read_root_attributes(path, {FORMAT: PLACE})
            if digests.get(attributes["token_shard"]) == attributes["token_shard_digest"]:
                found.append(str(path))
        if not found:
            place = Path(PLACE.format(model=model, corpus=self.corpus, shard=0))
            raise UserError(
                f"{self.path / place.parent}: no stored activations of this sample; to have them again, run "
                f"snakemake --cores 8 {Path(self.path.name) / place}"
            )
        return found

    def sites(self, model: str) -> list[str]:
        """Sites whose activations are stored; none where they were deleted."""
        shards = self._activations(model)
        datasets = read_json(manifest_of(shards[0]))["datasets"] if shards else {}
        return list(dict.fromkeys(name.partition("/")[0] for name in datasets))

    def summarized_sites(self, model: str) -> list[str]:
        """Sites that have summaries; none where they were deleted."""
        return [site for site in SITES if Path(self._summary(model, site, 0)).is_file()]

    def summaries(self, model: str, site: str) -> list[str]:
        """The summaries of a site, in order, without those that an earlier sample left.

        Raises:
            UserError: there are none.
        """
        where = f"{self.path}/summaries of {self.model(model)}"
        site = chosen("site", site, self.summarized_sites(model), where)
        return [self._summary(model, site, shard) for shard in range(len(self.token_shards(model)))]

    def _summary(self, model: str, site: str, shard: int) -> str:
        place = place_of(site).format(model=self.model(model), corpus=self.corpus, shard=shard)
        return str(self.path / place)

    def table(self, name: str) -> pd.DataFrame:
        """A table, checked against its digest.

        Args:
            name: path within the folder, of a CSV or Parquet file.

        Raises:
            UserError: it is not there, is neither, or is not what was written.
        """
        return table_of(self.path / name)

    def tables(self) -> list[str]:
        """Names of all tables."""
        found = [path.relative_to(self.path) for path in self.path.rglob("*") if path.suffix in (".csv", ".parquet")]
        return sorted(str(path) for path in found if not path.name.startswith("."))

    def of_layer(self, kind: str, model: str, layer: int) -> pd.DataFrame:
        """A table of token_length of one layer.

        Args:
            kind: what its name begins with.

        Raises:
            UserError: there is no such model or layer, or the table is missing.
        """
        path = self.place(kind, model, layer)
        if not path.is_file():
            raise UserError(f"{path}: no such table; run the workflow with studies.token_length")
        return table_of(path)

    def place(self, kind: str, model: str, layer: int) -> Path:
        """Where such a table is.

        Raises:
            UserError: there is no such model or layer, or token_length was not run on the model.
        """
        layer = self.layer(model, layer)
        if model not in self.models_of.get("token_length", []):
            raise UserError(f"{self.path}: no token_length of {model}; name it in studies.token_length.models and run")
        return self.path / f"token_length/{model}/{kind}_{layer:02d}.parquet"

    def matched(self, model: str) -> list[str]:
        """Models whose neurons those of a model were matched with; first those of pairs that it is the first of."""
        folder = self.path / "token_length" / self.model(model)
        others: list[str] = []
        for kind in (FIRST, SECOND):
            names = (re.fullmatch(rf"{kind}_(.+)_\d+\.parquet", path.name) for path in sorted(folder.glob(f"{kind}_*")))
            others += [found[1] for found in names if found]
        return list(dict.fromkeys(others))

    def match_tables(self, model: str, other: str) -> list[str]:
        """The tables of a model's neurons matched with those of another, in order."""
        folder = self.path / "token_length" / model
        first = [folder / f"{FIRST}_{other}_{layer:02d}.parquet" for layer in range(self.depths[other])]
        second = [folder / f"{SECOND}_{other}_{layer:02d}.parquet" for layer in range(self.depths[model])]
        return list(map(str, first if first[0].is_file() else second))

    def _activations(self, model: str) -> list[Path]:
        return sorted((self.path / "activations" / self.model(model) / str(self.corpus)).glob("shard_*.h5"))

    def _tokens(self, model: str) -> str:
        """The folder of the tokens that a model read."""
        if self.corpus is None:
            raise UserError(f"{self.path}: no tokens of a corpus; its studies read none")
        return f"tokens/{self._tokenizer(model)}/{self.corpus}"

    def _tokenizer(self, model: str) -> str:
        for place in DESCRIBED.values():
            path = self.path / place.format(model=self.model(model), corpus=self.corpus, shard=0)
            if path.is_file():
                return str(read_root_attributes(path, DESCRIBED)["tokenizer"])
        if model in self.tokenizers:
            return self.tokenizers[model]
        tokenizers = [folder.name for folder in (self.path / "tokens").glob("*") if folder.is_dir()]
        if len(tokenizers) != 1:
            raise UserError(f"{self.path}: no activations or summaries of {model} are left to say what its tokens are")
        return tokenizers[0]
