"""What the result of each job depends on, as one dictionary of plain values per job: its spec.

Snakemake compares specs between runs (each is its rule's only param) and reruns a job whose spec has changed. So a spec
contains everything that can change the result of the job, except files that other jobs write, and nothing else: not the
device, not threads, not memory.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from layerscope.config.sections import FREQUENCY_TOKENS, Corpus
from layerscope.fetch.places import is_local
from layerscope.io.errors import at
from layerscope.io.files import DigestCache, digest_of_record
from layerscope.model.weights import model_files
from layerscope.preflight.config import Config
from layerscope.studies.demand import stored_sites, summarized_sites
from layerscope.studies.revisions import series_of
from layerscope.studies.study import RESULTS, Figure, Study
from layerscope.studies.token_length.study import TokenLength
from layerscope.tokenize.documents import corpus_files
from layerscope.tokenize.property_names import ALWAYS_SUMMED, of_tables
from layerscope.tokenize.token_properties import PropertySpec, PropertyTable
from layerscope.tokenize.tokenizer_files import tokenizer_files
from layerscope.workflow.fingerprint import code_fingerprint, module_file

PACKAGE = Path(__file__).parents[1]
STYLE, EXPLORER_PAGE = PACKAGE / "layerscope.mplstyle", PACKAGE / "explorer/page"
TEMPLATES = [path for path in sorted(PACKAGE.glob("report/*.*")) if path.suffix in (".html", ".css", ".js")]

Spec = dict[str, Any]


class Specs:
    """Specs of the jobs of one configuration.

    Args:
        config: the validated configuration.
        scripts: folder of the workflow's scripts.
        cache: file that caches the digests of local sources.
    """

    def __init__(self, config: Config, scripts: str | Path, cache: str | Path) -> None:
        self.config, self.scripts, self.digests = config, Path(scripts), DigestCache(Path(cache))
        self.studies, self.demands = config.chosen(), config.demands()
        self._taken: dict[str, str] = {}
        self._code: dict[tuple[str, ...], str] = {}
        self._records: dict[tuple[str, str], str] = {}

    def read_sources(self) -> None:
        """Compute the digests of all sources, so that unreadable ones are found before Snakemake plans the jobs."""
        models = {name: model for demand in self.demands for name, model in demand.models.items()}
        for name in models:
            self.fetch_model(name)
        for name in {model.tokenizer for model in models.values()}:
            self.fetch_tokenizer(name)
        for name in {demand.corpus for demand in self.demands if demand.corpus}:
            self.resolve_corpus(name)
        for study in self.studies.values():
            for key in study.local_files:
                self._digest_of_setting(study, key)

    def script(self, script: str, *functions: str, **values: Any) -> Spec:
        """The spec of a script: ``values`` and the fingerprint of its code.

        Keys are sorted, because Snakemake compares the dictionaries as text. It asks once per job, so fingerprints are
        cached.

        Args:
            functions: functions that the script calls by name, ``package.module:function``.
        """
        key = (script, *functions)
        if key not in self._code:
            modules = [module_file(function) for function in functions]
            self._code[key] = code_fingerprint(self.scripts / f"{script}.py", *modules)
        return dict(sorted({**values, "code": self._code[key]}.items()))

    def of(self, script: str, **values: Any) -> Spec:
        """The spec of a script of a study: what the study declares as its dependencies, and ``values`` that differ
        between jobs."""
        study = next(study for study in self.studies.values() if script in study.depends)
        for key in study.depends[script]:
            extraction = self.config.extraction
            values[key] = getattr(extraction, key) if key in type(extraction).model_fields else study.value(key)
            if key in study.local_files:
                values["digest"] = self._digest_of_setting(study, key)
        return self.script(script, **values)

    def figures(self, study: Study, figures: Iterable[Figure]) -> Spec:
        """The specs of the figures that one job draws, by their names."""
        return {figure.name: self.figure(study, figure) for figure in figures}

    def figure(self, study: Study, figure: Figure) -> Spec:
        """The spec of a figure."""
        function = study.function(figure)
        settings = {argument: study.value(key) for argument, key in figure.settings.items()}
        if figure.along_revisions and study.series:
            settings["series"] = study.series
        keyed = {argument: keys for argument, pattern in figure.reads.items() if (keys := study.keys(pattern))}
        return self.script(
            "draw",
            function,
            function=function,
            settings=settings,
            keyed=keyed,
            reads=figure.reads,
            style=self.digests.digest([STYLE]),
        )

    def _digest_of_setting(self, study: Study, key: str) -> str:
        """Digest of the file that a setting of a study names."""
        return self._digest(f"studies.{study.name}.{key}", lambda: [Path(study.value(key))])

    def record(self, kind: str, name: str) -> str:
        """The path of the record of a source; each content has a record of its own.

        So a source that is changed and changed back finds its old record, and a failed attempt removes none.

        Args:
            kind: ``models``, ``tokenizers`` or ``corpora``.
        """
        if (kind, name) not in self._records:
            content = digest_of_record(self._content(kind, name))[:12]
            self._records[kind, name] = f"{RESULTS}/sources/{kind}/{name}/{content}.json"
        return self._records[kind, name]

    def _content(self, kind: str, name: str) -> Spec:
        """What a record depends on, except code; for a model also its tokenizer, which it is checked against."""
        fetch = {"models": self.fetch_model, "tokenizers": self.fetch_tokenizer, "corpora": self.resolve_corpus}[kind]
        content = {key: value for key, value in fetch(name).items() if key != "code"}
        if kind == "models":
            content["tokenizer"] = self._content("tokenizers", self.config.models[name].tokenizer)
        return content

    def _digest(self, key: str, files: Callable[[], Iterable[Path]]) -> str:
        """Digest of the files of the source at a key of the config, computed once."""
        if key not in self._taken:
            with at(key):
                self._taken[key] = self.digests.digest(files())
        return self._taken[key]

    def _origin(self, kind: str, name: str, files: Callable[[str], Iterable[Path]]) -> Spec:
        """Where a source is, and what identifies its content: the digest of its ``files``, or a revision on the hub."""
        entry = getattr(self.config, kind)[name]
        if not is_local(entry.source):
            return {"source": entry.source, "revision": entry.revision, "digest": None}
        digest = self._digest(f"{kind}.{name}.source", lambda: files(entry.source))
        return {"source": entry.source, "revision": None, "digest": digest}

    def fetch_model(self, name: str) -> Spec:
        model = self.config.models[name]
        origin = self._origin("models", name, lambda source: model_files(name, Path(source), model.weights))
        return self.script("fetch_model", **origin, layers=model.layers, weights=model.weights)

    def fetch_tokenizer(self, name: str) -> Spec:
        origin = self._origin("tokenizers", name, lambda source: tokenizer_files(Path(source)))
        return self.script("fetch_tokenizer", **origin)

    def resolve_corpus(self, name: str) -> Spec:
        origin = self._origin("corpora", name, corpus_files)
        return self.script("resolve_corpus", **self._documents(self.config.corpora[name]) | origin)

    def _documents(self, corpus: Corpus) -> Spec:
        """Where the documents are; local files and folders have no subsets or splits."""
        local = is_local(corpus.source)
        return {
            "source": corpus.source,
            "subset": None if local else corpus.subset,
            "split": None if local else corpus.split,
            "text_field": corpus.text_field,
        }

    @property
    def counted_tokens(self) -> int:
        """Tokens of a corpus that are counted for frequencies: the most that any study asks for, or a default."""
        return max((study.counted_tokens for study in self.studies.values()), default=0) or FREQUENCY_TOKENS

    def count_tokens(self) -> Spec:
        return self.script("count_tokens", tokens=self.counted_tokens)

    def tokenize(self) -> Spec:
        sampling = self.config.sampling
        return self.script(
            "tokenize", sequence_length=sampling.sequence_length, sequences_per_shard=sampling.sequences_per_shard
        )

    def sites(self, model: str, corpus: str) -> list[str]:
        """Sites that the activation shards of a model and corpus hold."""
        return stored_sites(self.demands, model, corpus)

    def extract(self, model: str, corpus: str) -> Spec:
        settings = self.config.extraction.model_dump(exclude={"device"})
        part = self.config.sampling.stored_per_shard
        return self.script("extract", sites=self.sites(model, corpus), sequences_per_shard=part, **settings)

    def summaries(self) -> list[tuple[str, str, str]]:
        """All summaries, by model, corpus and site."""
        places = {(model, demand.corpus): None for demand in self.demands if demand.corpus for model in demand.models}
        return [
            (model, corpus, site) for model, corpus in places for site in summarized_sites(self.demands, model, corpus)
        ]

    def summarize(self, model: str, site: str) -> Spec:
        """The spec of the summary of a token shard, for which the model runs."""
        compute = self.config.extraction.model_dump(include={"dtype", "batch_size"})
        return self.script("summarize", compute=compute, summary=self._summary(model, site))

    def summarize_stored(self, model: str, site: str) -> Spec:
        """The spec of the summary of a token shard whose activations are stored."""
        layers = self.config.models[model].layers
        return self.script("summarize_stored", layers=layers, summary=self._summary(model, site))

    def _summary(self, model: str, site: str) -> Spec:
        """What a summary of a model keeps."""
        kept: Spec = {"site": site, "token_types": self.config.summaries.token_types}
        if further := [name for name in self.config.summaries.properties if name not in ALWAYS_SUMMED]:
            kept["properties"] = self.properties(self.config.models[model].tokenizer, further)
        return kept

    def list_activations(self) -> Spec:
        """The spec of the table of what ``activations`` keeps, with a row for each model and site of its entries."""
        sampling = self.config.sampling
        shards = {"stored": sampling.stored_shards, "summarized": sampling.shards}
        rows = [
            {
                "model": model,
                "tokenizer": of.tokenizer,
                "corpus": kept.corpus,
                "site": site,
                "kept": how,
                "shards": shards[how],
            }
            for kept in self.config.kept()
            for model, of in kept.models.items()
            for how, sites in (("stored", kept.sites), ("summarized", kept.summarized_sites))
            for site in sites
        ]
        return self.script("list_activations", rows=rows)

    def properties(self, tokenizer: str, names: list[str]) -> PropertySpec:
        """Properties of the types of a tokenizer, with the digest of its table where that has some of them."""
        table = None
        if of_tables(names):
            path = self.config.tokenizers[tokenizer].properties
            assert path is not None  # or the configuration would have been refused
            digest = self._digest(f"tokenizers.{tokenizer}.properties", lambda: [Path(path)])
            table = PropertyTable(tokenizer=tokenizer, path=path, digest=digest)
        return PropertySpec(names=names, table=table)

    def explorer_model(self, script: str, model: str) -> Spec:
        """The spec of a script that writes what the explorer shows of a model."""
        layers, length = self.config.models[model].layers, self.config.sampling.sequence_length
        return self.script(script, layers=layers, matched=self._token_length.matched(model), sequence_length=length)

    def explorer(self) -> Spec:
        """The spec of the explorer's page: its parts, and what it says of corpus and models."""
        study = self._token_length
        models = {
            name: {"tokenizer": model.tokenizer, "weights": model.weights, "matched": study.matched(name)}
            for name, model in study.models.items()
        }
        return self.script(
            "write_explorer",
            corpus=study.corpus,
            sequence_length=self.config.sampling.sequence_length,
            models=models,
            page=self.digests.digest(path for path in EXPLORER_PAGE.iterdir() if path.is_file()),
        )

    @property
    def _token_length(self) -> TokenLength:
        study = self.studies[TokenLength.name]
        assert isinstance(study, TokenLength)
        return study

    def report(self) -> Spec:
        """The settings and titles that the report shows, and the functions that write the parts of the studies."""
        settings = self.config.model_dump(include={"sampling", "extraction", "studies"}, mode="json")
        del settings["extraction"]["device"]
        sections = {name: study.section for name, study in self.studies.items()}
        tokenizers = {name: study.tokenizers for name, study in self.studies.items()}
        figures = {
            name: {figure.name: (figure.label, figure.shows) for figure in study.figures}
            for name, study in self.studies.items()
        }
        series = {name: study.series for name, study in self.studies.items() if study.series}
        models = {name: model for study in self.studies.values() for name, model in study.models.items()}
        of_series: Spec = {"series": series, "revisions": series_of(models)} if series else {}
        captions = [study.caption(figure) for study in self.studies.values() for figure in study.figures]
        return self.script(
            "report",
            *sections.values(),
            settings=settings,
            sections=sections,
            tokenizers=tokenizers,
            figures=figures,
            template=self.digests.digest(TEMPLATES),
            captions=self.digests.digest(captions),
            **of_series,
        )
