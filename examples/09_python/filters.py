# SPDX-License-Identifier: Apache-2.0
# A photograph through edge detection and sharpening, and how near to the machine's peak that and
# other convolutions run. A script, and cells of a notebook for editors that know `# %%`. Needs
# `pip install .[example]`; pictures go to $OUT, by default the current directory.

# %% A picture is a tensor [batch, height, width, channels]
import os
import pathlib

import numpy as np
from PIL import Image, ImageDraw

import convgen

OUT = pathlib.Path(os.environ.get("OUT", "."))
PICTURE = pathlib.Path(__file__).parent.parent / "data" / "astronaut.png"
picture = np.asarray(Image.open(PICTURE).convert("RGB"), dtype=np.float32)[None]
print("picture", picture.shape)

# %% One call: each channel by itself, clamped to what a pixel can be
EDGES = [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]
SHARPEN = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]


def for_each_channel(taps):
    """[kh, kw, channels, 1], as depthwise_conv2d takes it."""
    filter2d = np.array(taps, dtype=np.float32)[:, :, None, None]
    return np.tile(filter2d, (1, 1, picture.shape[-1], 1))


def filtered(taps):
    return convgen.depthwise_conv2d(picture, for_each_channel(taps), padding="SAME",
                                    activation="clamp:0:255")


edges, sharp = filtered(EDGES), filtered(SHARPEN)
beside = np.concatenate([picture, edges, sharp], axis=2)[0]
Image.fromarray(beside.astype(np.uint8)).save(OUT / "filters.png")
print("kernels", convgen.default_engine().stats().kernels, "->", OUT / "filters.png")

# %% The level below: the same filter as a kernel with its numbers in the code, no weights passed
n, h, w, c = picture.shape
text = (f"conv2d src=f32:nhwc:{n}x{h}x{w}x{c} weights=f32:hwio:3x3x1x{c} groups={c} pads=same "
        "post=clamp:0:255")
engine = convgen.Engine()
kernel = engine.compile(text, constant_weights=for_each_channel(SHARPEN).reshape(3, 3, 1, c),
                        assume_finite=True)
out = np.empty(kernel.conv.dst_shape, np.float32)
kernel(picture, out=out)
assert np.array_equal(out, sharp), "both ways must give the same"
print(kernel.schedule)

# %% Is it right? Against the interpreter, on random tensors, within a derived bound
report = convgen.verify(engine.compile(text))
assert report, report.failure
print(report)

# %% How fast? The share of the machine's FMA rate, measured
LAYERS = {
    "sharpen": text,
    "resnet50 3x3": "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=same",
    "resnet50 1x1": "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:1x1x64x256",
    "mobilenet dw": "conv2d src=f32:nhwc:1x56x56x144 weights=f32:hwio:3x3x1x144 groups=144 "
                    "pads=same",
}
shares = {name: convgen.explain(conv, seconds=0.05) for name, conv in LAYERS.items()}
for name, explained in shares.items():
    print(f"{name:14} {explained.measured_us:9.1f} us {explained.gflops:7.1f} gflop/s "
          f"{100 * explained.share_of_peak:5.0f} % of peak")

# %% The same as bars; above 1 where Winograd leaves products out
chart = Image.new("RGB", (640, 40 * len(shares) + 20), "white")
draw = ImageDraw.Draw(chart)
scale = 400 / max(1, *(e.share_of_peak for e in shares.values()))
for row, (name, explained) in enumerate(shares.items()):
    y = 20 + 40 * row
    draw.rectangle([120, y, 120 + scale * explained.share_of_peak, y + 20], fill="steelblue")
    draw.text((10, y + 4), name, fill="black")
    draw.text((530, y + 4), f"{100 * explained.share_of_peak:.0f} %", fill="black")
draw.line([120 + scale, 10, 120 + scale, chart.height - 10], fill="black")
chart.save(OUT / "share_of_peak.png")
print("->", OUT / "share_of_peak.png")
