"""What a page may do: show its own style sheet and pictures, run its own script, and nothing else."""

import base64
import hashlib


def content_policy(style: str | None = None, script: str | None = None) -> str:
    """A Content-Security-Policy.

    The style sheet and the script are named by their hashes: another, which a name might bring into
    a page, would do nothing. There are no exceptions for ``style`` attributes, so no page has any.

    Args:
        style: The whole content of the page's ``<style>``; None: it has none.
        script: The whole content of its ``<script>``; None: it has none.

    Examples:
        >>> content_policy()
        "default-src 'none'; base-uri 'none'; form-action 'none'"
    """
    rules = ["default-src 'none'", "base-uri 'none'", "form-action 'none'"]
    rules += [] if style is None else [f"style-src {_source(style)}", "img-src data:"]
    rules += [] if script is None else [f"script-src {_source(script)}"]
    return "; ".join(rules)


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
