"""What a graph sounds like: eigenvalues of L = I − A, and responses of filters on them."""

from snl_graph.spectral.check import LaplacianError, LaplacianReport, check_laplacian
from snl_graph.spectral.response import filter_response
from snl_graph.spectral.spectrum import Spectrum, spectrum

__all__ = [
    "LaplacianError",
    "LaplacianReport",
    "Spectrum",
    "check_laplacian",
    "filter_response",
    "spectrum",
]
