"""Study: MLP pre-activations of every layer against the length of the token in characters."""

SITE = "mlp_pre"
