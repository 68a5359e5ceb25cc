"use strict";
/* Neurons as a density on a canvas: how many lie in each cell, by depth of colour. */
{
  const CELL = 3; // pixels
  const FAINTEST = 0.25;

  const countCells = (xs, ys, across, down, column) => {
    const cells = new Uint32Array(across * down);
    let most = 0;
    for (let i = 0; i < ys.length; i++) {
      if (!(xs[i] >= 0 && ys[i] >= 0)) continue; // NaN: a value that is not defined
      const cell = Math.min(down - 1, Math.floor(ys[i] / CELL)) * across + Math.min(across - 1, column(xs[i]));
      if (++cells[cell] > most) most = cells[cell];
    }
    return { cells, most };
  };

  /* Median of the values of each layer; values that are not defined are left out. */
  layerscope.medians = (values, layers, strips) => {
    const byLayer = Array.from({ length: strips }, () => []);
    for (let i = 0; i < values.length; i++) if (Number.isFinite(values[i])) byLayer[layers[i]].push(values[i]);
    return byLayer.map((own) => {
      const sorted = Float32Array.from(own).sort();
      const middle = sorted.length >> 1;
      return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    });
  };

  /* Draw neurons at pixels (xs, ys) of a canvas of width × height; NaN and what lies outside are left out.
     With `strips`, each layer is one column, and xs are numbers of columns. Gives the most neurons of a cell. */
  layerscope.drawDensity = (canvas, xs, ys, width, height, strips) => {
    const ratio = window.devicePixelRatio || 1;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const across = strips || Math.ceil(width / CELL);
    const down = Math.ceil(height / CELL);
    const step = width / across;
    const { cells, most } = countCells(xs, ys, across, down, strips ? (x) => x : (x) => Math.floor(x / step));
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.fillStyle = getComputedStyle(canvas).color;
    const gap = strips ? Math.min(4, step * 0.15) : 0;
    cells.forEach((count, cell) => {
      if (!count) return;
      context.globalAlpha = FAINTEST + (1 - FAINTEST) * (Math.log1p(count - 1) / Math.log1p(Math.max(1, most - 1)));
      context.fillRect((cell % across) * step + gap / 2, Math.floor(cell / across) * CELL, step - gap, CELL);
    });
    return most;
  };
}
