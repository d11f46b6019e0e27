"""What a server is told: its limits, its address, who may ask."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special

TOKEN = "PATHFUSE_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable that holds the token."""
COUNTS = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus-client: where several workers leave their counts, for whichever
of them is asked."""
SHORTEST_TOKEN = 16
MOST_TOKEN_BYTES = 4096
LOOPBACK_NAMES = ("localhost",)
NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    body_bytes: int = 16 << 20
    rows: int = 10_000
    """Samples."""
    seconds: float = 30.0
    """Until the body is there, and then until the answer is."""

    def check(self) -> None:
        """Refuses limits that allow nothing.

        Raises:
            InputError: One is not above 0.
        """
        for option, value in (
            ("--max-body-mb", self.body_bytes),
            ("--max-rows", self.rows),
            ("--max-seconds", self.seconds),
        ):
            if not value > 0:
                raise InputError(f"{option} must be above 0")


@dataclass(frozen=True)
class Settings:
    """All that a worker is told beside the model."""

    name: str
    """Of the model, in addresses."""
    version: str
    """Digest of the model's files."""
    limits: Limits = Limits()
    token_digest: bytes | None = field(default=None, repr=False)
    """SHA-256 of the token; None: anybody on this machine may ask."""

    def admits(self, authorization: str | None) -> bool:
        """Whether a request may be answered; takes as long for any token.

        Args:
            authorization: The header.
        """
        if self.token_digest is None:
            return True
        kind, _, given = (authorization or "").partition(" ")
        told = digest_of_token(given.strip())
        return hmac.compare_digest(told, self.token_digest) and kind.lower() == "bearer"


def digest_of_token(token: str) -> bytes:
    """SHA-256 of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def read_token(file: Path | None, environment: Mapping[str, str]) -> str | None:
    """The token from a file, or from the environment; None if neither is there.

    Raises:
        InputError: The file cannot be read, or the token is no token.
    """
    if file is None:
        token, source = environment.get(TOKEN), f"the environment variable {TOKEN}"
        if token is None:
            return None
    else:
        source = f"--token-file {file}"
        refuse_special(file, "--token-file")
        try:
            with file.open("rb") as content:
                raw = content.read(MOST_TOKEN_BYTES)
            token = raw.decode("ascii")
        except OSError as error:
            raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{source} holds no text of plain letters") from error
    token = token.strip()
    if len(token) < SHORTEST_TOKEN or not re.fullmatch(r"[!-~]+", token):
        raise InputError(
            f"{source}: a token needs at least {SHORTEST_TOKEN} letters, digits or signs without "
            "blanks, such as 'openssl rand -hex 32' prints"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def check_address(host: str, port: int, token: str | None) -> None:
    """Refuses an address that others reach without a token.

    Raises:
        InputError: There is no token, or the port is none.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port} must be between 0 and 65535")
    if token is None and not is_loopback(host):
        raise InputError(
            f"--host {host} can be reached from other machines: give a token, in a file "
            f"(--token-file) or in the environment variable {TOKEN}"
        )


def name_of(model: Path, name: str | None) -> str:
    """What the model is called in addresses.

    Args:
        model: Its folder, or that of the result.
        name: What a person says, if anything.

    Raises:
        InputError: A person's name cannot stand in an address.
    """
    if name is not None:
        if not NAMES.fullmatch(name):
            raise InputError(f"--name '{name}' may have letters, digits, '.', '_' and '-' only")
        return name
    folder = model.resolve()
    folder = folder.parent if folder.name == "model" else folder
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("-._")[:100] or "model"
