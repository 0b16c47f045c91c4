"""Simple drawings for the sample's photos: recognisable, small, and the same every time."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

SIZE = (480, 360)
Color = tuple[int, int, int]
Drawer = Callable[["ImageDraw", int, int, float], None]

# topic -> (colour at the top, colour at the bottom)
SKIES: dict[str, tuple[Color, Color]] = {
    "sunset": ((60, 40, 110), (255, 150, 70)),
    "mountain": ((140, 190, 240), (225, 240, 250)),
    "snow": ((180, 200, 220), (245, 248, 252)),
    "moon": ((8, 10, 30), (40, 45, 90)),
    "beach": ((120, 200, 245), (250, 240, 200)),
    "garden": ((170, 215, 250), (190, 225, 160)),
    "lake": ((150, 195, 230), (60, 120, 160)),
}
INDOORS: tuple[Color, Color] = ((242, 232, 218), (214, 196, 174))


def draw(topic: str, size: tuple[int, int] = SIZE, step: float = 0.0) -> Image:
    """A picture of `topic` (an unknown one gives a plain wall). `step` from 0 to 1 moves it, for films."""
    from PIL import Image, ImageDraw

    width, height = size
    top, bottom = SKIES.get(topic, INDOORS)
    image = Image.new("RGB", size)
    canvas = ImageDraw.Draw(image)
    for row in range(height):
        share = row / height
        mixed = tuple(round(a + (b - a) * share) for a, b in zip(top, bottom, strict=True))
        canvas.line([(0, row), (width, row)], fill=mixed)
    _DRAWERS.get(topic, _nothing)(canvas, width, height, step)
    return image


def sticker(topic: str) -> Image:
    """A cut-out of `topic` on a transparent ground."""
    from PIL import Image, ImageDraw

    side = 120
    picture = draw(topic, (side, side)).convert("RGBA")
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).ellipse((4, 4, side - 4, side - 4), fill=255)
    picture.putalpha(mask)
    return picture


def encode(image: Image, kind: str, **options: Any) -> bytes:
    """The image's file as bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _nothing(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    return None


def _disc(canvas: ImageDraw, x: float, y: float, r: float, fill: Color, squash: float = 1.0) -> None:
    canvas.ellipse((x - r, y - r * squash, x + r, y + r * squash), fill=fill)


