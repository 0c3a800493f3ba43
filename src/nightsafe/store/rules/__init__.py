"""The rules of writing: what a change comes to, row by row. Every engine carries out the same rules."""
