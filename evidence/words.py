"""Text of the evidence, made visible; and numbers in words."""

import unicodedata

LONGEST = 6_000  # characters of one message that a page shows


def visible(text: str) -> str:
    """The text with its control, direction and private characters spelled out, so that none changes the page."""
    return "".join(_spelled(letter) for letter in text)


def _spelled(letter: str) -> str:
    if letter in "\n\t" or not unicodedata.category(letter).startswith("C"):
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def one_line(text: str) -> str:
    """The text for a terminal: nothing in it moves the cursor or begins a line."""
    return visible(text).replace("\n", " ").replace("\t", " ")


def cut(text: str, longest: int = LONGEST) -> str:
    """Both ends of a text that is too long: what failed stands first, and why, as compilers tell it, last."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}... ({len(text) - 2 * half:,} characters between) ...{text[-half:]}"


def many(count: int, one: str, more: str = "") -> str:
    """ "1 test", "2,000 tests"."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def joined(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def value(of: str | bool | int | float | None) -> str:
    """A setting or a feature's value."""
    return {True: "yes", False: "no", None: "none"}[of] if of is None or isinstance(of, bool) else str(of)


def moment(text: str) -> str:
    """A time of ISO 8601 in UTC, for a reader."""
    return text.replace("+00:00", " UTC").replace("T", " ", 1) if text.endswith("+00:00") else text
