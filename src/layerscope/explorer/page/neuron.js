"use strict";
/* The view of one neuron, and of the one of another model that is most like it. */
{
  const { element, short, models, link, go } = layerscope;
  const container = document.getElementById("neuron");

  /* The neuron or layer before or after the one shown; in another layer, the same number if that is there. */
  layerscope.step = (neurons, layers) => {
    const state = layerscope.state();
    const counts = models.get(state.model).neurons;
    const layer = Math.min(counts.length - 1, Math.max(0, Number(state.layer) + layers));
    const neuron = Math.min(counts[layer] - 1, Math.max(0, Number(state.neuron) + neurons));
    if (layer !== Number(state.layer) || neuron !== Number(state.neuron)) go({ layer: String(layer), neuron: String(neuron) });
  };

  const modelChoice = layerscope.select("Model", [...models.keys()].map((name) => [name, name]), (model) => go({ model }));
  const number = (name) => {
    const input = element("input", { type: "number", min: 0, change: () => go({ [name]: input.value }) });
    return { input, field: element("label", {}, element("span", {}, name === "layer" ? "Layer" : "Neuron"), input) };
  };
  const [layerField, neuronField] = [number("layer"), number("neuron")];
  const button = (text, name, neurons, layers) =>
    element("button", { type: "button", "aria-label": name, title: name, click: () => layerscope.step(neurons, layers) }, text);
  const steps = {
    before: button("‹", "Previous neuron (←)", -1, 0), after: button("›", "Next neuron (→)", 1, 0),
    below: button("«", "Previous layer (Shift ←)", 0, -1), above: button("»", "Next layer (Shift →)", 0, 1),
  };
  const heading = element("h2", { tabindex: -1 });
  const match = element("p", { class: "match" });
  const panels = element("div", { class: "panels" });
  container.append(
    element("div", { class: "controls" }, modelChoice.field,
      element("div", { class: "stepper" }, steps.below, layerField.field, steps.above),
      element("div", { class: "stepper" }, steps.before, neuronField.field, steps.after)),
    heading, match, panels,
  );

  const showControls = (state, layer, neuron) => {
    const counts = models.get(state.model).neurons;
    modelChoice.select.value = state.model;
    Object.assign(layerField.input, { value: layer, max: counts.length - 1 });
    Object.assign(neuronField.input, { value: neuron, max: counts[layer] - 1 });
    steps.before.disabled = neuron === 0;
    steps.after.disabled = neuron === counts[layer] - 1;
    steps.below.disabled = layer === 0;
    steps.above.disabled = layer === counts.length - 1;
  };

  const showMatch = (matched, beside) => {
    const held = match.contains(document.activeElement);
    match.replaceChildren();
    if (!matched) return;
    const at = { view: "neuron", model: matched.model, layer: String(matched.layer), neuron: String(matched.neuron) };
    match.append("Most similar neuron of the other model: ",
      element("a", { href: link({ ...at, other: layerscope.state().model }) }, layerscope.nameOf(matched.model, matched.layer, matched.neuron)),
      ` (r over tokens ${short(matched.r)}). `,
      element("a", { class: "button", href: link({ beside: beside ? "" : "1" }) }, beside ? "Show one alone" : "Show side by side"));
    if (held) match.lastChild.focus();
  };

  layerscope.neuronView = {
    title: (state) => layerscope.nameOf(state.model, state.layer, state.neuron),
    show: async (state, alive) => {
      const [layer, neuron] = [Number(state.layer), Number(state.neuron)];
      showControls(state, layer, neuron);
      heading.textContent = layerscope.nameOf(state.model, layer, neuron);
      const matched = layerscope.matchOf(await layerscope.fileOf(state.model, layer, neuron));
      const beside = matched && state.beside === "1";
      const wanted = [[state.model, layer, neuron], ...(beside ? [[matched.model, matched.layer, matched.neuron]] : [])];
      const built = await Promise.all(wanted.map((place) => layerscope.neuronPanel(place, wanted)));
      if (!alive()) return;
      showMatch(matched, beside);
      panels.classList.toggle("beside", Boolean(beside));
      panels.replaceChildren(...built);
    },
    clear: () => {
      match.replaceChildren();
      panels.replaceChildren();
    },
  };
}
