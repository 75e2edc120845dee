"""`python -m cli` is `syndi`."""

from cli.main import main

if __name__ == "__main__":
    main()
