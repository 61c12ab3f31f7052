"""`python -m napari_attmil.cli` does what `attmil` does."""

from napari_attmil.cli import main

if __name__ == "__main__":
    main()
