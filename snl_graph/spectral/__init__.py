"""What a graph sounds like: eigenvalues of L = I − A, and responses of filters on them."""

from snl_graph.spectral.check import LaplacianError, LaplacianReport, check_laplacian
from snl_graph.spectral.density import Density, spectral_density
from snl_graph.spectral.fourier import (
    FourierBasis,
    energy,
    fourier_basis,
    gft,
    igft,
    total_variation,
)
from snl_graph.spectral.lambda_max import lambda_max
from snl_graph.spectral.response import filter_response
from snl_graph.spectral.sources import as_operators
from snl_graph.spectral.spectrum import Spectrum, spectrum

__all__ = [
    "Density",
    "FourierBasis",
    "LaplacianError",
    "LaplacianReport",
    "Spectrum",
    "as_operators",
    "check_laplacian",
    "energy",
    "filter_response",
    "fourier_basis",
    "gft",
    "igft",
    "lambda_max",
    "spectral_density",
    "spectrum",
    "total_variation",
]
