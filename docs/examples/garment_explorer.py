"""Write the explorer of the networks that ``garment_scenes.py`` trained, for a test scene.

    python docs/examples/garment_explorer.py DATA OUT

OUT is the folder of the trained networks; the page becomes ``OUT/explorer.html``, and pictures of
it, taken in Chromium, ``OUT/explorer.png`` and ``OUT/explorer_phone.png``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which

import torch
from garment_scenes import KINDS, SIDE, garments, network
from playwright.sync_api import sync_playwright

from snl_graph.attention import block_inputs
from snl_graph.explorer import explore

GARMENTS = (28, 1, 30, 39)
"""Four test pictures."""
TOE = (9, 2)
"""Row and column of the tip of the first boot."""
CAPTION = (
    "Four garments of Fashion-MNIST's test part. Three small CNNs learned to name the garments of "
    "such scenes, each with another nonlocal block inside, which sees 28 × 28 positions. Where "
    "does each of them look from the tip of a boot?"
)


def main(data: str, out: str) -> None:
    """Load the networks, run the scene, write the page."""
    pictures, _ = garments(data, False)
    quarters = pictures[list(GARMENTS)].view(2, 2, SIDE, SIDE)
    scene = quarters.transpose(1, 2).reshape(1, 1, 2 * SIDE, 2 * SIDE)
    blocks = {}
    for kind in KINDS:
        model = network(kind)
        model.load_state_dict(torch.load(Path(out) / f"{kind}.pt", weights_only=True))
        (blocks[kind],) = block_inputs(model, scene).values()
    page = explore(
        scene, blocks, title="What a nonlocal block looks at", caption=CAPTION, start=TOE
    )
    path = page.write(Path(out) / "explorer.html", overwrite=True)
    print(path, page)
    photograph(path.resolve(), Path(out))


def photograph(path: Path, folder: Path) -> None:
    """Pictures of the page at the width of a desk and of a phone."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=which("chromium"), args=["--no-sandbox"])
        for name, width, height, block in (
            ("explorer", 1280, 880, "0"),
            ("explorer_phone", 390, 844, "2"),
        ):
            shown = browser.new_page(
                viewport={"width": width, "height": height}, device_scale_factor=1.5
            )
            shown.goto(path.as_uri())
            shown.wait_for_selector("#main:not([hidden])")
            shown.keyboard.press(block)
            shown.screenshot(path=folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
