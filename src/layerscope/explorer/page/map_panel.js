"use strict";
/* One model's neurons: density, axes, the neuron under the pointer, and a box drawn around neurons. */
{
  const { element, svg, short, count, axes, layerOf, models } = layerscope;
  const { EDGE, horizontal, vertical } = axes;
  const HEIGHT = 400;
  const REACH = 30; // pixels from which the pointer finds a neuron
  const DRAG = 5; // pixels from which a click is a box

  layerscope.mapPanel = (name, { onPick, onBox, say }) => {
    const model = models.get(name);
    const canvas = element("canvas", { "aria-hidden": "true" });
    const overlay = svg("svg", { class: "overlay", tabindex: 0, role: "application" });
    const box = element("div", { class: "plane" }, canvas, overlay);
    const note = element("p", { class: "scale" });
    const caption = element("span", {});
    const figure = element("figure", { class: "map" }, element("figcaption", {}, caption,
      layerscope.saveButton(`${name}-map`, `map of ${name}`, () => picture())), box, note);
    const ring = svg("circle", { class: "ring", r: 6 });
    const rectangle = svg("rect", { class: "box" });
    let drawn = null; // what is drawn now
    let current = -1; // among the rows
    let start = null; // of the box

    const picture = () => {
      const copy = overlay.cloneNode(true);
      // Where the page's styles reach it, so that the saved plot takes them.
      box.append(copy);
      setTimeout(() => copy.remove());
      copy.querySelectorAll(".ring, .box").forEach((node) => node.remove());
      const { plot } = drawn;
      copy.prepend(svg("image", { href: canvas.toDataURL(), x: plot.left, y: plot.top, width: plot.width, height: plot.height }));
      return copy;
    };

    const valuesAt = (row) => {
      const i = drawn.rows[row];
      const layer = layerOf(model, i);
      return { layer, neuron: i - model.starts[layer], x: drawn.x.values[i], y: drawn.y.values[i] };
    };

    const mark = (row, aloud) => {
      current = row;
      ring.setAttribute("visibility", row < 0 ? "hidden" : "visible");
      if (row < 0) return say("");
      const { layer, neuron, x, y } = valuesAt(row);
      ring.setAttribute("cx", drawn.plot.left + drawn.centre(drawn.xs[row]));
      ring.setAttribute("cy", drawn.plot.top + drawn.ys[row]);
      const across = drawn.byLayer ? "" : `${drawn.x.name} = ${short(x)}, `;
      say(`${layerscope.nameOf(name, layer, neuron)}: ${across}${drawn.y.name} = ${short(y)}`, aloud);
    };

    /* The row nearest to a pixel, of those that `allowed` takes. */
    const nearest = (px, py, allowed = () => true, reach = Infinity) => {
      let [best, distance] = [-1, reach * reach];
      for (let row = 0; row < drawn.rows.length; row++) {
        const dx = drawn.byLayer ? 0 : drawn.xs[row] - px;
        const dy = drawn.ys[row] - py;
        const d = dx * dx + dy * dy;
        if (d < distance && allowed(row)) [best, distance] = [row, d];
      }
      return best;
    };

    const under = (event) => {
      const at = overlay.getBoundingClientRect();
      const [px, py] = [event.clientX - at.left - drawn.plot.left, event.clientY - at.top - drawn.plot.top];
      const layer = Math.floor((px / drawn.plot.width) * drawn.strips);
      return { px, py, row: drawn.byLayer ? nearest(px, py, (row) => drawn.xs[row] === layer, REACH) : nearest(px, py, undefined, REACH) };
    };

    const drawBox = (a, b) => {
      const { plot } = drawn;
      const [left, right] = [a.px, b.px].map((v) => Math.min(plot.width, Math.max(0, v))).sort((p, q) => p - q);
      const [top, bottom] = [a.py, b.py].map((v) => Math.min(plot.height, Math.max(0, v))).sort((p, q) => p - q);
      const shape = { x: plot.left + left, y: plot.top + top, width: right - left, height: bottom - top };
      for (const [key, value] of Object.entries(shape)) rectangle.setAttribute(key, value);
      return { left, right, top, bottom };
    };

    /* The conditions of the filter that describe a box. */
    const conditions = ({ left, right, top, bottom }) => {
      const between = (axis, low, high) => [`${axis.name}>=${Number(low.toPrecision(4))}`, `${axis.name}<=${Number(high.toPrecision(4))}`];
      const upright = between(drawn.y, drawn.y.scale.invert(bottom), drawn.y.scale.invert(top));
      if (!drawn.byLayer) return [...between(drawn.x, drawn.x.scale.invert(left), drawn.x.scale.invert(right)), ...upright].join(" ");
      const width = drawn.plot.width / drawn.strips;
      const layers = [Math.floor(left / width), Math.min(drawn.strips - 1, Math.floor(right / width))];
      return [...between({ name: "layer" }, ...layers), ...upright].join(" ");
    };

    overlay.addEventListener("pointermove", (event) => {
      if (!drawn) return;
      const at = under(event);
      if (start && Math.hypot(at.px - start.px, at.py - start.py) > DRAG) {
        mark(-1);
        drawBox(start, at);
      } else mark(at.row);
    });
    overlay.addEventListener("pointerleave", () => drawn && !start && mark(-1));
    overlay.addEventListener("pointerdown", (event) => {
      if (!drawn || event.button) return;
      start = under(event);
      overlay.setPointerCapture(event.pointerId);
    });
    overlay.addEventListener("pointercancel", () => (start = null));
    overlay.addEventListener("pointerup", (event) => {
      if (!start) return;
      const [from, to] = [start, under(event)];
      start = null;
      if (Math.hypot(to.px - from.px, to.py - from.py) > DRAG) onBox(name, conditions(drawBox(from, to)));
      else if (to.row >= 0) onPick(name, valuesAt(to.row));
    });
    overlay.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === "Enter" && current >= 0) onPick(name, valuesAt(current));
      if (!step || !drawn?.rows.length || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      const { xs, ys } = drawn;
      const from = current < 0 ? nearest(drawn.plot.width / 2, drawn.plot.height / 2) : current;
      const sideways = drawn.byLayer ? (row) => xs[row] === xs[from] + step[0] : (row) => (xs[row] - xs[from]) * step[0] > 0;
      const upright = (row) => (ys[row] - ys[from]) * step[1] > 0 && (!drawn.byLayer || xs[row] === xs[from]);
      const next = current < 0 ? from : nearest(xs[from], ys[from], step[0] ? sideways : upright);
      if (next >= 0) mark(next, true);
    });

    // The neuron that was opened last, marked.
    const pin = ([layer, neuron]) => {
      const row = drawn.rows.indexOf(model.starts[layer] + neuron);
      if (row < 0) return "";
      const title = svg("title", {}, `${layerscope.nameOf(name, layer, neuron)}, opened last`);
      const [cx, cy] = [drawn.plot.left + drawn.centre(drawn.xs[row]), drawn.plot.top + drawn.ys[row]];
      return svg("path", { class: "pin", d: `M${cx},${cy - 6}l6,6l-6,6l-6,-6z` }, title);
    };

    /* x and y: {name, label, values, low, high, least}; rows: numbers of the neurons to draw; opened: [layer, neuron]. */
    const draw = ({ x, y, rows, width, opened }) => {
      const plot = { left: EDGE.left, top: EDGE.top, width: Math.max(80, width - EDGE.left - EDGE.right), height: HEIGHT - EDGE.top - EDGE.bottom };
      const byLayer = x.name === "layer";
      const strips = byLayer ? model.neurons.length : 0;
      const scaleX = byLayer ? layerscope.scale(-0.5, strips - 0.5, 0, plot.width) : layerscope.scale(x.low, x.high, 0, plot.width, x.least);
      const scaleY = layerscope.scale(y.low, y.high, plot.height, 0, y.least);
      const xs = Float32Array.from(rows, byLayer ? (i) => x.values[i] : (i) => scaleX(x.values[i]));
      const ys = Float32Array.from(rows, (i) => scaleY(y.values[i]));
      drawn = { plot, byLayer, strips, rows, xs, ys, x: { ...x, scale: scaleX }, y: { ...y, scale: scaleY }, centre: byLayer ? scaleX : (px) => px };
      const most = layerscope.drawDensity(canvas, xs, ys, plot.width, plot.height, strips);
      Object.assign(canvas.style, { left: `${plot.left}px`, top: `${plot.top}px` });
      const shift = (scale, by) => Object.assign((v) => scale(v) + by, { ticks: scale.ticks, start: scale.start + by, end: scale.end + by });
      const [sx, sy] = [shift(scaleX, plot.left), shift(scaleY, plot.top)];
      if (byLayer) sx.ticks = () => layerscope.ticks(0, strips - 1, Math.min(strips - 1, plot.width / 40)).filter(Number.isInteger);
      const medians = byLayer ? layerscope.medians(ys, xs, strips) : [];
      const spansZero = y.low < 0 && y.high > 0;
      overlay.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      overlay.setAttribute("aria-label", `Density of the neurons of ${name}: ${x.label} across, ${y.label} up. Arrow keys go from neuron to neuron, Enter opens one.`);
      Object.assign(overlay.style, { width: `${width}px`, height: `${HEIGHT}px` });
      for (const key of ["x", "y", "width", "height"]) rectangle.setAttribute(key, 0);
      overlay.replaceChildren(
        spansZero ? svg("line", { class: "zero", x1: sx.start, x2: sx.end, y1: sy(0), y2: sy(0) }) : "",
        ...medians.map((median, layer) => (Number.isFinite(median)
          ? svg("line", { class: "median-of-layer", x1: sx(layer - 0.4), x2: sx(layer + 0.4), y1: plot.top + median, y2: plot.top + median }) : "")),
        ...horizontal(sx, plot.top + plot.height, x.label, plot.width / 80).flat(Infinity), ...vertical(sy, plot.left, y.label, 6).flat(Infinity), opened ? pin(opened) : "", rectangle, ring);
      mark(-1);
      const part = rows.length < model.count ? `${count(rows.length)} of ` : "";
      caption.textContent = `${name} (${model.weights} weights), ${part}${count(model.count)} neurons`;
      note.replaceChildren("Neurons in a cell ", element("span", {}, "1"),
        element("span", { class: "bar density", role: "img", "aria-label": `Colours from 1 to ${most} neurons` }), element("span", {}, count(most)));
      if (byLayer) note.append(svg("svg", { viewBox: "0 0 28 10", width: 28, height: 10, "aria-hidden": "true" },
        svg("line", { class: "median-of-layer", x1: 1, x2: 27, y1: 5, y2: 5 })), "median of the layer");
      if (overlay.querySelector(".pin")) note.append(element("span", {}, "◇ the neuron opened last"));
    };

    return { figure, draw, clearBox: () => rectangle.setAttribute("width", 0), fail: (text) => note.replaceChildren(text) };
  };
}
