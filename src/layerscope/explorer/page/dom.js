"use strict";
/* Elements of the page. Data enters it as text alone, never as markup. */

const layerscope = {};
{
  const SVG = "http://www.w3.org/2000/svg";

  // Functions among the properties listen to the event of that name; the others are attributes, left out if null.
  const filled = (node, properties, children) => {
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return node;
  };

  layerscope.element = (tag, properties = {}, ...children) =>
    filled(document.createElement(tag), properties, children);

  layerscope.svg = (tag, properties = {}, ...children) =>
    filled(document.createElementNS(SVG, tag), properties, children);

  /* Something the reader can understand and often put right, in one line. */
  layerscope.Problem = class extends Error {};

  /* A select of [value, text] pairs; `chosen` is called with the value. */
  layerscope.select = (label, options, chosen) => {
    const select = layerscope.element(
      "select",
      { change: () => chosen(select.value) },
      options.map(([value, text]) => layerscope.element("option", { value }, text)),
    );
    return { select, field: layerscope.element("label", {}, layerscope.element("span", {}, label), select) };
  };

  layerscope.checkbox = (label, changed) => {
    const box = layerscope.element("input", { type: "checkbox", change: () => changed(box.checked) });
    return { box, field: layerscope.element("label", { class: "check" }, box, layerscope.element("span", {}, label)) };
  };

  layerscope.download = (name, parts, type) => {
    const address = URL.createObjectURL(new Blob(parts, { type }));
    layerscope.element("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  };

  /* A text that follows pointer or focus. */
  layerscope.showTooltip = (text, target) => {
    const tooltip = document.getElementById("tooltip");
    tooltip.textContent = text;
    tooltip.hidden = false;
    const at = target.getBoundingClientRect();
    const left = Math.min(at.left, document.documentElement.clientWidth - tooltip.offsetWidth - 4);
    const below = at.bottom + 4 + tooltip.offsetHeight < innerHeight;
    tooltip.style.left = `${Math.max(4, left)}px`;
    tooltip.style.top = `${below ? at.bottom + 4 : at.top - tooltip.offsetHeight - 4}px`;
  };

  layerscope.hideTooltip = () => {
    document.getElementById("tooltip").hidden = true;
  };
}
