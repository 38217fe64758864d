"""Ids of people, replaced where events come in: nothing behind the decoder ever sees one."""

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Final

from online_models.errors import InvalidParameterError

LEAST_KEY: Final = 16
"""Characters of the shortest key. Ids are guessable, so a short key could be found by trying."""

_BYTES: Final = 18
_PSEUDONYM: Final = re.compile(r"p~[A-Za-z0-9_-]{24}")


class Pseudonyms:
    """Replaces ids by keyed hashes: BLAKE2b (RFC 7693) of 18 bytes, as 24 characters behind `p~`.

    Who has the key finds the pseudonym of an id; who does not can neither undo nor try it. A user_id and an
    anonymous_id that read the same have different ones.

    Parameters
    ----------
    key
        The secret.

    Raises
    ------
    InvalidParameterError
        If the key is too short; the message does not show it.

    Examples
    --------
    >>> pseudonyms = Pseudonyms("an example, not a secret")
    >>> pseudonyms.subject("u:c-4711")
    'u:p~QYlSkC7mW_v8gs5ek1XoJ1nG'
    """

    def __init__(self, key: str) -> None:
        if len(key) < LEAST_KEY:
            raise InvalidParameterError(f"pseudonym_key must have at least {LEAST_KEY} characters")
        digest = hashlib.sha512(key.encode()).digest()  # any length as the 64 bytes of a key
        self._hashes: dict[str, Callable[[], hashlib.blake2b]] = {
            kind: hashlib.blake2b(digest_size=_BYTES, key=digest, person=kind.encode()).copy
            for kind in ("u:", "a:")
        }

    def subject(self, subject: str) -> str:
        """Return a subject (`u:` or `a:` and an id) with the pseudonym in place of the id."""
        kind, name = subject[:2], subject[2:]
        found = self._hashes[kind]()
        found.update(name.encode())
        return f"{kind}p~{base64.urlsafe_b64encode(found.digest()).decode()}"


def is_pseudonym(name: str) -> bool:
    """Return whether an id reads like a pseudonym.

    >>> is_pseudonym("p~0123456789abcdefghij_-AB"), is_pseudonym("c-4711")
    (True, False)
    """
    return _PSEUDONYM.fullmatch(name) is not None
