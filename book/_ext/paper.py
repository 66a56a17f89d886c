"""What makes the pages a paper: metadata for search engines and reference managers, and two repairs of the theme."""

import json
import os

TITLE = "What makes instruction tuning generalise? A study that can be re-executed"
AUTHOR = "the ditune contributors"
YEAR = "2026"


def set_site_url(app, config):
    """The address that the pages are published under, if any, comes from outside: the sources do not know it."""
    url = os.environ.get("DITUNE_SITE_URL", "")
    if url:
        config.html_baseurl = config.ogp_site_url = url


def add_metadata(app, pagename, templatename, context, doctree):
    """Highwire tags on every page, JSON-LD on the first."""
    if app.builder.format != "html":
        return
    tags = {"citation_title": TITLE, "citation_author": AUTHOR, "citation_publication_date": YEAR}
    html = "\n".join(f'<meta name="{name}" content="{value}" />' for name, value in tags.items())
    if pagename == app.config.root_doc:
        article = {
            "@context": "https://schema.org",
            "@type": "ScholarlyArticle",
            "headline": TITLE,
            "author": {"@type": "Organization", "name": AUTHOR},
            "datePublished": YEAR,
        }
        if app.config.html_baseurl:
            article["url"] = app.config.html_baseurl
        html += f'\n<script type="application/ld+json">{json.dumps(article)}</script>'
    context["metatags"] = context.get("metatags", "") + "\n" + html


def drop_repeated_scripts(app, pagename, templatename, context, doctree):
    """sphinx-thebe adds its settings twice, an error in the console of every page; this book has no live kernels."""
    keep, seen = [], set()
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body", "") or ""
        name = str(getattr(script, "filename", script) or "")
        if "THEBE_JS_URL" in body or "sphinx-thebe" in name or (name or body) and (name, body) in seen:
            continue
        seen.add((name, body))
        keep.append(script)
    context["script_files"] = keep


def setup(app):
    app.connect("config-inited", set_site_url)
    app.connect("html-page-context", drop_repeated_scripts, priority=990)
    app.connect("html-page-context", add_metadata, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
