"""Words that others wrote, among ours."""

ENDS = (".", "!", "?", "…")


def with_stop(words: str) -> str:
    """As it was said, ended as a sentence, so that another can follow."""
    said = words.strip()
    return f"{said}." if said and not said.endswith(ENDS) else said
