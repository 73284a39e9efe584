"""`python -m app`: the same as `micronet`, for the children a server starts."""

from app.cli import main

main()
