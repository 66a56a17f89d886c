"""What a cell of a notebook displays."""


def show(*texts: str) -> None:
    """Display Markdown; for a cell whose metadata say {"mystnb": {"markdown_format": "myst"}}."""
    from IPython.display import Markdown, display

    display(Markdown("\n\n".join(text for text in texts if text)))


def glue(name: str, text: str) -> None:
    """Keep a text under a name, so that pages can say {glue:text}`name`. It is what `myst_nb.glue` displays; importing
    that would load Sphinx, which takes seconds."""
    from IPython.display import display

    prefix = "application/papermill.record/"
    bundle = {f"{prefix}text/plain": repr(str(text))}
    display(bundle, raw=True, metadata={"scrapbook": {"name": name, "mime_prefix": prefix}})
