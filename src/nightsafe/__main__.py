"""`python -m nightsafe`."""

from nightsafe.cli.main import main

if __name__ == "__main__":
    main()
