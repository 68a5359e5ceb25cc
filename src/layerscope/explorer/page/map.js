"use strict";
/* The map: all neurons of one or two models by two statistics. */
{
  const { element, models, columns, statistics, go, count } = layerscope;
  const container = document.getElementById("map");
  const names = [...models.keys()].map((name) => [name, name]);
  const offered = statistics.map(({ name, label }) => [name, label]);

  const setLog = (axis, on) => {
    const { log } = layerscope.state();
    go({ log: ["x", "y"].filter((other) => (other === axis ? on : log.includes(other))).join("") }, true);
  };
  const controls = {
    model: layerscope.select("Model", names, (model) => go({ model })),
    other: layerscope.select("Beside it", [...names, ["none", "none"]], (other) => go({ other })),
    y: layerscope.select("Up", offered, (y) => go({ y })),
    x: layerscope.select("Across", [["layer", "layer"], ...offered], (x) => go({ x })),
  };
  const logs = { y: layerscope.checkbox("log", (on) => setLog("y", on)), x: layerscope.checkbox("log", (on) => setLog("x", on)) };
  const filter = layerscope.filterField();
  const panels = element("div", { class: "panels beside" });
  const pointed = element("p", { class: "readout" });
  const meanings = element("p", { class: "meanings" });
  const chosen = element("p", { class: "chosen", role: "status" });
  container.append(
    element("div", { class: "controls" }, controls.model.field, controls.other.field, controls.y.field, logs.y.field,
      controls.x.field, logs.x.field, filter.field),
    pointed, panels, chosen, meanings,
  );
  const HINT = "Point at a neuron to read it, click to open it, drag a box to choose neurons.";
  let shown = []; // panels, with what they draw

  const say = (text, aloud) => {
    pointed.setAttribute("aria-live", aloud ? "polite" : "off");
    pointed.textContent = text || HINT;
  };

  const clearBox = () => {
    chosen.replaceChildren();
    shown.forEach(({ panel }) => panel.clearBox());
  };

  const onBox = async (name, conditions) => {
    shown.filter((one) => one.name !== name).forEach(({ panel }) => panel.clearBox());
    const narrowed = `${layerscope.state().filter} ${conditions}`.trim();
    const rows = await layerscope.passing(models.get(name), layerscope.parseFilter(narrowed));
    const other = name === layerscope.state().model ? {} : { model: name, other: layerscope.state().model };
    chosen.replaceChildren(
      `${count(rows.length)} neurons of ${name} in the box. `,
      element("a", { class: "button", href: layerscope.link({ view: "table", filter: narrowed, both: "", token: "", ...other }) }, "Show in the table"), " ",
      element("button", { type: "button", click: () => go({ filter: narrowed }) }, "Keep only these"), " ",
      element("button", { type: "button", click: clearBox }, "Clear"),
    );
  };

  const onPick = (name, { layer, neuron }) => {
    const state = layerscope.state();
    const other = name === state.model ? state.other : state.model;
    go({ view: "neuron", model: name, other, layer: String(layer), neuron: String(neuron) });
  };

  const axisOf = (name, arrays, log) => {
    const [low, high, least] = layerscope.rangeOf(arrays);
    // Of values of both signs, what is below a thousandth of the largest is drawn as if near 0.
    const smallest = low < 0 ? Math.max(Math.abs(low), high) / 1000 : least;
    return { name, label: layerscope.labelOf(name), low, high, least: log && Number.isFinite(smallest) ? smallest : null };
  };

  const redraw = () => {
    const width = Math.floor((panels.clientWidth - (shown.length - 1) * 16) / (panels.clientWidth < 640 ? 1 : shown.length));
    for (const { panel, given } of shown) if (given) panel.draw({ ...given, width });
  };
  let due = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(redraw);
  }).observe(panels);
  layerscope.redrawMap = redraw;

  layerscope.mapView = {
    title: () => "Map",
    show: async (state, alive) => {
      for (const [key, { select }] of Object.entries(controls)) select.value = state[key];
      for (const axis of ["x", "y"]) logs[axis].box.checked = state.log.includes(axis);
      logs.x.box.disabled = state.x === "layer";
      filter.input.value = state.filter;
      clearBox();
      meanings.textContent = [state.y, state.x].filter((name) => name !== "layer")
        .map((name) => `${columns.get(name).label}: ${columns.get(name).description}`).join(" ");
      const terms = layerscope.parseFilter(state.filter);
      const wanted = [...new Set([state.model, state.other])].filter((name) => name !== "none");
      const read = await Promise.all(wanted.map(async (name) => {
        const model = models.get(name);
        const missing = [state.x, state.y, ...terms.map(({ column }) => column)].find((column) => !layerscope.has(model, column));
        if (missing) return { name, missing };
        const [xs, ys, rows] = await Promise.all([
          layerscope.valuesOf(model, state.x), layerscope.valuesOf(model, state.y), layerscope.passing(model, terms),
        ]);
        return { name, xs, ys, rows };
      }));
      if (!alive()) return;
      const present = read.filter(({ missing }) => !missing);
      const x = axisOf(state.x, present.map(({ xs }) => xs), state.log.includes("x"));
      const y = axisOf(state.y, present.map(({ ys }) => ys), state.log.includes("y"));
      shown = read.map(({ name, missing, xs, ys, rows }) => {
        const panel = layerscope.mapPanel(name, { onPick, onBox, say });
        if (missing) panel.fail(`${name} has no ${columns.get(missing).label}.`);
        const finite = rows?.filter((i) => Number.isFinite(xs[i]) && Number.isFinite(ys[i]));
        const opened = name === state.model && /[#&](layer|neuron)=/.test(location.hash) ? [Number(state.layer), Number(state.neuron)] : null;
        return { name, panel, given: missing ? null : { x: { ...x, values: xs }, y: { ...y, values: ys }, rows: finite, opened } };
      });
      panels.replaceChildren(...shown.map(({ panel }) => panel.figure));
      say("");
      redraw();
    },
    clear: () => {
      shown = [];
      panels.replaceChildren();
    },
    escape: clearBox,
  };
}
