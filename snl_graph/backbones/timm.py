"""timm's ResNets with a nonlocal block, registered under names that ``timm.create_model`` knows.

.. code-block:: python

    import timm
    import snl_graph.backbones.timm

    net = timm.create_model("snl_resnet50", num_classes=10)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from snl_graph.backbones.table import POSITIONS
from snl_graph.blocks import NonlocalBlock
from snl_graph.insert import insert_block, inserted_blocks

try:
    from timm.models import (
        build_model_with_cfg,
        generate_default_cfgs,
        get_pretrained_cfg,
        register_model,
        register_notrace_module,
    )
    from timm.models.resnet import BasicBlock, Bottleneck, ResNet
except ImportError as error:
    raise ImportError(
        'snl_graph.backbones.timm needs timm: pip install "snl-graph[backbones]".'
    ) from error

_STAGES: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
    "resnet152": (Bottleneck, (3, 8, 36, 3)),
}

# The weights are those of the networks without a block.
default_cfgs = generate_default_cfgs(
    {f"snl_{name}.{cfg.tag}": cfg for name in POSITIONS if (cfg := get_pretrained_cfg(name))}
)
register_notrace_module(NonlocalBlock)


def _snl_resnet(
    name: str,
    pretrained: bool,
    *,
    snl_block: str | nn.Module = "snl",
    snl_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> nn.Module:
    """A ResNet of timm with a block before the last block of res4 (Zhu et al., Table 6).

    Args:
        name: A key of ``POSITIONS``.
        pretrained: Whether to load timm's weights of the network without a block (timm downloads
            those it lacks); the block then starts as the identity.
        snl_block: A row of Table 1, or a module.
        snl_options: Of :func:`~snl_graph.nonlocal_block`.
        **kwargs: Of timm's ResNet and of ``timm.create_model``, ``features_only`` among them.
    """
    options = {"zero_init": pretrained, **(snl_options or {})}

    def with_block(**arguments: Any) -> nn.Module:
        return insert_block(ResNet(**arguments), POSITIONS[name], snl_block, **options)

    block, layers = _STAGES[name]
    arguments = {"block": block, "layers": layers, **kwargs}
    return build_model_with_cfg(
        with_block, f"snl_{name}", pretrained, pretrained_filter_fn=_with_own_block, **arguments
    )


def _with_own_block(weights: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Weights that lack the block, with those that it was made with."""
    ours = net.state_dict()
    own = {name: ours[name] for name in ours if any(_is_below(name, at) for at in _blocks(net))}
    return {**own, **weights}


def _blocks(net: nn.Module) -> list[str]:
    blocks = list(inserted_blocks(net).values())
    return [name for name, module in net.named_modules() if any(module is b for b in blocks)]


def _is_below(name: str, module: str) -> bool:
    return name.startswith(f"{module}.")


@register_model
def snl_resnet18(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet-18 with a nonlocal block before the last block of res4."""
    return _snl_resnet("resnet18", pretrained, **kwargs)


@register_model
def snl_resnet34(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet-34 with a nonlocal block before the last block of res4."""
    return _snl_resnet("resnet34", pretrained, **kwargs)


@register_model
def snl_resnet50(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet-50 with a nonlocal block before the last block of res4."""
    return _snl_resnet("resnet50", pretrained, **kwargs)


@register_model
def snl_resnet101(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet-101 with a nonlocal block before the last block of res4."""
    return _snl_resnet("resnet101", pretrained, **kwargs)


@register_model
def snl_resnet152(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet-152 with a nonlocal block before the last block of res4."""
    return _snl_resnet("resnet152", pretrained, **kwargs)
