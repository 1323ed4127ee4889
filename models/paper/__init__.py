"""Every row of Tables 2 to 9 of the paper as a recipe, from one place."""

from models.paper.files import PAPER_RECIPES, text_of, write
from models.paper.rows import ROWS, Row

__all__ = ["PAPER_RECIPES", "ROWS", "Row", "text_of", "write"]
