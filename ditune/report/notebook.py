"""What a cell of a notebook displays."""


def show(*texts: str) -> None:
    """Display Markdown; for a cell whose metadata say {"mystnb": {"markdown_format": "myst"}}."""
    from IPython.display import Markdown, display

    display(Markdown("\n\n".join(text for text in texts if text)))
