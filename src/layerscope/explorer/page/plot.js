"use strict";
/* Plots in SVG: a frame with axes, and saving. */
{
  const { svg, element, round } = layerscope;
  const EDGE = { left: 58, right: 12, top: 10, bottom: 42 };
  const SAVED = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity",
    "font-family", "font-size", "font-weight", "text-anchor"];

  const horizontal = (scale, at, label, about) => [
    svg("line", { class: "axis", x1: scale.start, x2: scale.end, y1: at, y2: at }),
    scale.ticks(about).map((tick) => [
      svg("line", { class: "axis", x1: scale(tick), x2: scale(tick), y1: at, y2: at + 4 }),
      svg("text", { class: "tick", x: scale(tick), y: at + 16, "text-anchor": "middle" }, round(tick)),
    ]),
    svg("text", { class: "label", x: (scale.start + scale.end) / 2, y: at + 34, "text-anchor": "middle" }, label),
  ];

  const vertical = (scale, at, label, about) => [
    svg("line", { class: "axis", x1: at, x2: at, y1: scale.start, y2: scale.end }),
    scale.ticks(about).map((tick) => [
      svg("line", { class: "axis", x1: at - 4, x2: at, y1: scale(tick), y2: scale(tick) }),
      svg("text", { class: "tick", x: at - 7, y: scale(tick) + 4, "text-anchor": "end" }, round(tick)),
    ]),
    svg("text", { class: "label", "text-anchor": "middle",
      transform: `translate(${at - 44} ${(scale.start + scale.end) / 2}) rotate(-90)` }, label),
  ];

  layerscope.axes = { EDGE, horizontal, vertical };

  /* A saved plot looks as it does on the page: styles come from there, and go into it. */
  const standalone = (drawn) => {
    const copy = drawn.cloneNode(true);
    const copies = [copy, ...copy.querySelectorAll("*")];
    [drawn, ...drawn.querySelectorAll("*")].forEach((node, i) => {
      const style = getComputedStyle(node);
      for (const name of SAVED) copies[i].setAttribute(name, style.getPropertyValue(name));
      for (const name of ["class", "tabindex", "role"]) copies[i].removeAttribute(name);
    });
    const [, , width, height] = drawn.getAttribute("viewBox").split(" ");
    const background = getComputedStyle(document.body).backgroundColor;
    copy.prepend(svg("rect", { width, height, fill: background }));
    for (const [name, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height })) copy.setAttribute(name, value);
    return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}\n`;
  };

  layerscope.saveButton = (name, title, drawn) =>
    element("button", {
      type: "button", class: "save", "aria-label": `Save as SVG: ${title}`,
      click: () => layerscope.download(`${name}.svg`, [standalone(drawn())], "image/svg+xml"),
    }, "Save SVG");

  /* A legend of [class of the line, text] pairs. */
  const legend = (entries) =>
    element("ul", { class: "legend" }, entries.map(([kind, text]) =>
      element("li", {}, svg("svg", { viewBox: "0 0 28 10", width: 28, height: 10, "aria-hidden": "true" },
        svg("line", { class: kind, x1: 1, x2: 27, y1: 5, y2: 5 })), text)));

  /* A figure: title, plot with axes, legend and a button that saves it.
     x and y: {low, high, label}; draw(sx, sy) gives what is drawn; `rows` are names in place of the ticks of y. */
  layerscope.figure = ({ name, title, description, x, y, rows, draw, entries = [], width = 380, height = 230 }) => {
    const left = rows ? 118 : EDGE.left;
    const sx = layerscope.scale(x.low, x.high, left, width - EDGE.right);
    const sy = layerscope.scale(y.low, y.high, height - EDGE.bottom, EDGE.top);
    const drawn = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. ${description}` },
      svg("title", {}, title),
      draw(sx, sy),
      horizontal(sx, sy.start, x.label, 5),
      rows
        ? rows.map((text, i) => svg("text", { class: "tick", x: left - 8, y: sy(i) + 4, "text-anchor": "end" }, text))
        : vertical(sy, left, y.label, 4));
    return element("figure", {}, element("figcaption", {}, title, layerscope.saveButton(name, title, () => drawn)),
      drawn, entries.length ? legend(entries) : null);
  };
}
