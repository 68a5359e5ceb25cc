"use strict";
/* Numbers as text. */
{
  /* Three digits, for reading. */
  layerscope.short = (value) => {
    if (value === undefined || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    let text;
    if (Number.isInteger(value) && size < 1e6) text = String(value);
    else if (size >= 1e5 || size < 1e-3) text = value.toExponential(2);
    else text = value.toPrecision(3);
    if (text.includes("e+")) text = text.replace("e+", "e");
    return text.replaceAll("-", "−");
  };

  /* A round number. */
  layerscope.round = (value) => {
    const size = Math.abs(value);
    const text = size && (size >= 1e5 || size < 1e-3) ? value.toExponential().replace("e+", "e") : String(value);
    return text.replaceAll("-", "−");
  };

  layerscope.count = (value) => value.toLocaleString("en");

  /* A float32 as a text from which the same float32 can be read; nothing for NaN. */
  layerscope.exact = (value) => (Number.isNaN(value) ? "" : String(Number(value.toPrecision(9))));

  /* Round numbers from `low` to `high`, about as many as asked for. */
  layerscope.ticks = (low, high, about) => {
    const rough = (high - low) / about;
    if (!(rough > 0)) return [low];
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = unit * [1, 2, 5, 10].find((factor) => factor * unit >= rough * 0.999);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
      ticks.push(Number((i * step).toPrecision(12)));
    }
    return ticks;
  };
}
