"""Simulated text, and neurons that read it."""

import numpy as np
import pandas as pd
import scipy.special

from layerscope.studies.token_length.confounds import Confounds
from layerscope.studies.token_length.length_groups import TokenLengths
from layerscope.studies.token_length.resample_layer import LayerResamples

TYPES, DOCUMENTS, TOKENS, RESAMPLES = 300, 50, 3000, 200


class Sample:
    """Tokens of types whose length falls with frequency along a curve, as in text, in documents of different sizes.

    Args:
        topics: by how much documents prefer long, or short, tokens.
    """

    def __init__(self, seed: int, topics: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        frequency = self.rng.normal(size=TYPES)
        length = 6 - 1.5 * frequency - frequency**2 + 1.5 * self.rng.normal(size=TYPES)
        length = np.round(np.clip(length, 1, 12))
        sizes = self.rng.multinomial(TOKENS - 10 * DOCUMENTS, self.rng.dirichlet(np.full(DOCUMENTS, 4))) + 10
        self.documents = np.repeat(np.arange(DOCUMENTS), sizes)
        tilts = topics * self.rng.normal(size=(DOCUMENTS, 1)) * (length - length.mean()) / length.std()
        shares = scipy.special.softmax(frequency + tilts, axis=1)
        self.types = np.concatenate([self.rng.choice(TYPES, n, p=p) for n, p in zip(sizes, shares, strict=True)])
        self.lengths = length[self.types]
        self.covariates = pd.DataFrame(
            {
                "log_frequency": frequency[self.types],
                "leading_space": (self.types % 3 == 0).astype(float),
                "position": np.arange(TOKENS) % 100.0,
            }
        )

    @property
    def token_lengths(self) -> TokenLengths:
        return TokenLengths(np.ones(TOKENS, dtype=bool), self.lengths, float(np.median(self.lengths)))

    def resamples(self, frequency_covariate: str = "spline", seed: int = 0) -> LayerResamples:
        confounds = Confounds(self.covariates, frequency_covariate)
        return LayerResamples(self.token_lengths, self.types, self.documents, confounds, RESAMPLES, seed)

    def noise(self, neurons: int, of_document: float = 0.3, heavy: bool = False) -> np.ndarray:
        """Activations [neurons, tokens] in which tokens of a type, and tokens of a document, are correlated."""

        def drawn(*shape: int) -> np.ndarray:
            return self.rng.standard_t(3, shape) / 3**0.5 if heavy else self.rng.normal(size=shape)

        of_type = drawn(neurons, TYPES)[:, self.types]
        return 0.6 * of_type + of_document * drawn(neurons, DOCUMENTS)[:, self.documents] + drawn(neurons, TOKENS)
