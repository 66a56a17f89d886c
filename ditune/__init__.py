"""ditune: what makes instruction tuning generalise, as a study that can be re-executed."""

__version__ = "0.1.0"
