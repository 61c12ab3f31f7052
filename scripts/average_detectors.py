"""Take the mean of the weights of a detector before and after further training.

    python scripts/average_detectors.py BEFORE AFTER --out W

The mean keeps more of what the earlier training taught than the later weights alone, and gives up
little of what was learnt since (Wortsman et al. 2022, arXiv 2109.01903).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_attmil.cells.detection import load_network, save_network


def main() -> None:
    """Read both files and write their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    before, after = load_network(arguments.before), load_network(arguments.after)
    mean, other = before.network.state_dict(), after.network.state_dict()
    for name, tensor in mean.items():
        if tensor.dtype.is_floating_point:
            tensor.lerp_(other[name], 0.5)
    provenance = {
        "mean_of": {before.digest: dict(before.provenance), after.digest: dict(after.provenance)}
    }
    save_network(
        arguments.out,
        before.network,
        before.architecture,
        {**after.provenance, **provenance, "script": "scripts/average_detectors.py"},
    )


if __name__ == "__main__":
    main()
