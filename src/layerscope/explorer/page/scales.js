"use strict";
/* Scales: from values to pixels and back. */
{
  const LINEAR = { to: (v) => v, from: (v) => v };

  // Logarithmic, for values of one sign; else linear about 0 and logarithmic further out.
  const logarithm = (low, high, least) =>
    low >= 0
      ? { to: (v) => Math.log10(Math.max(v, least)), from: (v) => 10 ** v }
      : { to: (v) => Math.asinh(v / least), from: (v) => least * Math.sinh(v) };

  const logTicks = (low, high, least) => {
    const ends = [Math.log10(least), Math.log10(Math.max(Math.abs(low), Math.abs(high), least))];
    const step = Math.max(1, Math.ceil((ends[1] - ends[0]) / 5));
    const decades = [];
    for (let power = Math.ceil(ends[0] - 1e-6); power <= ends[1] + 1e-6; power += step) {
      decades.push(Number(`1e${power}`));
    }
    return low >= 0 ? decades : [...decades.map((v) => -v).reverse(), 0, ...decades];
  };

  /* A scale from [low, high] to pixels [start, end]; `least` is the smallest size that a logarithmic one tells from 0. */
  layerscope.scale = (low, high, start, end, least = null) => {
    if (!Number.isFinite(low) || !Number.isFinite(high)) [low, high] = [0, 0];
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    const { to, from } = least === null ? LINEAR : logarithm(low, high, least);
    const [first, last] = [to(low), to(high)];
    const perUnit = (end - start) / (last - first);
    const scale = (value) => start + (to(value) - first) * perUnit;
    scale.invert = (pixel) => from(first + (pixel - start) / perUnit);
    scale.ticks = (about) => {
      const ticks = least === null ? layerscope.ticks(low, high, about) : logTicks(low, high, least);
      return ticks.filter((tick) => tick >= low - 1e-12 && tick <= high + 1e-12);
    };
    return Object.assign(scale, { low, high, start, end });
  };

  /* [least, greatest, smallest size but 0] of the finite values of several arrays. */
  layerscope.rangeOf = (arrays) => {
    let [low, high, least] = [Infinity, -Infinity, Infinity];
    for (const values of arrays) {
      for (const value of values) {
        if (!Number.isFinite(value)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
        const size = Math.abs(value);
        if (size > 0 && size < least) least = size;
      }
    }
    return [low, high, least];
  };
}
