"""All wrong calls, in the order of the page about them."""

from tests.misuse.case import Area
from tests.misuse.commands import COMMANDS
from tests.misuse.feature_maps import BLOCKS, INSERTION, OPTIONS
from tests.misuse.files import FILES
from tests.misuse.graphs import EDGES, FEATURES, LAYER, NETWORK
from tests.misuse.mathematics import FILTERS, OPERATORS, SPECTRA
from tests.misuse.seeing import SEEING

AREAS: tuple[Area, ...] = (
    EDGES,
    FEATURES,
    LAYER,
    NETWORK,
    BLOCKS,
    OPTIONS,
    INSERTION,
    FILES,
    OPERATORS,
    FILTERS,
    SPECTRA,
    SEEING,
    COMMANDS,
)
