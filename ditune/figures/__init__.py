"""Figures and tables of single chapters, from tidy tables of records, in the style of `ditune.plotting`."""
