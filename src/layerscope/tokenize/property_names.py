"""Names of the properties of token types that neurons are correlated with."""

import re

LENGTH = "characters"  # the property that the study of token length always measures
OF_EVERY_TOKENIZER = (LENGTH, "bytes", "log_frequency")
ALWAYS_SUMMED = (LENGTH, "log_frequency")  # covariates of every summary
KEYS = ("id", "token")  # columns that say which token type a row of a table of properties is of
# Names of other covariates of summaries.
RESERVED = re.compile(r"one|position|leading_space|characters_(below|above)|frequency_spline_\d+")


def of_tables(names: list[str]) -> list[str]:
    """Those of ``names`` that are columns of the user's tables."""
    return [name for name in names if name not in OF_EVERY_TOKENIZER]
