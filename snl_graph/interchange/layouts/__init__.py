"""Layouts of the blocks of other implementations, by name."""

from __future__ import annotations

from snl_graph.interchange.layouts.base import Layout, Reading, Settings
from snl_graph.interchange.layouts.double_attention import DoubleAttention
from snl_graph.interchange.layouts.query_key_value import QueryKeyValue
from snl_graph.interchange.layouts.t_p_g_z import Cgnl, SpatialNL, Timm
from snl_graph.interchange.layouts.theta_phi_g import Mmcv, NonLocalPytorch, SlowFast
from snl_graph.interchange.layouts.unlike import Bat

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Mmcv(),
        NonLocalPytorch(),
        SlowFast(),
        Timm(),
        SpatialNL(),
        Cgnl(),
        QueryKeyValue(),
        DoubleAttention(),
        Bat(),
    )
}
"""Every layout that is known; a new one is a class and a line here."""

__all__ = ["LAYOUTS", "Layout", "Reading", "Settings"]
