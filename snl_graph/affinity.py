"""The front door: node features in, operator out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snl_graph import checks
from snl_graph.choice import choose
from snl_graph.grids import num_positions
from snl_graph.kernels import Kernel, NodeSet, ShardedNodeSet, as_kernel
from snl_graph.masks import Mask, as_mask
from snl_graph.normalizations import Normalization, Unnormalized, as_normalization
from snl_graph.operators import AffinityOperator, ShardedOperator, densified
from snl_graph.representations import (
    REPRESENTATIONS,
    Pairs,
    check_representation,
    check_sharded,
    require_room_for_dense,
)
from snl_graph.sharding import is_distributed, node_shards, part_here


def affinity(
    phi: Tensor,
    psi: Tensor | None = None,
    *,
    kernel: Kernel | str = "dot",
    mask: Mask | Tensor | str = "full",
    normalization: Normalization | str = "sym",
    representation: str = "auto",
    size: tuple[int, ...] | None = None,
    valid: Tensor | None = None,
    source_valid: Tensor | None = None,
    node_set: NodeSet | None = None,
    applications: int = 1,
) -> AffinityOperator:
    """The operator A = normalise(kernel(Φ, Ψ) ⊙ mask), in the cheapest representation.

    Source: Zhu et al., Eq. 3, 10, 12, 13: one formula with other pieces.

    Args:
        phi: Φ of the targets, shape (*batch, N, r). A DTensor with ``Shard`` on its nodes stays
            where it is: the operator then takes and gives such DTensors (see ``docs/scaling.md``).
        psi: Ψ of the sources, shape (*batch, N', r); None means Φ.
        kernel: A name of ``snl_graph.kernels.KERNELS`` or a kernel.
        mask: "full", "criss_cross", "window:R", an edge list (2, E), a boolean matrix (N, N), or a
            mask.
        normalization: "sym", "rw" or "none", or an object.
        representation: "auto" or a name of ``snl_graph.representations``: "dense", "edges",
            "factored", "grid", "streaming". All are exact.
        size: Spatial size of the positions, e.g. (H, W), for masks of a grid.
        valid: Shape (*batch, N), bool: real nodes of padded items. Others get and give no weight.
        source_valid: The same for the sources, shape (*batch, N'); None means ``valid``.
        node_set: Which nodes belong together, for kernels that look at all nodes at once; None
            means those that ``source_valid`` marks.
        applications: How often A will be applied; a hint for "auto".

    Returns:
        Operator of shape (*batch, N, N').

    Raises:
        ValueError: If shapes, names or pieces do not go together.
        TypeError: If Φ or Ψ is not floating point, or they differ in dtype.

    Cost: see :func:`snl_graph.choice.choose`.

    Example:
        >>> import torch
        >>> a = affinity(torch.rand(2, 400, 8))
        >>> a.shape, a.representation
        (torch.Size([2, 400, 400]), 'factored')
        >>> a.apply(torch.rand(2, 400, 3)).shape
        torch.Size([2, 400, 3])
    """
    psi = phi if psi is None else psi
    _check_features(phi, psi)
    kernel = as_kernel_without_weights(kernel)
    mask, normalization = as_mask(mask), as_normalization(normalization)
    check_pieces(kernel, normalization)
    check_representation(representation, kernel, mask)
    targets, sources = phi.shape[-2], psi.shape[-2]
    size = _grid_size(mask, size, targets, sources)
    if source_valid is None and targets == sources:
        source_valid = valid
    for marks, name, factor in ((valid, "valid", phi), (source_valid, "source_valid", psi)):
        if marks is not None:
            checks.require_marks(marks, name, factor.shape[:-1], factor.device)
    pairs = Pairs(kernel, mask, phi, psi, size, valid, source_valid, node_set)
    if any(is_distributed(x) for x in (phi, psi, valid, source_valid)):
        return normalization(_sharded(pairs, representation)).to(phi.dtype)
    return assemble(pairs, normalization, representation, applications)


def _sharded(pairs: Pairs, representation: str) -> ShardedOperator:
    """M of features that are DTensors."""
    if pairs.node_set is not None:
        raise ValueError(
            "nodes spread over processes are all of one set; node_set came as well. Leave it out."
        )
    shards = node_shards(
        {
            "phi": (pairs.phi, [-2]),
            "psi": (pairs.psi, [-2]),
            "valid": (pairs.valid, [-1]),
            "source_valid": (pairs.source_valid, [-1]),
        }
    )
    here = Pairs(
        pairs.kernel,
        pairs.mask,
        part_here(pairs.phi),
        part_here(pairs.psi),
        pairs.size,
        None if pairs.valid is None else part_here(pairs.valid),
        None if pairs.source_valid is None else part_here(pairs.source_valid),
        ShardedNodeSet(shards=shards),
    )
    shape = torch.Size((*pairs.phi.shape[:-1], pairs.psi.shape[-2]))
    return ShardedOperator(assemble(here, Unnormalized(), representation), shards, shape)


def assemble(
    pairs: Pairs, normalization: Normalization, representation: str, applications: int = 1
) -> AffinityOperator:
    """A of pieces that are known to go together: :func:`affinity` after its checks.

    Args:
        pairs: All that defines M.
        normalization: How M becomes A.
        representation: "auto" or a name.
        applications: How often A will be applied; a hint for "auto".
    """
    if isinstance(pairs.node_set, ShardedNodeSet):
        check_sharded(representation, pairs.kernel, pairs.mask)
        representation = "factored"
    elif representation == "auto":
        representation = choose(
            pairs.kernel,
            pairs.mask,
            pairs.size,
            (pairs.phi.shape[-2], pairs.psi.shape[-2]),
            pairs.phi.shape[-1],
            is_symmetric=normalization.needs_square,
            applications=applications,
        )
    if representation == "dense":
        require_room_for_dense(pairs, needs_square=normalization.needs_square)
    a = normalization(REPRESENTATIONS[representation].build(pairs))
    return (densified(a) if representation == "dense" else a).to(pairs.phi.dtype)


def as_kernel_without_weights(kernel: Kernel | str) -> Kernel:
    """Kernel object of a name that has no weights to learn.

    Raises:
        ValueError: If the kernel has weights, which a name alone would draw anew at every call.
    """
    made = as_kernel(kernel, 1)
    if isinstance(kernel, str) and any(True for _ in made.parameters()):
        raise ValueError(
            f'kernel "{kernel}" has weights of its own. Make it once and pass the object: '
            f"{type(made).__name__}(channels=r)."
        )
    return made


def check_pieces(kernel: Kernel, normalization: Normalization) -> None:
    """Raise a ``ValueError`` if ``normalization`` needs M ≥ 0 and ``kernel`` does not give it."""
    if normalization.needs_nonnegative and not kernel.is_nonnegative:
        raise ValueError(
            f"symmetric normalisation needs a non-negative affinity; kernel {kernel} can be "
            'negative. Use kernel="dot" or normalization="none".'
        )


def _check_features(phi: Tensor, psi: Tensor) -> None:
    for name, factor in (("phi", phi), ("psi", psi)):
        if not isinstance(factor, Tensor):
            raise TypeError(
                f"{name} is a tensor (*batch, N, r); got {type(factor).__name__}. Of an array: "
                f"torch.as_tensor({name})."
            )
        if factor.dim() < 2:
            raise ValueError(
                f"{name} has shape (*batch, N, r); got {tuple(factor.shape)}. "
                "Features of one channel are x.unsqueeze(-1)."
            )
        if not factor.is_floating_point():
            raise TypeError(
                f"{name} must be floating point, got {factor.dtype}. Use {name}.float()."
            )
    if phi.dtype != psi.dtype or phi.device != psi.device:
        raise TypeError(
            f"phi and psi must share dtype and device; got {phi.dtype} on {phi.device} and "
            f"{psi.dtype} on {psi.device}. Use psi.to(phi)."
        )
    if phi.shape[-1] != psi.shape[-1] or phi.shape[:-2] != psi.shape[:-2]:
        raise ValueError(
            "phi (*batch, N, r) and psi (*batch, N', r) must share batch and r; got "
            f"{tuple(phi.shape)} and {tuple(psi.shape)}."
        )
    if checks.are_requested():
        checks.require_finite(phi, "phi")
        checks.require_finite(psi, "psi")


def _grid_size(
    mask: Mask, size: tuple[int, ...] | None, targets: int, sources: int
) -> tuple[int, ...]:
    if not mask.is_full and targets != sources:
        raise ValueError(
            f"mask {mask} joins the nodes of one set, but there are {targets} targets and "
            f'{sources} sources. Use mask="full".'
        )
    if size is None:
        if mask.needs_grid:
            raise ValueError(
                f"mask {mask} needs the spatial size of the {targets} positions: size=(H, W)."
            )
        return (targets,)
    is_sequence = isinstance(size, Sequence)
    if not is_sequence or any(type(length) is float or length < 1 for length in size):
        raise ValueError(f"size holds whole lengths ≥ 1, e.g. (H, W); got {size!r}.")
    if num_positions(size) != targets:
        raise ValueError(
            f"size {tuple(size)} has {num_positions(size)} positions, but phi has {targets} nodes."
        )
    return tuple(size)
