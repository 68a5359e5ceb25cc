"""A study's part of the report."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pandas as pd

from layerscope.io.hdf5 import read_root_attributes
from layerscope.read.tables import table_of
from layerscope.report.figures import Figure, load_figure
from layerscope.report.tables import Download, Table, download, with_minus
from layerscope.studies.series import Series


@dataclass(frozen=True)
class Summary:
    """The numbers of all models, one column per model."""

    models: list[str]
    rows: list[list[str]]  # what the numbers are, then one number per model

    @classmethod
    def of(cls, numbers: dict[str, dict[str, str]]) -> Self:
        """Of model → what a number is → the number, with true minus signs."""
        of_models = list(numbers.values())
        return cls(list(numbers), [[what, *(with_minus(of[what]) for of in of_models)] for what in of_models[0]])


@dataclass(frozen=True)
class Run:
    """How the values of one model came about."""

    model: str
    weights: str
    source: str
    commit: str
    text: str
    tokenizer: str
    dtype: str
    device: str
    attention: str
    batches: str
    torch: str
    transformers: str


@dataclass(frozen=True)
class Section:
    """One study's part of the report."""

    name: str  # of the study, and of its anchor
    title: str
    question: str
    headline: str  # the main finding, one sentence with numbers
    findings: list[str]
    figures: list[Figure]
    downloads: list[Download]
    runs: list[Run]
    facts: dict[str, dict[str, str]]  # model → what was measured of it, by name: layers, tokens, …
    layers: Table  # numbers of each layer
    sample: list[str] = field(default_factory=list)  # facts of the tokenizer and the text
    summary: Summary | None = None  # shown above the findings


@dataclass(frozen=True)
class Files:
    """The files of a study that the report reads."""

    root: Path  # folder of the results
    figures: list[str]  # PNG files, in order
    runs: list[str]  # an HDF5 file of each model, whose attributes say how its values came about
    tables: dict[str, str | list[str]]  # as of Study.tables: path, or paths of those of which there are several
    tokenizers: list[str]
    shown: dict[str, tuple[str, str]]  # figure → what it shows, and of what
    series: list[Series] = field(default_factory=list)  # revisions of one model

    def table(self, name: str) -> pd.DataFrame:
        """A table that exists once.

        Raises:
            UserError: it is not what was written.
        """
        (path,) = self._paths(name)
        return table_of(path)

    def of_tokenizers(self, name: str) -> dict[str, pd.DataFrame]:
        """Tokenizer → table, of those that exist once per tokenizer.

        Raises:
            UserError: one is not what was written.
        """
        return dict(zip(self.tokenizers, map(table_of, self._paths(name)), strict=True))

    def downloads(self, tables: dict[str, str]) -> list[Download]:
        """Tables to save from the report.

        Args:
            tables: name → what is in it; those that the study does not have are left out.

        Raises:
            UserError: one is not what was written.
        """
        return [
            download(path, str(Path(path).relative_to(self.root)), what)
            for name, what in tables.items()
            if name in self.tables
            for path in self._paths(name)
        ]

    def named_first(self, models: list[str]) -> list[str]:
        """Those of ``models`` that a headline names: of revisions of one model, the first and the last."""
        within = {model for one in self.series for model in one["models"][1:-1]}
        return [model for model in models if model not in within]

    def _paths(self, name: str) -> list[str]:
        paths = self.tables[name]
        return [paths] if isinstance(paths, str) else list(paths)

    def load_figures(self, captions: Path) -> list[Figure]:
        """The figures of the study, with the captions of a folder."""
        figures = []
        for path in self.figures:
            title, of = self.shown[Path(path).stem]
            figures.append(load_figure(path, captions, self.root, title, of_sample=of == "sample", series=self.series))
        return figures


def run_rows(paths: list[str], places: dict[str, str]) -> list[Run]:
    """What was run, from the attributes of HDF5 files, without duplicates.

    Args:
        places: format of a file → its place within the results.

    Raises:
        UserError: a file is damaged, or belongs in another place.
    """
    runs = []
    for path in paths:
        of = {key: str(value) for key, value in read_root_attributes(path, places).items()}
        if "corpus" in of:
            text = f"{of['corpus']} ({of['corpus_source']}, {of['corpus_commit']})"
        else:
            text = f"{of['sentences']}, target '{of['target']}'"
        run = Run(
            model=of["model"],
            weights=of["weights"],
            source=of["model_source"],
            commit=of["model_commit"],
            text=text,
            tokenizer=of["tokenizer"],
            dtype=of["dtype"],
            device=of["device"],
            attention=of["attention_implementation"],
            batches=f"{of['batch_size']} × {of['sequence_length']}",
            torch=of["torch_version"],
            transformers=of["transformers_version"],
        )
        runs.append(run)
    return list(dict.fromkeys(runs))
