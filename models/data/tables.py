"""Tables of whole numbers that data sets keep in MATLAB files, read by SciPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.io

from models.data.problems import Problem, Tell, missing

Table = npt.NDArray[np.int64]


def read_table(path: Path, key: str, title: str, tell: Tell) -> Table:
    """A table; an empty one, and told, if it is absent or corrupt.

    Args:
        path: The ``.mat`` file.
        key: Name of the table in it.
        title: Of the data set.
        tell: Told of what is wrong.
    """
    if not path.is_file():
        tell(missing(path, title))
        return np.zeros((0, 0), np.int64)
    try:
        content = scipy.io.loadmat(path)
        table = np.asarray(content[key])
        whole = table.astype(np.int64)
        if not np.array_equal(whole, table):
            raise ValueError("it holds fractions")
    except KeyError:
        keys = ", ".join(name for name in content if not name.startswith("__"))
        what = f"holds no table {key}; it holds {keys or 'nothing'}."
        tell(Problem("corrupt", path, what, "Fetch it again."))
    # SciPy raises whatever its parser trips over in a broken file.
    except Exception as error:
        what = f"is corrupt, or no table of whole numbers in MATLAB's format 5: {error}."
        tell(Problem("corrupt", path, what, "Fetch it again."))
    else:
        return whole
    return np.zeros((0, 0), np.int64)
