"""Valid secret names that are known to break clients, routers and databases."""

LONGEST = 2712

NAMES = (
    "mySecret",
    "a/b",
    "a%2Fb",
    "a%252Fb",
    "100%",
    "%",
    "%%",
    "%ZZ",
    "%2e",
    "%2E%2E",
    "%00",
    "%FF",
    "with space",
    " leading",
    "trailing ",
    " ",
    "ünï-☃",
    "emoji😀",
    "q?x=1&y",
    "?",
    "hash#tag",
    "#",
    "tab\tbed",
    "back\\slash",
    "new\nline",
    "\r\n",
    "nul\0byte",
    "\0",
    "\x7f\x1b[31m",
    "a:b@c",
    "~",
    "~!$&'()*,=",
    "semi;colon",
    "plus+sign",
    '"quotes" and `ticks`',
    "<script>{name}</script>",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}\N{RIGHT-TO-LEFT OVERRIDE}x",
    "\N{ZERO WIDTH NO-BREAK SPACE}mark",
    "\N{ZERO WIDTH SPACE}",
    "\U0010ffff",
    "/",
    "//",
    "/../..",
    "secrets",
    "secrets-bulk",
    "null",
    "__proto__",
    "-rf",
    "' OR 1=1; --",
    "x" * LONGEST,
    "☃" * (LONGEST // 3),
)
"""Each name has one to 2,712 bytes of UTF-8."""

DOTS = (".", "..")
"""Names that clients refuse to send in a path, or remove from it."""


def shortened(name: str) -> str:
    """Return a name's id in a test report."""
    return ascii(name[:24]).strip("'\"")
