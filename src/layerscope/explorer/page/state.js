"use strict";
/* What is shown, kept in the address after #, so that a link shows the same. */
{
  const { manifest, models, columns } = layerscope;
  const first = manifest.models[0];
  const statistic = layerscope.statistics[0]?.name ?? "neuron";
  const DEFAULTS = {
    view: "map", model: first.name, other: null, layer: "0", neuron: "0", beside: "",
    x: "layer", y: statistic, log: "", filter: "", sort: "", columns: "", token: "", among: "top", both: "",
  };

  const otherOf = (model) => models.get(model)?.matched ?? [...models.keys()].find((name) => name !== model) ?? "none";

  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const state = {};
    for (const [name, usual] of Object.entries(DEFAULTS)) state[name] = given.get(name) ?? usual;
    state.other ??= otherOf(state.model);
    return state;
  };

  /* What cannot be shown, as one line; null if all can. */
  layerscope.mistakeIn = (state) => {
    const known = [...models.keys()].join(", ");
    if (!["map", "neuron", "table"].includes(state.view)) return `There is no view ${state.view}: views are map, neuron and table.`;
    for (const name of [state.model, state.other === "none" ? state.model : state.other]) {
      if (!models.has(name)) return `There is no model ${name}: models are ${known}.`;
    }
    for (const name of [state.x, state.y, state.sort.replace(/^-/, ""), ...state.columns.split(",")]) {
      if (name && !columns.has(name)) return `There is no column ${name}: columns are ${[...columns.keys()].join(", ")}.`;
    }
    const lists = layerscope.tokenLists.map(([name]) => name);
    if (!lists.includes(state.among)) return `There is no list ${state.among}: lists of tokens are ${lists.join(", ")}.`;
    if (state.view !== "neuron") return null;
    const { neurons } = models.get(state.model);
    const inside = (text, count) => /^\d+$/.test(text) && Number(text) < count;
    if (!inside(state.layer, neurons.length)) {
      return `There is no layer ${state.layer} in ${state.model}: its layers are 0 to ${neurons.length - 1}.`;
    }
    const count = neurons[Number(state.layer)];
    return inside(state.neuron, count)
      ? null
      : `There is no neuron ${state.neuron} in layer ${state.layer} of ${state.model}: its neurons are 0 to ${count - 1}.`;
  };

  layerscope.state = read;

  // Another model may have fewer layers and neurons.
  const inModel = (state) => {
    const counts = models.get(state.model)?.neurons ?? [];
    const layer = Math.min(counts.length - 1, Number(state.layer) || 0);
    return { layer: String(layer), neuron: String(Math.min(counts[layer] - 1, Number(state.neuron) || 0)) };
  };

  /* The address that shows what is shown now but for `changes`. */
  layerscope.link = (changes) => {
    const state = { ...read(), ...changes };
    if (changes.model && !changes.layer && models.has(changes.model)) Object.assign(state, inModel(state));
    const usual = { ...DEFAULTS, other: otherOf(state.model) };
    const kept = Object.entries(state).filter(([name, value]) => String(value) !== usual[name]);
    return `#${new URLSearchParams(kept)}`;
  };

  /* Show something else. With `replace`, the way back leads past what is shown now. */
  layerscope.go = (changes, replace = false) => {
    const address = layerscope.link(changes);
    if (!replace) location.hash = address;
    else {
      history.replaceState(null, "", address);
      layerscope.show();
    }
  };
}
