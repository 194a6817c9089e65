"""Renders texts and pictures with the libraries that everybody uses for it."""

import io

import jinja2
from jailpy_plugin import host
from markdown_it import MarkdownIt

TEMPLATE = jinja2.Environment(autoescape=True).from_string(
    "<html><title>{{ title }}</title><p>by {{ author }}</p>{{ body | safe }}</html>"
)


def page(title, text):
    return TEMPLATE.render(title=title, author=host.author(title), body=MarkdownIt().render(text))


def pages(texts):
    for title, text in texts.items():
        yield page(title, text)


def thumbnail(picture, size):
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        image.thumbnail((size, size))
        made = io.BytesIO()
        image.save(made, "PNG")
    return made.getvalue()
