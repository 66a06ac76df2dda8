"""Shell: the signer's commands, one per file.

Each file has `add(commands)`, which registers its parser and sets `command`, a function from the
parsed arguments to the exit code.
"""
