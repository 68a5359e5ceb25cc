"""All studies by name."""

from layerscope.studies.path_length.study import PathLength
from layerscope.studies.study import Study
from layerscope.studies.token_length.study import TokenLength
from layerscope.studies.token_similarity.study import TokenSimilarity

_ALL: tuple[type[Study], ...] = (
    TokenLength,
    TokenSimilarity,
    PathLength,
)
STUDIES = {study.name: study for study in _ALL}