def _sunset(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    _disc(canvas, w / 2, h * (0.55 + 0.2 * step), w / 8, (255, 225, 120))
    canvas.rectangle((0, h * 0.7, w, h), fill=(40, 40, 80))
    for row in range(5):
        y = h * (0.73 + row * 0.05)
        canvas.line([(w * (0.4 - row * 0.03), y), (w * (0.6 + row * 0.03), y)], fill=(255, 190, 110), width=3)


def _mountain(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    canvas.polygon([(0, h), (w * 0.35, h * 0.25), (w * 0.7, h)], fill=(95, 105, 125))
    canvas.polygon([(w * 0.27, h * 0.42), (w * 0.35, h * 0.25), (w * 0.43, h * 0.42)], fill=(250, 250, 255))
    canvas.polygon([(w * 0.4, h), (w * 0.75, h * 0.4), (w, h)], fill=(70, 90, 85))
    _disc(canvas, w * (0.8 - 0.3 * step), h * 0.2, w / 14, (255, 235, 150))


def _snow(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    canvas.rectangle((0, h * 0.75, w, h), fill=(250, 252, 255))
    for number in range(60):
        x, y = (number * 97) % w, (number * 53 + step * h) % h
        _disc(canvas, x, y, 3, (255, 255, 255))
    canvas.polygon([(w * 0.6, h * 0.8), (w * 0.7, h * 0.3), (w * 0.8, h * 0.8)], fill=(30, 90, 60))


def _moon(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    _disc(canvas, w * (0.6 + 0.2 * step), h * 0.35, w / 9, (240, 240, 215))
    for number in range(40):
        _disc(canvas, (number * 131) % w, (number * 71) % (h * 0.8), 1.5, (255, 255, 255))


def _beach(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    canvas.rectangle((0, h * 0.5, w, h * 0.72), fill=(40, 140, 190))
    canvas.rectangle((0, h * 0.72, w, h), fill=(235, 215, 160))
    for number in range(6):
        x = (number / 6 + step) % 1 * w
        canvas.arc((x, h * 0.66, x + w / 8, h * 0.76), 180, 360, fill=(255, 255, 255), width=4)


def _lake(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    canvas.polygon([(0, h * 0.55), (w * 0.3, h * 0.3), (w * 0.6, h * 0.55)], fill=(60, 90, 70))
    canvas.rectangle((0, h * 0.55, w, h), fill=(70, 130, 170))
    x = w * (0.3 + 0.3 * step)
    hull = [(x, h * 0.7), (x + w * 0.2, h * 0.7), (x + w * 0.16, h * 0.78), (x + w * 0.04, h * 0.78)]
    canvas.polygon(hull, fill=(120, 70, 40))


def _face(canvas: ImageDraw, w: int, h: int, fur: Color, ears: str, step: float) -> None:
    x, y, r = w * (0.45 + 0.1 * step), h * 0.55, h * 0.28
    for side in (-1, 1):
        if ears == "pointed":
            low, tip, high = (x + side * r * 0.9, y - r * 0.3), (x + side * r * 0.75, y - r * 1.4), (x, y - r * 0.8)
            canvas.polygon([low, tip, high], fill=fur)
        else:
            red, green, blue = fur
            _disc(canvas, x + side * r * 0.95, y, r * 0.4, (red - 50, green - 50, blue - 50), 1.8)
    _disc(canvas, x, y, r, fur)
    for side in (-1, 1):
        _disc(canvas, x + side * r * 0.4, y - r * 0.15, r * 0.13, (30, 60, 40))
    _disc(canvas, x, y + r * 0.25, r * 0.1, (200, 100, 110))


def _cat(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    _face(canvas, w, h, (225, 150, 80), "pointed", step)


def _dog(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    _face(canvas, w, h, (190, 150, 110), "hanging", step)


def _cake(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    canvas.rectangle((w * 0.25, h * 0.5, w * 0.75, h * 0.85), fill=(150, 90, 60))
    canvas.rectangle((w * 0.25, h * 0.46, w * 0.75, h * 0.58), fill=(250, 230, 235))
    for number in range(5):
        x = w * (0.31 + number * 0.095)
        canvas.rectangle((x - 3, h * 0.32, x + 3, h * 0.46), fill=(90, 140, 220))
        _disc(canvas, x, h * 0.3, 6, (255, 190, 60), 1.6)


def _bowl(canvas: ImageDraw, w: int, h: int, soup: Color) -> None:
    canvas.pieslice((w * 0.2, h * 0.25, w * 0.8, h * 1.0), 0, 180, fill=(70, 90, 140))
    _disc(canvas, w / 2, h * 0.62, w * 0.3, (90, 110, 165), 0.35)
    _disc(canvas, w / 2, h * 0.62, w * 0.26, soup, 0.33)


def _soup(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    _bowl(canvas, w, h, (215, 120, 50))


def _dumplings(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    _disc(canvas, w / 2, h * 0.65, w * 0.36, (255, 255, 255), 0.5)
    for number in range(6):
        angle = number * math.pi / 3
        x, y = w / 2 + math.cos(angle) * w * 0.2, h * 0.63 + math.sin(angle) * h * 0.13
        canvas.pieslice((x - 40, y - 30, x + 40, y + 40), 180, 360, fill=(240, 220, 180))


def _pizza(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    _disc(canvas, w / 2, h / 2, h * 0.42, (200, 140, 80))
    _disc(canvas, w / 2, h / 2, h * 0.37, (245, 205, 95))
    for number in range(9):
        angle = number * 2.4
        _disc(canvas, w / 2 + math.cos(angle) * h * 0.24, h / 2 + math.sin(angle) * h * 0.24, h * 0.05, (190, 50, 40))


def _bread(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    _disc(canvas, w / 2, h * 0.58, w * 0.33, (170, 105, 50), 0.6)
    for number in range(4):
        x = w * (0.32 + number * 0.12)
        canvas.line([(x, h * 0.42), (x + w * 0.05, h * 0.7)], fill=(225, 180, 120), width=7)


def _garden(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    canvas.rectangle((0, h * 0.8, w, h), fill=(95, 65, 40))
    for number in range(5):
        x = w * (0.12 + number * 0.19)
        canvas.line([(x, h * 0.85), (x, h * 0.25)], fill=(60, 120, 50), width=6)
        for row in range(3):
            _disc(canvas, x + (12 if row % 2 else -12), h * (0.38 + row * 0.15), w * 0.03, (215, 55, 40))


def _plant(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    pot = [(w * 0.38, h * 0.65), (w * 0.62, h * 0.65), (w * 0.57, h * 0.95), (w * 0.43, h * 0.95)]
    canvas.polygon(pot, fill=(180, 95, 65))
    for number in range(7):
        angle = math.pi * (0.15 + number * 0.117)
        tip = (w / 2 - math.cos(angle) * w * 0.27, h * 0.65 - math.sin(angle) * h * 0.5)
        canvas.line([(w / 2, h * 0.65), tip], fill=(50, 125, 70), width=12)


def _bike(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    for x in (0.3, 0.7):
        box = (w * x - h * 0.2, h * 0.45, w * x + h * 0.2, h * 0.85)
        canvas.ellipse(box, outline=(40, 40, 45), width=6)
    frame = [(w * 0.3, h * 0.65), (w * 0.45, h * 0.4), (w * 0.65, h * 0.4), (w * 0.5, h * 0.65), (w * 0.3, h * 0.65)]
    canvas.line(frame, fill=(200, 60, 50), width=7)
    canvas.line([(w * 0.65, h * 0.35), (w * 0.7, h * 0.65)], fill=(200, 60, 50), width=7)


def _parrot(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    canvas.line([(0, h * 0.85), (w, h * 0.85)], fill=(110, 75, 45), width=14)
    _disc(canvas, w / 2, h * 0.58, h * 0.16, (50, 165, 80), 1.6)
    _disc(canvas, w / 2, h * 0.28, h * 0.13, (60, 180, 90))
    canvas.polygon([(w * 0.58, h * 0.26), (w * 0.66, h * 0.32), (w * 0.57, h * 0.34)], fill=(240, 180, 60))
    _disc(canvas, w * 0.53, h * 0.25, 5, (20, 20, 20))


def _coffee(canvas: ImageDraw, w: int, h: int, step: float) -> None:
    canvas.rounded_rectangle((w * 0.32, h * 0.4, w * 0.64, h * 0.85), 20, fill=(235, 235, 240))
    canvas.arc((w * 0.58, h * 0.48, w * 0.74, h * 0.72), 270, 90, fill=(235, 235, 240), width=10)
    _disc(canvas, w * 0.48, h * 0.42, w * 0.15, (95, 60, 40), 0.25)


_DRAWERS: dict[str, Drawer] = {
    "sunset": _sunset, "mountain": _mountain, "snow": _snow, "moon": _moon, "beach": _beach, "lake": _lake,
    "cat": _cat, "dog": _dog, "cake": _cake, "soup": _soup, "dumplings": _dumplings, "pizza": _pizza,
    "bread": _bread, "garden": _garden, "plant": _plant, "bike": _bike, "parrot": _parrot, "coffee": _coffee,
}  # fmt: skip
TOPICS = tuple(_DRAWERS)
