"""Pictures of spectra, filters and attention; matplotlib is imported where it is used."""

from snl_graph.plotting.attention import plot_attention_maps
from snl_graph.plotting.eigenvalues import plot_eigenvalues
from snl_graph.plotting.response import plot_filter_response

__all__ = ["plot_attention_maps", "plot_eigenvalues", "plot_filter_response"]
