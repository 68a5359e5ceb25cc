"""What the result of each job depends on, as one dictionary of plain values a job.

Snakemake compares these between runs (they are every rule's only param) and reruns a job when they differ. So a spec
holds all that can change the job's result and is not a file the job reads from another job, and nothing else: not the
device, not threads, not memory.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from layerscope.config import Config, Corpus
from layerscope.files import DigestCache, digest_of_file, digest_of_record
from layerscope.fingerprint import code_fingerprint
from layerscope.planning import at
from layerscope.sources import is_local, tokenizer_files
from layerscope.tokenize.documents import corpus_files
from layerscope.weights import model_files

PAGE = Path(__file__).parent / "report/page.html"

Spec = dict[str, Any]


class Specs:
    """Specs of the jobs of one configuration.

    Args:
        config: the validated configuration.
        scripts: folder of the workflow's scripts.
        cache: file that remembers digests of local sources.
    """

    def __init__(self, config: Config, scripts: str | Path, cache: str | Path) -> None:
        self.config, self.scripts, self.digests = config, Path(scripts), DigestCache(Path(cache))
        self._taken: dict[str, str] = {}
        self._code: dict[str, str] = {}
        self._records: dict[tuple[str, str], str] = {}

    def read_sources(self) -> None:
        """Take the digests of all sources, so that what cannot be read is found before Snakemake plans job by job."""
        studies = self.config.studies.run().values()
        models = {name for study in studies for name in study.models}
        for name in models:
            self.fetch_model(name)
        for name in {self.config.models[model].tokenizer for model in models}:
            self.fetch_tokenizer(name)
        for name in {study.corpus for study in studies if hasattr(study, "corpus")}:
            self.resolve_corpus(name)
        if self.config.studies.token_similarity:
            self.extract_vectors()

    def script(self, script: str, **values: Any) -> Spec:
        """The spec of a script: ``values`` and the fingerprint of its code.

        Keys are sorted, because Snakemake compares the text of the dictionary. It asks for each job: a fingerprint is
        taken once.
        """
        if script not in self._code:
            self._code[script] = code_fingerprint(self.scripts / f"{script}.py")
        return dict(sorted({**values, "code": self._code[script]}.items()))

    def _study(self, name: str) -> Any:
        """The settings of a study that runs."""
        return getattr(self.config.studies, name)

    def record(self, kind: str, name: str) -> str:
        """Where the record of a source is: each content that the config names has one of its own.

        So a source that was changed and changed back finds its record as it was, and an attempt that fails takes none
        away.

        Args:
            kind: models, tokenizers or corpora.
        """
        if (kind, name) not in self._records:
            content = digest_of_record(self._content(kind, name))[:12]
            self._records[kind, name] = f"results/sources/{kind}/{name}/{content}.json"
        return self._records[kind, name]

    def _content(self, kind: str, name: str) -> Spec:
        """What a record depends on but for code; that of a model is checked against its tokenizer."""
        fetch = {"models": self.fetch_model, "tokenizers": self.fetch_tokenizer, "corpora": self.resolve_corpus}[kind]
        content = {key: value for key, value in fetch(name).items() if key != "code"}
        if kind == "models":
            content["tokenizer"] = self._content("tokenizers", self.config.models[name].tokenizer)
        return content

    def _digest(self, key: str, files: Callable[[], Iterable[Path]]) -> str:
        """Digest of the files of the source at a key of the config, taken once."""
        if key not in self._taken:
            with at(key):
                self._taken[key] = self.digests.digest(files())
        return self._taken[key]

    def _local_digest(self, key: str, source: str, files: Callable[[], Iterable[Path]]) -> str | None:
        """As :meth:`_digest`; None for a hub id, which its commit identifies."""
        return self._digest(key, files) if is_local(source) else None

    def fetch_model(self, name: str) -> Spec:
        model = self.config.models[name]
        return self.script(
            "fetch_model",
            source=model.source,
            revision=None if is_local(model.source) else model.revision,
            layers=model.layers,
            weights=model.weights,
            digest=self._local_digest(
                f"models.{name}.source",
                model.source,
                lambda: model_files(name, Path(model.source), model.weights),
            ),
        )

    def fetch_tokenizer(self, name: str) -> Spec:
        tokenizer = self.config.tokenizers[name]
        return self.script(
            "fetch_tokenizer",
            source=tokenizer.source,
            revision=None if is_local(tokenizer.source) else tokenizer.revision,
            digest=self._local_digest(
                f"tokenizers.{name}.source", tokenizer.source, lambda: tokenizer_files(Path(tokenizer.source))
            ),
        )

    def resolve_corpus(self, name: str) -> Spec:
        corpus = self.config.corpora[name]
        return self.script(
            "resolve_corpus",
            **self._documents(corpus),
            revision=None if is_local(corpus.source) else corpus.revision,
            digest=self._local_digest(f"corpora.{name}.source", corpus.source, lambda: corpus_files(corpus.source)),
        )

    def _documents(self, corpus: Corpus) -> Spec:
        """Where the documents are; a local file or folder has no subsets and no splits."""
        local = is_local(corpus.source)
        return {
            "source": corpus.source,
            "subset": None if local else corpus.subset,
            "split": None if local else corpus.split,
            "text_field": corpus.text_field,
        }

    def fetch_documents(self, name: str, part: str) -> Spec:
        """Of a part: ``shards_N``, documents for the first N shards or, of these, more than half; or ``frequency``."""
        sampling, study = self.config.sampling, self.config.studies.token_length
        size = sampling.sequences_per_shard * sampling.sequence_length
        if part == "frequency":
            needed, wanted = 0, study.frequency_tokens if study else 0
        else:
            shards = int(part.removeprefix("shards_"))
            needed, wanted = (shards // 2 + 1) * size, shards * size
        return self.script(
            "fetch_documents", **self._documents(self.config.corpora[name]), needed=needed, wanted=wanted
        )

    def count_tokens(self, corpus: str) -> Spec:
        return self.script(
            "count_tokens",
            text_field=self.config.corpora[corpus].text_field,
            tokens=self._study("token_length").frequency_tokens,
        )

    def tokenize(self, corpus: str) -> Spec:
        sampling = self.config.sampling
        return self.script(
            "tokenize",
            text_field=self.config.corpora[corpus].text_field,
            sequence_length=sampling.sequence_length,
            sequences_per_shard=sampling.sequences_per_shard,
        )

    def _compute(self) -> Spec:
        """Settings of a forward pass."""
        extraction = self.config.extraction
        return {"dtype": extraction.dtype, "batch_size": extraction.batch_size}

    def sites(self, model: str, corpus: str) -> list[str]:
        """Sites that the studies read from activation shards of a model and corpus."""
        sites: list[str] = []
        length, path = self.config.studies.token_length, self.config.studies.path_length
        if length and model in length.models and corpus == length.corpus:
            sites += ["mlp_pre"]
        if path and path.streams == "stored" and model in path.models and corpus == path.corpus:
            sites += ["resid_pre", "attn_out", "mlp_out", "resid_post"]
        return list(dict.fromkeys(sites))  # each once

    def extract(self, model: str, corpus: str) -> Spec:
        extraction = self.config.extraction
        return self.script(
            "extract",
            sites=self.sites(model, corpus),
            **self._compute(),
            storage_dtype=extraction.storage_dtype,
            compression=extraction.compression,
        )

    def extract_paths(self) -> Spec:
        return self.script("extract_paths", **self._compute())

    def reduce_paths(self, model: str) -> Spec:
        return self.script("reduce_paths", layers=self.config.models[model].layers)

    def extract_vectors(self) -> Spec:
        study = self._study("token_similarity")
        return self.script(
            "extract_vectors",
            **self._compute(),
            sentences=study.sentences,
            digest=self._digest("studies.token_similarity.sentences", lambda: [Path(study.sentences)]),
            target=study.target,
            seed=study.seed,
        )

    def measure_token_length(self) -> Spec:
        return self.script("measure_token_length", histogram_bins=self._study("token_length").histogram_bins)

    def assess_token_length(self) -> Spec:
        study = self._study("token_length")
        return self.script(
            "assess_token_length", draws=study.draws, seed=study.seed, frequency_control=study.frequency_control
        )

    def draws(self, script: str) -> Spec:
        """A script of the study token_length that draws at random."""
        study = self._study("token_length")
        return self.script(script, draws=study.draws, seed=study.seed)

    def of_models(self, script: str) -> Spec:
        """A script that puts the layers of all models of token_length together."""
        return self.script(script, models=self._study("token_length").models)

    def _controls(self, models: list[str]) -> list[str]:
        """Those of ``models`` whose weights are random."""
        return [name for name in models if self.config.models[name].weights == "random"]

    def judge_token_length(self) -> Spec:
        study = self._study("token_length")
        return self.script(
            "judge_token_length",
            models=study.models,
            tokenizers=list(dict.fromkeys(self.config.models[name].tokenizer for name in study.models)),
            pairs=study.pairs,
            controls=self._controls(study.models),
        )

    def judge(self, study: str) -> Spec:
        models = self._study(study).models
        return self.script(f"judge_{study}", models=models, controls=self._controls(models))

    def jackknife_similarity(self, model: str) -> Spec:
        layers, seed = self.config.models[model].layers, self._study("token_similarity").seed
        return self.script("jackknife_similarity", layers=layers, seed=seed)

    def match_neurons(self) -> Spec:
        return self.script("match_neurons", seed=self._study("token_length").seed)

    def of_pairs(self, script: str) -> Spec:
        """A script that puts pairs of models side by side."""
        return self.script(script, pairs=self._study("token_length").pairs)

    def compare(self, study: str) -> Spec:
        return self.script(f"compare_{study}", models=self._study(study).models)

    def draw_activations(self) -> Spec:
        return self.script("draw_activations", layer=self._study("token_length").histogram_layer)

    def draw_path_means(self, script: str) -> Spec:
        dropped = self._study("path_length").drop_first_token
        return self.script(script, token_filter="without_first" if dropped else "all")

    def draw_matrix(self) -> Spec:
        return self.script("draw_matrix", layer=self._study("token_similarity").matrix_layer)

    def report(self) -> Spec:
        """The settings that the report tells of."""
        settings = self.config.model_dump(include={"sampling", "extraction", "studies"}, mode="json")
        del settings["extraction"]["device"]
        captions = self.digests.digest(self.scripts.parent.glob("report/*.rst"))
        return self.script("report", settings=settings, template=digest_of_file(PAGE), captions=captions)
