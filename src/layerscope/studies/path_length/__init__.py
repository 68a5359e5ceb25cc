"""Study: how far attention, MLP and the residual stream move per layer and token."""
