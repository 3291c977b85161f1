"""`python -m foveal` is the command `foveal`."""

from .cli import main

if __name__ == "__main__":
    main()
