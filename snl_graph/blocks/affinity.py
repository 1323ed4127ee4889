"""The affinity of a feature map: projections, kernel, mask, normalisation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from snl_graph.affinity import assemble, check_pieces
from snl_graph.blocks.arrangements import Arrangement, Positions, PositionsTimesChannels
from snl_graph.blocks.linear import NodeLinear, projected
from snl_graph.blocks.pooling import Subsampling
from snl_graph.grids import Size
from snl_graph.kernels import Kernel, NodeSet
from snl_graph.masks import Mask
from snl_graph.normalizations import Normalization
from snl_graph.operators import AffinityOperator
from snl_graph.representations import Pairs, check_representation


@dataclass(frozen=True)
class AffinityPieces:
    """The pieces of A = normalise(kernel(Φ, Ψ) ⊙ mask) and how to hold it.

    Args:
        kernel: The kernel, of the width of one head.
        mask: Which pairs are joined.
        normalization: How M becomes A.
        arrangement: What a node is.
        subsampling: How keys and values are pooled.
        representation: "auto" or a name.
    """

    kernel: Kernel
    mask: Mask
    normalization: Normalization
    arrangement: Arrangement
    subsampling: Subsampling
    representation: str

    def __post_init__(self) -> None:
        check_pieces(self.kernel, self.normalization)
        check_representation(self.representation, self.kernel, self.mask)
        if isinstance(self.arrangement, PositionsTimesChannels) and not self.mask.is_full:
            raise ValueError(
                f"mask {self.mask} joins positions, but the nodes of this block are (position, "
                'channel) pairs. Use mask="full".'
            )
        if self.subsampling.is_identity:
            return
        if self.normalization.needs_square:
            raise ValueError(
                "subsampled keys make the affinity rectangular, which has no symmetric form; got "
                f'normalization {self.normalization}. Use normalization="rw" or "none".'
            )
        if not self.mask.is_full:
            raise ValueError(
                f"subsampled keys have no place in mask {self.mask}; subsample needs the full mask."
            )


class FeatureAffinity(nn.Module):
    """Φ = X W_φ, Ψ = X W_ψ, and the operator A of them.

    Source: Zhu et al., Eq. 13 and Fig. 2 A.

    Args:
        channels: C of X.
        hidden_channels: C_s of Φ and Ψ.
        pieces: Kernel, mask, normalisation and the rest.
        bias: Whether Φ and Ψ have one.
    """

    def __init__(
        self, channels: int, hidden_channels: int, pieces: AffinityPieces, bias: bool = False
    ) -> None:
        super().__init__()
        is_embedded = pieces.kernel.is_embedded
        self.phi = NodeLinear(channels, hidden_channels, bias) if is_embedded else None
        self.psi = NodeLinear(channels, hidden_channels, bias) if is_embedded else None
        self.kernel = pieces.kernel
        self.pieces = pieces

    def __prepare_scriptable__(self) -> None:
        """Refuse ``torch.jit.script``, which asks every module of a network."""
        raise TypeError(
            "a nonlocal block is no TorchScript. Use torch.export.export(model, ...), "
            "torch.onnx.export(..., dynamo=True), or torch.jit.trace of model.eval()."
        )

    def embed(
        self, nodes: Tensor, *others: nn.Module, size: Size, valid: Tensor | None = None
    ) -> list[Tensor]:
        """Φ and Ψ of X, and what other maps make of it, with one backward pass for all of them.

        Args:
            nodes: X, shape (B, N, C).
            others: Maps of X beside those of the kernel.
            size: Spatial size of the N positions.
            valid: Shape (B, N), bool: real positions.
        """
        if self.pieces.subsampling.pools_input:
            pooled = self.pieces.subsampling.pool(nodes, size, valid)
            phi = nodes if self.phi is None else self.phi(nodes)
            psi = pooled if self.psi is None else self.psi(pooled)
            return [phi, psi, *projected(nodes, others)]
        if self.phi is None or self.psi is None:
            return [nodes, nodes, *projected(nodes, others)]
        return list(projected(nodes, (self.phi, self.psi, *others)))

    def forward(
        self,
        phi: Tensor,
        psi: Tensor,
        size: Size,
        valid: Tensor | None = None,
        *,
        mask: Mask | None = None,
        node_set: NodeSet | None = None,
        applications: int = 1,
    ) -> AffinityOperator:
        """A of the features.

        Args:
            phi: Φ, shape (B, N, C_s).
            psi: Ψ, shape (B, N, C_s), or of the pooled positions where X is pooled.
            size: Spatial size of the N positions.
            valid: Shape (B, N), bool: real positions.
            mask: Joined pairs of a graph, in place of the mask of the pieces.
            node_set: Which nodes belong together, where ``valid`` does not say.
            applications: How often A will be applied.
        """
        pieces, arrangement = self.pieces, self.pieces.arrangement
        if mask is not None:
            _check_graph(pieces, mask)
        width = phi.shape[-1]
        source_valid = None if valid is None else pieces.subsampling.pool_valid(valid, size)
        if not pieces.subsampling.pools_input:  # then embed has pooled X
            psi = pieces.subsampling.pool(psi, size, valid)
        if valid is not None and source_valid is not None:
            valid = arrangement.arrange_valid(valid, width)
            source_valid = arrangement.arrange_valid(source_valid, width)
        arranged = arrangement.arrange(phi)
        pairs = Pairs(
            self.kernel,
            pieces.mask if mask is None else mask,
            arranged,
            arrangement.arrange(psi),
            size if isinstance(arrangement, Positions) else (arranged.shape[-2],),
            valid,
            source_valid,
            node_set,
        )
        return assemble(pairs, pieces.normalization, pieces.representation, applications)

    def extra_repr(self) -> str:
        pieces = self.pieces
        return f"mask={pieces.mask}, normalization={pieces.normalization}"


def _check_graph(pieces: AffinityPieces, mask: Mask) -> None:
    """Raise a ``ValueError`` if the edges of a graph cannot be the mask."""
    if not isinstance(pieces.arrangement, Positions):
        raise ValueError(
            "the nodes of this block are (position, channel) pairs, which the edges of a graph do "
            "not join. Remove edge_index to join all of them."
        )
    if not pieces.subsampling.is_identity:
        raise ValueError("subsample pools a grid, and a graph with edges has none.")
    check_representation(pieces.representation, pieces.kernel, mask)
