"""Pictures of spectra, filters, signals and attention; matplotlib is imported where it is used."""

from snl_graph.plotting.attention import (
    plot_attention_maps,
    plot_attention_views,
    plot_block_attention,
)
from snl_graph.plotting.density import plot_eigenvalue_histogram, plot_spectral_density
from snl_graph.plotting.eigenvalues import plot_eigenvalues
from snl_graph.plotting.feature_maps import plot_before_and_after, plot_feature_map
from snl_graph.plotting.filters import plot_approximation_error, plot_taps
from snl_graph.plotting.response import plot_filter_response
from snl_graph.plotting.signals import plot_graph_signal, plot_grid_signal

__all__ = [
    "plot_approximation_error",
    "plot_attention_maps",
    "plot_attention_views",
    "plot_before_and_after",
    "plot_block_attention",
    "plot_eigenvalue_histogram",
    "plot_eigenvalues",
    "plot_feature_map",
    "plot_filter_response",
    "plot_graph_signal",
    "plot_grid_signal",
    "plot_spectral_density",
    "plot_taps",
]
