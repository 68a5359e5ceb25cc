"""How the activations inside a causal language model change with depth.

The packages follow the workflow: ``fetch`` → ``tokenize`` → ``extract`` → one package a study
(``token_length``) that measures, compares and draws → ``report``.
"""

__version__ = "0.1.0"
