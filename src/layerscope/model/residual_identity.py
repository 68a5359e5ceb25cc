"""The residual identity: what a block adds to the stream is what its attention and its MLP put out."""

import torch

from layerscope.model.hooks import Receiver, SiteError

RESIDUAL_SITES = ("resid_pre", "attn_out", "mlp_out", "resid_post")


class ResidualIdentity:
    """A receiver that checks resid_post = resid_pre + attn_out + mlp_out and passes on only ``sites``.

    A site taken at the wrong place, or an architecture that scales or norms what it adds, breaks the identity.
    """

    def __init__(self, sites: list[str], receive: Receiver) -> None:
        self.sites, self.receive = sites, receive
        self.streams: dict[str, torch.Tensor] = {}

    def __call__(self, site: str, layer: int, tensor: torch.Tensor) -> None:
        if site in self.sites:
            self.receive(site, layer, tensor)
        if site in RESIDUAL_SITES:
            self.streams[site] = tensor
        if site == "resid_post":
            self._check(layer, **self.streams)
            self.streams.clear()

    @staticmethod
    def _check(
        layer: int,
        resid_pre: torch.Tensor,
        attn_out: torch.Tensor,
        mlp_out: torch.Tensor,
        resid_post: torch.Tensor,
    ) -> None:
        """Raise :class:`SiteError` unless the identity holds within a few roundings of the largest value.

        The largest of all four: a late MLP may cancel a massive activation, and its rounding outlives it.
        """
        excess = (resid_post.float() - resid_pre.float() - attn_out.float() - mlp_out.float()).abs().max().item()
        largest = max(stream.float().abs().max().item() for stream in (resid_pre, attn_out, mlp_out, resid_post))
        allowed = 16 * torch.finfo(resid_post.dtype).eps * largest
        if excess > allowed:
            raise SiteError(
                f"layer {layer}: resid_post differs from resid_pre + attn_out + mlp_out by up to {excess:.3g} "
                f"({allowed:.3g} is rounding)"
            )
