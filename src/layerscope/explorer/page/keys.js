"use strict";
/* Keys, and the list of them. */
{
  const { element, go, step } = layerscope;
  const dialog = document.getElementById("keys");
  const LIST = [
    ["1 2 3", "map, neuron, table"],
    ["← →", "previous, next neuron"],
    ["Shift ← →", "previous, next layer"],
    ["/", "to the filter"],
    ["?", "these keys"],
    ["Esc", "close these keys, leave a field, clear a box"],
    ["Tab, then ← →", "in a strip of tokens: from token to token; on the map: from neuron to neuron, with ↑ ↓"],
  ];
  dialog.append(
    element("h2", { id: "keys-title" }, "Keys"),
    element("dl", {}, LIST.map(([keys, what]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, what)])),
    element("form", { method: "dialog" }, element("button", {}, "Close")),
  );

  const openKeys = () => dialog.open || dialog.showModal();
  document.getElementById("show-keys").addEventListener("click", openKeys);

  const toFilter = () => {
    const { view } = layerscope.state();
    if (view === "neuron") {
      go({ view: "table" });
      addEventListener("hashchange", () => document.querySelector("#table .filter").focus(), { once: true });
    } else document.querySelector(`#${view} .filter`).focus();
  };

  const escape = (target) => {
    layerscope.hideTooltip();
    if (target.matches("input, select")) target.blur();
    layerscope.mapView.escape();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (event.key === "Escape") return escape(event.target);
    if (event.target.matches("input, select, textarea")) return;
    const { view } = layerscope.state();
    const neuron = view === "neuron";
    const views = { 1: "map", 2: "neuron", 3: "table" };
    if (event.key === "/") toFilter();
    else if (event.key === "?") openKeys();
    else if (event.key in views) go({ view: views[event.key] });
    else if (neuron && event.key === "ArrowLeft") step(event.shiftKey ? 0 : -1, event.shiftKey ? -1 : 0);
    else if (neuron && event.key === "ArrowRight") step(event.shiftKey ? 0 : 1, event.shiftKey ? 1 : 0);
    else return;
    event.preventDefault();
  });
}
