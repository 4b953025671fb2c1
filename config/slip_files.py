"""Slip templates as data: for each language one file per kind of slip.

Responsible for: finding the ones that are shipped. Not responsible for: reading their contents
(`drivers.escpos.template`), or an owner's own.
"""

from importlib import resources


def template_text(language: str, kind: str) -> str:
    """The shipped template: `language` zh, en or both, `kind` redeemed or reversed."""
    folder = resources.files("config").joinpath("slips", language)
    return folder.joinpath(f"{kind}.toml").read_text(encoding="utf-8")
